"""Resolved parts that commands carry: no default is left to guess, no password is inside."""

import hashlib
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, Discriminator, Field, Tag

from events.choices import (
    BuildStrategy,
    ChangedFile,
    Compression,
    CountRows,
    DatabaseKind,
    Deletes,
    Derivation,
    Driver,
    FileOrder,
    FilterOperator,
    KeyComparison,
    LoadStrategy,
    MergeStrategy,
    NullKeys,
    OnGap,
    SchemaMode,
)
from events.files import FileContract
from events.model import Message
from events.quality import QualityRule

LATER = ("types", "column_names")  # settings of a contract that digests of before do not know


class ConnectionReference(Message):
    """A reachable source without its password: that stays in the secret store."""

    # Of source that it leads to. The first one is not written, so that messages stay as they were.
    kind: DatabaseKind = Field(default="sql-server", exclude_if=lambda kind: kind == "sql-server")
    host: str
    port: int = 1433
    database: str
    secret_id: str
    secret_version: str | None = None
    trust_server_certificate: bool = False
    driver: Driver = "auto"
    max_concurrent_reads: int | None = None

    @property
    def address(self) -> str:
        """The source as bronze tells it of each row."""
        return f"{self.kind}://{self.host}:{self.port}/{self.database}"


class FilePlace(Message):
    """Where files are: a bucket, read with the function's own rights."""

    kind: Literal["file"] = "file"
    bucket: str

    @property
    def address(self) -> str:
        """The source as bronze tells it of each row."""
        return f"s3://{self.bucket}"


class WantedRows(Message):
    """A condition on the rows that are read, as the user wrote it; true and false are 1 and 0."""

    column: str
    operator: FilterOperator = "="
    values: list[str] = Field(default_factory=list)


class ReadWindow(Message):
    """A part of a table, by its delta column, that is read once more: from `low` on, below `high` (None: the watermark). With
    `column` all that is loaded, for the sake of a column that its rows lack."""

    low: str | None = None
    high: str | None = None
    column: str | None = None


class SourceTable(Message):
    """What to read: a table as the user wrote it, or a query."""

    table_name: str | None = None
    query: str | None = None
    is_incremental: bool = False
    delta_column: str | None = None
    change_tracking: bool = False
    on_gap: OnGap = "refuse"
    consistent_cut: bool = Field(default=False, description="read with the other tables of its run, as of one moment")
    tie_columns: list[str] = Field(
        default_factory=list, description="named beside the delta column; only checked to exist"
    )
    last_watermark: str | None = None
    window: ReadWindow | None = None
    null_cursor: Literal["include", "exclude", "fail"] = "include"
    cursor_clock: Literal["unknown", "utc", "local"] = "unknown"
    allow_empty_refresh: bool = False
    accept_partial_view: bool = False
    snapshot_isolation: bool = True
    count_rows: CountRows = "auto"
    # `companion_columns` in messages of earlier versions.
    derived_columns: list[Derivation] = Field(
        default_factory=list, validation_alias=AliasChoices("derived_columns", "companion_columns")
    )
    excluded_columns: list[str] = Field(default_factory=list)
    included_columns: list[str] = Field(default_factory=list, description="empty: all but the excluded")
    where: list[WantedRows] = Field(default_factory=list)
    rename: dict[str, str] = Field(default_factory=dict, description="column to its name in the lake")
    cast: dict[str, str] = Field(default_factory=dict, description="column to the type that the SELECT makes of it")
    protect: dict[str, str] = Field(default_factory=dict, description="column to what becomes of its values")
    protection_key: str = Field(default="", description="id of the secret that has the key of hmac")

    @property
    def has_cursor(self) -> bool:
        """Whether a column, or a version of the database, bounds what a load reads."""
        return self.delta_column is not None or self.change_tracking

    @property
    def title(self) -> str:
        """What is read, for people: the table as it is written; a query has no name."""
        return self.table_name or "query"


