"""The batch: one interval of one table, from claim to gold.

A batch is identified by (source key, generation, seq) and by its claim, which no other state can repeat. The record below is
what the watermark table keeps about it: all that a later attempt needs to finish the same batch, and all that silver needs to
apply it, so that nobody ever lists a bucket.
"""

from typing import Any, Literal, Self, cast

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, model_validator

from events.choices import Derivation, FilterOperator
from events.commands import IngestTable
from events.files import FileColumn
from events.targets import SourceFiles, SourceTable
from flowforge.domain.column_types import earlier_column, parse_type
from flowforge.domain.file_version import FileVersion
from flowforge.domain.own_columns import CHANGE_TYPE, CHANGE_VERSION, audit_of

AnyDerivation = Derivation | Literal["digit"]  # the last is never asked for: a key of seven digits has it
State = Literal["claimed", "landed", "committed", "refined", "empty", "voided"]
FOOTERS = 3  # version of what bronze objects tell of their batch
SEQ_BITS = 40  # generation and seq in one comparable integer


def order_of(generation: int, seq: int) -> int:
    """Position of a batch among the batches of its source: later is greater."""
    return generation << SEQ_BITS | seq


class RowCondition(BaseModel):
    """A condition on a column of the source, checked against its catalog: `values` are literals of `sql_type` that only the
    source reads."""

    model_config = ConfigDict(frozen=True)

    column: str
    sql_type: str
    collation: str | None = None
    operator: FilterOperator
    values: list[str] = Field(default_factory=list)

    @property
    def text(self) -> str:
        """The condition in words, for people; a long list is cut."""
        more = f" and {len(self.values) - 3} more" if len(self.values) > 3 else ""
        return " ".join([self.column, self.operator, ", ".join(self.values[:3]) + more]).strip()


class Interval(BaseModel):
    """`low <= cursor < high`, as literals exactly as the server prints them at the column's own scale; None is open.

    `column` None is a full load. `nulls` tells whether rows with a NULL cursor are read too. `promise` says, in a sentence
    for the run, what the interval guarantees; `notes` are what a person should know of it. `ties`: further rows may get the
    last number below `high`. `known` is the digest of that number's rows as they were landed, in an interval that has no others.
    `where` are the request's conditions: rows that do not fit them all are not read, and are no part of the interval.
    `window`: a part that a request names by its bounds; the watermark stays where it is.

    Of a source of files there is no cursor: `files` are the versions that are read, in their order, and `skipped` those that are
    not and never will be, since a newer snapshot stands in their place. `below` are sequence numbers, from and to, of batches of
    the same generation whose files come later in the job's order: their rows stay. `replaces`: the rows that earlier batches have
    of `files` are taken out of silver.
    """

    model_config = ConfigDict(frozen=True)

    column: str | None = None
    sql_type: str | None = None
    low: str | None = None
    high: str | None = None
    nulls: bool = True
    ties: bool = False
    known: str = ""
    where: list[RowCondition] = Field(default_factory=list)
    window: bool = False
    promise: str = ""
    notes: list[str] = Field(default_factory=list)
    files: list[FileVersion] = Field(default_factory=list)
    skipped: list[FileVersion] = Field(default_factory=list)
    below: list[tuple[int, int]] = Field(default_factory=list)
    replaces: bool = False

    @property
    def is_tracked(self) -> bool:
        """Whether its bounds are versions of the database, by which the source tells what has changed: no column's values."""
        return self.column == CHANGE_VERSION

    @property
    def is_whole_table(self) -> bool:
        """Whether it is the table as it is, from whose version on changes follow."""
        return self.is_tracked and self.low is None

    @property
    def is_changes(self) -> bool:
        """Whether it is what has changed from one version to another."""
        return self.is_tracked and self.low is not None


