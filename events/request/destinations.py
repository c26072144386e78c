"""Where a request's rows go: bronze, silver and gold, with the settings of each."""

from collections.abc import Iterator
from typing import Any, Literal

from pydantic import ConfigDict, Field, ValidationInfo, field_validator

from events.choices import (
    BuildStrategy,
    Compression,
    KeyComparison,
    LoadStrategy,
    MergeStrategy,
    NullKeys,
    SchemaMode,
)
from events.effects import KEY_OF_FULL_BUILD
from events.model import Request
from events.names import DESTINATION, is_reserved, strip_layer
from events.quality import GoldRules, SilverRules
from events.request.deletes import DeletesWanted, mode_in


def _destination(value: str | None, info: ValidationInfo) -> str | None:
    if value is None:
        return None
    title = info.config.get("title") if info.config else None
    layer = {"SilverConfig": "silver", "GoldConfig": "gold", "GoldModel": "gold"}.get(title or "", "")
    name = strip_layer(value, layer) if layer else value
    if not DESTINATION.fullmatch(name):
        raise ValueError("expected letters, digits, _ and - only (at most 128), not a path")
    if is_reserved(name):
        raise ValueError(
            "begins with _, as the lake's own folders do (_quarantine, _models, _delta_log): choose another name"
        )
    return name


def different_columns(value: str | list[str] | None) -> str | list[str] | None:
    """One name, or several that differ."""
    keys = [value] if isinstance(value, str) else value or []
    if value is not None and (not keys or not all(keys) or len(set(keys)) != len(keys)):
        raise ValueError("expected one column name or a list of different column names")
    return value


class BronzeConfig(Request):
    """Where and how a batch lands as Parquet."""

    tableName: str | None = None
    storageFormat: Literal["parquet"] = "parquet"
    loadStrategy: LoadStrategy = "append"
    auditColumns: bool = True
    compression: Compression = "snappy"

    _names = field_validator("tableName")(_destination)


class SilverConfig(Request):
    """How bronze is refined; without it silver merges by the source's primary key."""

    model_config = ConfigDict(title="SilverConfig")

    tableName: str | None = None
    primaryKey: str | list[str] | None = None
    mergeStrategy: MergeStrategy = "merge"
    deletes: DeletesWanted | None = Field(
        None,
        description="rows that a full_refresh does not have: hard (default of merge), soft (of scd2), ignore; of an incremental"
        " load how they are found",
    )
    schemaMode: SchemaMode = Field(
        "evolve", description="contract: every change of the source's columns stops the table until it is accepted"
    )
    keyComparison: KeyComparison = Field(
        "source",
        description="keys are equal where the source's collation says so; exact: where every character is the same",
    )
    nullKeys: NullKeys = Field(
        "match",
        description="a NULL in a key is a value, as in a unique index of the source; or such rows go to quarantine",
    )
    qualityRules: SilverRules = Field(default_factory=list)

    _names = field_validator("tableName")(_destination)
    _keys = field_validator("primaryKey")(different_columns)

    @classmethod
    def contradictions(cls, given: dict[str, Any]) -> Iterator[str | tuple[str, str]]:
        """What happens to deleted rows fits the strategy."""
        strategy, deletes = given.get("mergeStrategy", "merge"), given.get("deletes")
        if strategy == "scd2" and mode_in(deletes) == "hard":
            yield "deletes", "scd2 keeps history: soft closes the version of a deleted row, ignore leaves it open"
        if strategy in ("append", "replace") and deletes is not None:
            yield (
                "deletes",
                f"{strategy} has no deletes to choose: it "
                + ("only adds" if strategy == "append" else "holds the newest batch only"),
            )


class GoldModel(Request):
    """One gold table as a SELECT over silver and gold tables (DuckDB's SQL)."""

    model_config = ConfigDict(title="GoldModel")

    tableName: str
    sql: str = Field(min_length=1)
    buildStrategy: BuildStrategy = Field("full", description="incremental rebuilds only the keys that changed")
    primaryKey: str | list[str] | None = Field(None, description="columns that tell the model's rows apart")
    qualityRules: GoldRules = Field(default_factory=list, description="judged before the table is published")

    _names = field_validator("tableName")(_destination)
    _keys = field_validator("primaryKey")(different_columns)

    @classmethod
    def contradictions(cls, given: dict[str, Any]) -> Iterator[str | tuple[str, str]]:
        """An incremental model has a key; one that is built as a whole has no use for it."""
        yield from _without_key(given)
        if given.get("primaryKey") and given.get("buildStrategy", "full") == "full":
            yield "primaryKey", KEY_OF_FULL_BUILD


def _without_key(given: dict[str, Any]) -> Iterator[str]:
    if given.get("buildStrategy") == "incremental" and given.get("sql") and not given.get("primaryKey"):
        yield "buildStrategy incremental needs primaryKey: the columns that tell the model's rows apart"


class GoldConfig(Request):
    """What is published; without it gold is a published copy of silver."""

    model_config = ConfigDict(title="GoldConfig")

    tableName: str | None = None
    buildStrategy: BuildStrategy = Field("full", description="of tableName; a copy's key is silver's by default")
    primaryKey: str | list[str] | None = Field(None, description="columns that tell the rows of tableName apart")
    sql: str | None = Field(None, min_length=1, description="a SELECT that makes tableName, in place of the copy")
    qualityRules: GoldRules = Field(default_factory=list, description="of tableName; judged before it is published")
    models: list[GoldModel] = Field(
        default_factory=list, description="further gold tables, built when an input changes"
    )

    _names = field_validator("tableName")(_destination)
    _keys = field_validator("primaryKey")(different_columns)

    @classmethod
    def contradictions(cls, given: dict[str, Any]) -> Iterator[str | tuple[str, str]]:
        """The same as of a model: `sql` makes tableName one."""
        yield from _without_key(given)


class DestinationConfig(Request):
    """The three layers' settings; each has working defaults. A table's own settings go over those of the request, field by field;
    gold models add up."""

    bronzeConfig: BronzeConfig = BronzeConfig()
    silverConfig: SilverConfig | None = None
    goldConfig: GoldConfig | None = None