class SourceFiles(Message):
    """Which files to read, and how. Exactly one of `keys` and `pattern` is given.

    `workflow` and `job` name the source: its files are remembered under them, whatever names or pattern a later request has.
    `order` is the one that files are applied in: by their keys, by arrival, or by a date in their names (`date_pattern`).
    `changed` is what happens to a file whose content is new under a name that was loaded: its rows are added, take the place of
    those that it had, or the load stops. `together`: the files of one request are one batch, else one batch each.
    """

    kind: Literal["file"] = "file"
    workflow: str
    job: str
    keys: list[str] = Field(default_factory=list)
    pattern: str = ""
    order: FileOrder = "name"
    date_pattern: str = "yyyyMMdd"
    changed: ChangedFile = "append"
    together: bool = True
    allow_empty_refresh: bool = False
    protect: dict[str, str] = Field(default_factory=dict, description="column to what becomes of its values")
    protection_key: str = Field(default="", description="id of the secret that has the key of hmac")
    contract: FileContract

    @property
    def contract_id(self) -> str:
        """A digest of how the files are read: what was refused under it is refused again."""
        later = {name for name in LATER if getattr(self.contract, name) == FileContract.model_fields[name].default}
        plain = {n: {"operations"} for n, column in enumerate(self.contract.columns) if column.operations is None}
        left_out: dict[str, Any] = {**dict.fromkeys(later, True), **({"columns": plain} if plain else {})}
        return hashlib.sha256(self.contract.model_dump_json(exclude=left_out).encode()).hexdigest()[:16]

    @property
    def has_cursor(self) -> bool:
        """No column of files bounds a load: a ledger of versions does."""
        return False

    @property
    def title(self) -> str:
        """What is read, for people: the pattern, or the first of the keys."""
        more = len(self.keys) - 1
        return self.pattern or (f"{self.keys[0]} and {more} more" if more > 0 else "".join(self.keys))


def _kind_of(given: Any) -> str:
    """A table's source has no kind in messages: it was there before there was another. Its connection has its database's."""
    kind = given.get("kind") if isinstance(given, dict) else getattr(given, "kind", None)
    return "(file)" if kind == "file" else "(database)"


SourcePlace = Annotated[
    Annotated[ConnectionReference, Tag("(database)")] | Annotated[FilePlace, Tag("(file)")], Discriminator(_kind_of)
]
SourceRead = Annotated[
    Annotated[SourceTable, Tag("(database)")] | Annotated[SourceFiles, Tag("(file)")], Discriminator(_kind_of)
]


class BronzeTarget(Message):
    """Bronze table and file settings."""

    table: str
    load_strategy: LoadStrategy = "append"
    audit_columns: bool = True
    compression: Compression = "snappy"


class SilverTarget(Message):
    """Silver table (without its layer) and how to refine into it; an empty key means the source's primary key."""

    table: str
    primary_key: list[str] = Field(default_factory=list)
    strategy: MergeStrategy = "merge"
    deletes: Deletes = "hard"
    detects: Literal["", "keys"] = Field(default="", description="how a load that sees no deletions finds them")
    compared_every: int = Field(default=0, description="seconds between two comparisons of keys")
    most_deleted: float = Field(default=1.0, description="the share of its rows that a comparison may take out")
    schema_mode: SchemaMode = "evolve"
    key_comparison: KeyComparison = "source"
    null_keys: NullKeys = "match"
    quality_rules: list[QualityRule] = Field(default_factory=list)


class GoldModelTarget(Message):
    """A gold table made by a SELECT."""

    table: str
    sql: str
    build_strategy: BuildStrategy = "full"
    primary_key: list[str] = Field(default_factory=list)
    quality_rules: list[QualityRule] = Field(default_factory=list)


class GoldTarget(Message):
    """The gold table that is a copy of silver (None when a model takes its place), how it is built, and the models to rebuild."""

    table: str | None = None
    build_strategy: BuildStrategy = "full"
    primary_key: list[str] = Field(default_factory=list)
    quality_rules: list[QualityRule] = Field(default_factory=list)
    models: list[GoldModelTarget] = Field(default_factory=list)

    @property
    def tables(self) -> set[str]:
        """The gold tables that it names."""
        return {model.table for model in self.models} | ({self.table} if self.table else set())
