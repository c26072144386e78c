"""How a large batch is read in slices, and when the source counts its rows."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from events.files import FileColumn
from events.targets import SourceFiles
from flowforge.domain.source_columns import SourceColumn


class Counting(BaseModel):
    """When the source counts a batch's rows on its own: `together` in the read's own snapshot, `afterwards` once they are landed.
    `why_not` says in words why it never does. With `insisted` a count that cannot be made fails the attempt."""

    model_config = ConfigDict(frozen=True)

    together: bool = False
    afterwards: bool = False
    insisted: bool = False
    why_not: str = ""


class ByteRange(BaseModel):
    """A part of a file, from the byte `start` to `end` (None: its last). It begins where a record does: `offset` and `line` are
    where, as rejects tell them, `row_number` is that of its first data record, and `records` are its data records, as the pass
    has counted them that found the place. Of Parquet it is whole row groups, as the footer has them."""

    model_config = ConfigDict(frozen=True)

    start: int
    end: int | None
    offset: int
    line: int
    row_number: int
    records: int

    @property
    def is_first(self) -> bool:
        """Whether what stands above the file's data is in it; what stands below is in the last part."""
        return self.row_number == 1


class KeyRange(BaseModel):
    """A slice: `low <= key < high` over the key's columns in order, as literals that the server printed; None is open. Of a file
    it is `part`."""

    model_config = ConfigDict(frozen=True)

    low: list[str] | None = None
    high: list[str] | None = None
    part: ByteRange | None = None


class FileSlices(BaseModel):
    """What each slice of a file is read by: the job's `read`, the `columns` with the fields that they are read from, and how the
    layers know it."""

    model_config = ConfigDict(frozen=True)

    read: SourceFiles
    columns: list[FileColumn]
    bronze_table: str
    audited: bool


class SlicePlan(BaseModel):
    """How a large batch is read: by ranges of a table's key, or of a file's bytes, each its own message and object; fixed with
    the claim.

    `offered` are the consistencies that each slice asks for, the strongest first; `file` is there where it is a file. `identity`
    is what a slice of changes wants to see again behind its rows; there is none where it is not of changes.
    """

    model_config = ConfigDict(frozen=True)

    schema_name: str
    name: str
    columns: list[SourceColumn]
    key: list[SourceColumn]
    primary_key: list[str]
    ranges: list[KeyRange]
    offered: list[str] = Field(default_factory=list)
    counting: Counting = Counting()
    file: FileSlices | None = None
    identity: dict[str, Any] = Field(default_factory=dict)
