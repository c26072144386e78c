"""The records of a text under a stored contract: which reader reads it.

Guarantees: every record is in a portion's texts or among its rejects, with its number; `counted` tells the number of records by
another pass, which uses no parser.
"""

from collections.abc import Iterator
from types import TracebackType
from typing import Protocol, Self

from events.files import FileContract
from flowforge.domain.errors import UnsupportedSource
from flowforge.sources.files.container import Content
from flowforge.sources.files.delimited_records import DelimitedRecords
from flowforge.sources.files.fixed_records import FixedRecords
from flowforge.sources.files.ndjson_records import NdjsonRecords
from flowforge.sources.files.rejected import Portion


class Records(Protocol):
    """A file's records. `fields` are those of its header, or their places from 1; `extra` those not in
    the contract. Those of NDJSON grow while it is read: a portion has all that are known at its end."""

    fields: list[str]
    extra: list[str]

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
    def __iter__(self) -> Iterator[Portion]: ...
    def counted(self) -> int: ...


def open_records(content: Content, contract: FileContract) -> Records:
    """The records of a content. Raises UnsupportedSource for a format that is not read, and for a header that does not fit."""
    if contract.format in ("csv", "tsv"):
        return DelimitedRecords(content, contract)
    if contract.format == "fixed":
        return FixedRecords(content, contract)
    if contract.format == "ndjson":
        return NdjsonRecords(content, contract)
    raise UnsupportedSource(
        f"{content.name}: {contract.format} is not read as text records", "deliver CSV, TSV, fixed width or NDJSON"
    )
