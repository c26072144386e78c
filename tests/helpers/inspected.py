"""What is proposed for a file, and the same file loaded under the proposal."""

import io
from typing import Any

from events.files import FileContract
from events.request import FileSource
from flowforge.jobs.file_plan import contract_of
from flowforge.jobs.proposed_source import source_of
from flowforge.sources.files.casting import cast_portion, casting_for
from flowforge.sources.files.container import StoredFile, look_into
from flowforge.sources.files.inspection import Inspection, inspect
from flowforge.sources.files.records import open_file


def look(body: bytes, name: str = "customers.csv", member: str | None = None) -> Inspection:
    return inspect(look_into(name, len(body), lambda: io.BytesIO(body), member))


def load(body: bytes, contract: FileContract) -> list[dict[str, Any]]:
    """The rows of a file under a contract: all of its records, none rejected."""
    rows: list[dict[str, Any]] = []
    with open_file(StoredFile("a", len(body), lambda: io.BytesIO(body)), contract) as records:
        casting = casting_for(records.fields, records.columns, contract.unknown_columns, "a")
        for portion in records:
            found = cast_portion(portion, casting)
            assert not found.rejected
            rows += found.rows.to_pylist()
        assert records.counted() == len(rows)
    return rows


def as_given(found: Inspection) -> FileContract:
    """What is proposed, as a request says it."""
    return contract_of(FileSource.model_validate(source_of(found.contract)))


def types(found: Inspection) -> dict[str, str]:
    return {column.name: column.type for column in found.columns}
