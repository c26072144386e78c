"""Resolved parts that commands carry: no default is left to guess, no password is inside."""

from typing import ClassVar, Literal

from pydantic import AliasChoices, Field

from events.model import Message
from events.quality import QualityRule
from events.request import (
    BuildStrategy,
    Compression,
    CountRows,
    Deletes,
    Derivation,
    Driver,
    KeyComparison,
    LoadStrategy,
    MergeStrategy,
    NullKeys,
    SchemaMode,
)


class ConnectionReference(Message):
    """A reachable source without its password: that stays in the secret store."""

    kind: ClassVar[str] = "sql-server"  # of source that it leads to; no field, so messages stay as they were

    host: str
    port: int = 1433
    database: str
    secret_id: str
    secret_version: str | None = None
    trust_server_certificate: bool = False
    driver: Driver = "auto"
    max_concurrent_reads: int | None = None


class SourceTable(Message):
    """What to read: a table as the user wrote it, or a query."""

    table_name: str | None = None
    query: str | None = None
    is_incremental: bool = False
    delta_column: str | None = None
    tie_columns: list[str] = Field(
        default_factory=list, description="named beside the delta column; only checked to exist"
    )
    last_watermark: str | None = None
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
