"""The types that a job of files has taken of its first file, kept for the later ones.

They are written like the ledger's entries: for a claimed batch before it is landed, by each worker that holds the claim, the same
ones each time, under a key with the batch's claim.

Guarantees: types count where the file that they are of counts in the ledger, so those of a batch that was voided, or of before a
reset, never do.
"""

from typing import Any

from pydantic import BaseModel

from events.files import FileColumn
from flowforge.aws import items
from flowforge.aws.compact import pack, unpack
from flowforge.domain.batch import Batch, order_of
from flowforge.domain.errors import unreadable
from flowforge.domain.file_version import FileVersion
from flowforge.runtime.settings import settings
from flowforge.state.file_ledger import FileEntry, is_counted
from flowforge.state.table import TableState


class FileTypes(BaseModel):
    """The columns of a file with their types, and the batch that has read it."""

    generation: int
    seq: int
    claim: str
    epoch: str
    file: FileVersion
    columns: list[FileColumn]


def types_of(batch: Batch, columns: list[FileColumn], file: FileVersion) -> FileTypes:
    """The types that a batch has taken of a file."""
    named = {"generation": batch.generation, "seq": batch.seq, "claim": batch.claim, "epoch": batch.epoch}
    return FileTypes(**named, file=file, columns=columns)


def keep_types(source_key: str, types: FileTypes) -> None:
    """Keeps types; they count once their batch does. Raises StoreUnavailable, and TooLarge for more than an item holds."""
    columns = pack([one.model_dump(exclude_defaults=True) for one in types.columns])
    plain = types.model_dump(exclude={"columns"}, exclude_none=True)
    sort = f"{order_of(types.generation, types.seq):020d}#{types.claim}"
    items.put(settings().watermarks_table, {"pk": _partition(source_key), "sk": sort, **plain, "columns": columns})


def kept_types(state: TableState) -> list[FileColumn]:
    """The newest types that count; none where there are none. Raises UnreadableRecord."""
    key = {":pk": _partition(state.source_key)}
    for item in items.query(settings().watermarks_table, "pk = :pk", key, ScanIndexForward=False):
        found = _read(item)
        place = {"generation": found.generation, "seq": found.seq, "claim": found.claim, "epoch": found.epoch}
        if is_counted(state, FileEntry(**place, run_id="", file=found.file)):
            return found.columns
    return []


def _read(item: items.Item) -> FileTypes:
    try:
        columns: list[Any] = unpack(item["columns"])
        return FileTypes.model_validate({**item, "columns": columns})
    except (ValueError, TypeError, KeyError) as error:
        remedy = (
            "Give the job's columns in its request (`flowforge files inspect FILE` proposes them): then none are kept."
        )
        raise unreadable(f"the types of {item['pk']}", error, remedy) from error


def _partition(source_key: str) -> str:
    return f"TYPES#{source_key}"
