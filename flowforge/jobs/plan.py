"""Plans a run: a pure function from a job request to one IngestTable per table, with every default made explicit.

Guarantees that no two tables of a run share a destination in any layer.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from pydantic import ValidationError

from events.commands import IngestTable, Layer
from events.names import split_table_name
from events.request import (
    Deletes,
    DestinationConfig,
    GoldConfig,
    GoldModel,
    InvalidRequest,
    JobRequest,
    SilverConfig,
    TableConfig,
    mistakes_of,
)
from events.targets import (
    BronzeTarget,
    ConnectionReference,
    GoldModelTarget,
    GoldTarget,
    SilverTarget,
    SourceTable,
)
from flowforge.domain.given import given
from flowforge.jobs.refusals import refuse_expressions, refuse_models, refuse_shared_destinations, refuse_source
from flowforge.sources.registry import kind_of
from flowforge.state.spelling import Loaded, default_stem

PATTERN = "*"
KEEPS_STATES = ("append", "scd2")  # what a full load has brought stays, whatever the next one brings


def plan_tables(
    request: JobRequest,
    run_id: str,
    batch_id: str,
    connection: ConnectionReference,
    expand: Callable[[str], Iterable[str]],
    loaded: Sequence[Loaded] = (),
) -> list[IngestTable]:
    """One command per table of the request; `expand` turns a pattern such as dbo.* into table names, and `loaded` is what the
    lake has of this source.

    A table that is named and also matched by a pattern is loaded once, with the settings of its entry and the catalog's spelling.
    Raises InvalidRequest for a pattern that matches nothing and for destinations that two tables would share.
    """
    commands = []
    for entry in _entries(request, expand):
        destination = _merged(request.destination_config, entry.destination_config)
        commands.append(_command(request, run_id, batch_id, connection, entry, destination, loaded))
    refuse_shared_destinations(commands)
    return commands


def _merged(shared: DestinationConfig, own: DestinationConfig | None) -> DestinationConfig:
    """A table's own settings over those of the request, as far as they were given; gold models add up.

    Raises InvalidRequest where the two contradict each other.
    """
    if own is None:
        return shared
    settings = shared.model_dump(exclude_unset=True)
    for layer, wanted in own.model_dump(exclude_unset=True).items():
        settings[layer] = (settings.get(layer) or {}) | (wanted or {})
    configs = [config.goldConfig for config in (shared, own) if config.goldConfig]
    models = [model for config in configs for model in config.models]
    names = [model.tableName for model in models]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        problem = f"{', '.join(twice)}: the request and one of its tables have a model of this name"
        raise InvalidRequest([{"field": "destination_config.goldConfig.models", "problem": problem}])
    if models:
        settings["goldConfig"] |= {"models": [model.model_dump(exclude_unset=True) for model in models]}
    try:
        return DestinationConfig.model_validate(settings)
    except ValidationError as error:
        raise InvalidRequest(mistakes_of(error, "destination_config")) from None


def _entries(request: JobRequest, expand: Callable[[str], Iterable[str]]) -> list[TableConfig]:
    config = request.source_config.databaseConfig
    if config.tables is None:
        return [config]
    named = [entry for entry in config.tables if isinstance(entry, TableConfig)]
    texts = [entry for entry in config.tables if isinstance(entry, str)]
    seen = {split_table_name(entry.tableName) for entry in named if entry.tableName}
    for n, text in enumerate(texts):
        found = list(expand(text)) if PATTERN in text else [text]
        if not found:
            problem = f"the pattern {text!r} matches no table"
            raise InvalidRequest([{"field": f"source_config.databaseConfig.tables.{n}", "problem": problem}])
        spelled = {split_table_name(name) for name in found} if PATTERN in text else set()
        for name in found:
            if split_table_name(name) in seen:
                continue
            # The catalog's spelling of a table that an entry names: another table only where the entry's spelling is one too.
            at = next((n for n, entry in enumerate(named) if _is_other_spelling(entry, name, spelled)), None)
            seen.add(split_table_name(name))
            if at is None:
                named.append(TableConfig.model_validate({"tableName": name}))
            else:
                named[at] = named[at].model_copy(update={"tableName": name})
    return named


def _is_other_spelling(entry: TableConfig, name: str, spelled: set[tuple[str, str]]) -> bool:
    """Whether an entry means the table that the catalog calls `name`; `spelled` are the names that the catalog has."""
    if not entry.tableName or not spelled:
        return False
    written, catalog = split_table_name(entry.tableName), split_table_name(name)
    return written not in spelled and [part.lower() for part in written] == [part.lower() for part in catalog]


def _command(
    request: JobRequest,
    run_id: str,
    batch_id: str,
    connection: ConnectionReference,
    entry: TableConfig,
    destination: DestinationConfig,
    loaded: Sequence[Loaded],
) -> IngestTable:
    bronze, silver, gold = destination.bronzeConfig, destination.silverConfig, destination.goldConfig
    keeps = entry.isIncremental or (silver is not None and silver.mergeStrategy in KEEPS_STATES)
    source = _source(entry)
    refuse_source(kind_of(connection.kind), source, "source_config.databaseConfig", keeps=keeps)
    stem = _stem(entry, destination, loaded)
    silver_table = (silver.tableName if silver else None) or stem
    gold_table = (gold.tableName if gold else None) or silver_table
    gold_target = _gold(gold, gold_table)
    refuse_models(gold_target.models)
    refuse_expressions("silverConfig", f"silver.{silver_table}", silver.qualityRules if silver else [])
    refuse_expressions("goldConfig", f"gold.{gold_table}", gold_target.quality_rules)
    named: dict[Layer, str | None] = {"bronze": bronze.tableName, "silver": silver and silver.tableName}
    named["gold"] = (gold and gold.tableName) or named["silver"] or (None if gold_target.table else gold_table)
    return IngestTable(
        run_id=run_id,
        workflow_id=request.workflow_id,
        job_id=request.job_id,
        batch_id=batch_id,
        connection=connection,
        source=source,
        bronze=BronzeTarget(
            table=bronze.tableName or f"bronze_{stem}",
            load_strategy=bronze.loadStrategy,
            audit_columns=bronze.auditColumns,
            compression=bronze.compression,
        ),
        silver=SilverTarget(
            table=silver_table,
            primary_key=_columns(silver.primaryKey) if silver else [],
            strategy=silver.mergeStrategy if silver else "merge",
            deletes=_deletes(silver),
            quality_rules=silver.qualityRules if silver else [],
            schema_mode=silver.schemaMode if silver else "evolve",
            key_comparison=silver.keyComparison if silver else "source",
            null_keys=silver.nullKeys if silver else "match",
        ),
        gold=gold_target,
        default_names=[layer for layer, name in named.items() if not name] if entry.tableName else [],
    )


def _source(entry: TableConfig) -> SourceTable:
    """What to read, with no default left to guess."""
    cursor = [entry.deltaColumn] if isinstance(entry.deltaColumn, str) else entry.deltaColumn or []
    return SourceTable(
        table_name=entry.tableName,
        query=entry.query,
        is_incremental=entry.isIncremental,
        delta_column=cursor[0] if entry.isIncremental else None,
        tie_columns=cursor[1:] if entry.isIncremental else [],
        last_watermark=None if entry.lastWatermark is None else str(entry.lastWatermark),
        null_cursor=entry.nullCursor,
        cursor_clock=entry.cursorClock,
        allow_empty_refresh=entry.allowEmptyRefresh,
        accept_partial_view=entry.acceptPartialView,
        snapshot_isolation=entry.snapshotIsolation,
        count_rows=entry.countRows,
        derived_columns=entry.derivedColumns,
        excluded_columns=entry.columns.exclude if entry.columns else [],
    )


def _deletes(silver: SilverConfig | None) -> Deletes:
    """Hard unless the request says otherwise; history closes a version instead."""
    if silver is None:
        return "hard"
    return silver.deletes or ("soft" if silver.mergeStrategy == "scd2" else "hard")


def _gold(config: GoldConfig | None, table: str) -> GoldTarget:
    if config is None:
        return GoldTarget(table=table)
    models = [_model(model.tableName, model) for model in config.models]
    if config.sql:
        return GoldTarget(models=[_model(table, config), *models])
    key = _columns(config.primaryKey)
    settings: dict[str, Any] = {"build_strategy": config.buildStrategy, "quality_rules": config.qualityRules}
    return GoldTarget(table=table, primary_key=key, models=models, **settings)


def _model(table: str, asked: GoldModel | GoldConfig) -> GoldModelTarget:
    settings: dict[str, Any] = {"build_strategy": asked.buildStrategy, "quality_rules": asked.qualityRules}
    return GoldModelTarget(table=table, sql=given(asked.sql), primary_key=_columns(asked.primaryKey), **settings)


def _columns(given: str | list[str] | None) -> list[str]:
    return [given] if isinstance(given, str) else given or []


def _stem(entry: TableConfig, destination: DestinationConfig, loaded: Sequence[Loaded]) -> str:
    """The name that silver and gold take by default: the source table's, or the bronze table's for a query."""
    if entry.tableName:
        return default_stem(entry.tableName, list(loaded))
    name = destination.bronzeConfig.tableName
    if not name:
        problem = "a query needs destination_config.bronzeConfig.tableName: it has no table name of its own"
        raise InvalidRequest([{"field": "source_config.databaseConfig.query", "problem": problem}])
    return name.removeprefix("bronze_")