class BronzeObject(BaseModel):
    """One landed object; silver reads it with If-Match on the ETag. `consistency` is the view its read had of the source.

    `source_rows` and `counted_at` are what the source counted in that same view; `null_cursors` of its rows have no cursor (None:
    not known). `last_rows` is the digest of those with the last number of an interval with `ties`; empty where it was not taken.
    `read_notes` tell of how they were read, where the server made it differ.
    """

    model_config = ConfigDict(frozen=True)

    key: str
    etag: str
    rows: int
    bytes: int
    consistency: str = ""
    source_rows: int | None = None
    counted_at: str = ""
    null_cursors: int | None = None
    read_notes: list[str] = Field(default_factory=list)
    last_rows: str = ""


class Protection(BaseModel):
    """What becomes of a column's values before they are written: `how` as a request has it; of hmac the `secret` that has the
    key, and the key's own id, which tells it from another one and nothing more."""

    model_config = ConfigDict(frozen=True)

    how: str
    secret: str = ""
    key_id: str = ""

    @property
    def text(self) -> str:
        """In words, for people; equal where equal values become equal ones."""
        return f"{self.how} by key {self.key_id}" if self.key_id else self.how


class SourceColumn(BaseModel):
    """A source column: `type` is neutral (`column_types`), `sql_type` what the source calls it, for people and for that source
    (empty: it has no word of its own).

    `collation` is what texts compare by, where the source says; `padded`: blanks at the end of a text, and zeros at the end of
    bytes, do not count there; `code_page`: its texts are compared by the table of a code page. With `derivation` it is none of
    the catalog's, but made by the source from the column `of`. `masked`: the server gives this login masks in place
    of its values, or may do so. `column_id` stays when a column is renamed (0: not known); `default` is the definition of its
    default, as the server keeps it, `constant` the value that this gives to each row, as text, where it is one for sure.
    With a `protection` the `type` is that of what is written, and `sql_type` what the source has.
    `source_name` is there where the request gives it another name.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    type: str = ""
    sql_type: str = ""
    nullable: bool = True
    collation: str | None = None
    padded: bool = False
    code_page: bool = False
    # `companion` is the name in records and footers of earlier versions.
    derivation: AnyDerivation | None = Field(default=None, validation_alias=AliasChoices("derivation", "companion"))
    of: str | None = None
    masked: bool = False
    column_id: int = 0
    default: str | None = None
    constant: str | None = None
    computed: bool = False
    protection: Protection | None = None
    source_name: str = ""

    @model_validator(mode="before")
    @classmethod
    def _with_neutral_type(cls, given: Any) -> Any:
        """Records and footers of earlier versions have the source's own word alone."""
        if not isinstance(given, dict):
            return given
        record = cast("dict[str, Any]", given)
        is_earlier = record.get("sql_type") and not record.get("type")
        return record | earlier_column(record) if is_earlier else record

    @model_validator(mode="after")
    def _known_type(self) -> Self:
        parse_type(self.type)
        return self

    @property
    def at_source(self) -> str:
        """What the source calls it."""
        return self.source_name or self.name

    @property
    def declared(self) -> str:
        """The type as people know it: the source's own word, where it has one."""
        return self.sql_type or self.type


class Counting(BaseModel):
    """When the source counts a batch's rows on its own: `together` in the read's own snapshot, `afterwards` once they are landed.
    `why_not` says in words why it never does. With `insisted` a count that cannot be made fails the attempt."""

    model_config = ConfigDict(frozen=True)

    together: bool = False
    afterwards: bool = False
    insisted: bool = False
    why_not: str = ""


class SourceCount(BaseModel):
    """What the source counted for a batch, `how` and when (`at`, the server's clock in UTC); `rows` None where it did not, and
    `how` then says why. `left` is how many rows of the interval were there when it was read and are not any more."""

    model_config = ConfigDict(frozen=True)

    rows: int | None = None
    how: str = ""
    at: str = ""
    left: int = 0


class Manifest(BaseModel):
    """What a landed batch consists of. `columns` are the source's (without audit columns), `primary_key` the source's key;
    `unique_keys` are the columns of each index in which no two rows are equal, as far as a version before knew of them."""

    model_config = ConfigDict(frozen=True)

    bucket: str
    objects: list[BronzeObject]
    rows: int
    bytes: int
    columns: list[SourceColumn]
    primary_key: list[str] = Field(default_factory=list)
    unique_keys: list[list[str]] = Field(default_factory=list)
    audit_columns: bool = True
    max_cursor_value: str | None = None
    count: SourceCount = SourceCount()


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

    `offered` are the consistencies that each slice asks for, the strongest first; `file` is there where it is a file.
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


class Batch(BaseModel):
    """The record of one batch.

    `claim` is drawn when it is claimed, `epoch` when its table's state was new; both are empty in records of a version before.
    `lake` is the ETag of what the lake held of the source when the batch was claimed, empty for nothing. `attempts` counts the
    workers that have held the claim; `token` fences off earlier ones; `failed` tells that a slice was given up; `problem` says
    why the sweeper could not follow it up; `quarantined` rows were kept out of silver (None: not known);
    `footers` is the version of what its objects tell of it. Times are in epoch seconds.
    """

    source_key: str
    generation: int
    seq: int
    state: State
    token: str
    lease_until: float
    label: str
    claim: str = ""
    epoch: str = ""
    lake: str = ""
    interval: Interval
    command: IngestTable
    identity: dict[str, Any] = Field(default_factory=dict)
    slices: SlicePlan | None = None
    manifest: Manifest | None = None
    watermark_before: str | None = None
    claimed_at: float = 0.0
    updated_at: float = 0.0
    attempts: int = 1
    failed: bool = False
    refined: bool = False
    published: bool = False
    problem: str = ""
    quarantined: int | None = None
    footers: int = 2

    @property
    def name(self) -> str:
        """Readable identity for logs and errors."""
        return f"{self.source_key} generation {self.generation} batch {self.seq}"

    @property
    def order(self) -> int:
        """Position of the batch among the batches of its source."""
        return order_of(self.generation, self.seq)

    @property
    def moves_watermark(self) -> bool:
        """Whether its commit sets the watermark of its cursor, to the interval's `high`."""
        interval = self.interval
        return interval.column is not None and interval.high is not None and not interval.window

    @property
    def watermark_after(self) -> str | None:
        """The watermark of its cursor once it is committed."""
        return self.interval.high if self.moves_watermark else self.watermark_before

    @property
    def reads_all_loaded(self) -> bool:
        """Whether it is a window over all rows that the watermark stands for."""
        read = self.command.source
        return isinstance(read, SourceTable) and read.window is not None and read.window.column is not None

    @property
    def audit(self) -> tuple[str, ...]:
        """The columns that bronze has of it beside the source's own."""
        if self.interval.is_tracked:
            audited = audit_of(files=False) if self.command.bronze.audit_columns else ()
            return (*audited, CHANGE_TYPE, CHANGE_VERSION)
        if not self.command.bronze.audit_columns:
            return ()
        return (*audit_of(bool(self.interval.files)), *([CHANGE_TYPE] if self.tells_changes else []))

    @property
    def tells_changes(self) -> bool:
        """Whether its rows say what became of a key."""
        read = self.command.source
        return isinstance(read, SourceFiles) and read.contract.tells_changes

    @property
    def only_keys(self) -> bool:
        """Whether it has the keys that the source has, and no rows: what silver has beside them is gone."""
        return self.command.only_keys

    @property
    def has_rows(self) -> bool:
        """Whether it has landed with rows of the table, in all its columns."""
        return self.manifest is not None and not self.only_keys

    @property
    def reads_all(self) -> bool:
        """Whether its rows are all that the source has; else they are what is new, by a cursor or of files not loaded before, or
        keys alone."""
        if self.only_keys:
            return False
        if self.interval.is_tracked:
            return self.interval.is_whole_table
        whole_files = self.command.bronze.load_strategy == "full_refresh"
        return self.interval.column is None and (whole_files or not self.interval.files)

    @property
    def application_id(self) -> str:
        """Place of the batch in Delta's application transactions; `application_version` tells which batch took it."""
        return f"flowforge/{self.source_key}/{self.generation}/{self.seq}"

    @property
    def application_version(self) -> int:
        """The claim as a number of 60 bits; 1 for a batch of a version before."""
        return 2 + int(self.claim[:15], 16) if self.claim else 1
