"""Plans a run: a pure function from a job request to one IngestTable per table, with every default made explicit.

Guarantees that no two tables of a run share a destination in any layer.
"""

from collections.abc import Callable, Iterable

from events.commands import IngestTable
from events.names import destination_stem, split_table_name
from events.quality import Expression, Rule
from events.request import Deletes, DestinationConfig, InvalidRequest, JobRequest, SilverConfig, TableConfig
from events.targets import (
    BronzeTarget,
    ConnectionReference,
    GoldModelTarget,
    GoldTarget,
    SilverTarget,
    SourceTable,
)

PATTERN = "*"


def plan_tables(
    request: JobRequest,
    run_id: str,
    batch_id: str,
    connection: ConnectionReference,
    expand: Callable[[str], Iterable[str]],
) -> list[IngestTable]:
    """One command per table of the request; `expand` turns a pattern such as dbo.* into table names.

    A table that is named and also matched by a pattern is loaded once, as named. Raises InvalidRequest for a pattern that
    matches nothing and for destinations that two tables would share.
    """
    commands = []
    for entry in _entries(request, expand):
        destination = entry.destination_config or request.destination_config
        commands.append(_command(request, run_id, batch_id, connection, entry, destination))
    _refuse_shared_destinations(commands)
    return commands


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
        for name in found:
            if split_table_name(name) not in seen:
                seen.add(split_table_name(name))
                named.append(TableConfig(tableName=name))
    return named


def _command(
    request: JobRequest,
    run_id: str,
    batch_id: str,
    connection: ConnectionReference,
    entry: TableConfig,
    destination: DestinationConfig,
) -> IngestTable:
    bronze, silver, gold = destination.bronzeConfig, destination.silverConfig, destination.goldConfig
    stem = _stem(entry, destination)
    key = silver.primaryKey if silver else None
    silver_table = (silver.tableName if silver else None) or stem
    gold_table = (gold.tableName if gold else None) or silver_table
    models = [GoldModelTarget(table=m.tableName, sql=m.sql) for m in gold.models] if gold else []
    if gold and gold.sql:
        models.insert(0, GoldModelTarget(table=gold_table, sql=gold.sql))
    _refuse_models(models)
    _refuse_expressions(silver.qualityRules if silver else [])
    cursor = [entry.deltaColumn] if isinstance(entry.deltaColumn, str) else entry.deltaColumn or []
    return IngestTable(
        run_id=run_id,
        workflow_id=request.workflow_id,
        job_id=request.job_id,
        batch_id=batch_id,
        connection=connection,
        source=SourceTable(
            table_name=entry.tableName,
            query=entry.query,
            is_incremental=entry.isIncremental,
            delta_column=cursor[0] if entry.isIncremental else None,
            tie_columns=cursor[1:] if entry.isIncremental else [],
            last_watermark=None if entry.lastWatermark is None else str(entry.lastWatermark),
            null_cursor=entry.nullCursor,
            cursor_clock=entry.cursorClock,
            allow_empty_refresh=entry.allowEmptyRefresh,
            snapshot_isolation=entry.snapshotIsolation,
        ),
        bronze=BronzeTarget(
            table=bronze.tableName or f"bronze_{stem}",
            load_strategy=bronze.loadStrategy,
            audit_columns=bronze.auditColumns,
            compression=bronze.compression,
        ),
        silver=SilverTarget(
            table=silver_table,
            primary_key=[key] if isinstance(key, str) else key or [],
            strategy=silver.mergeStrategy if silver else "merge",
            deletes=_deletes(silver),
            quality_rules=silver.qualityRules if silver else [],
            schema_mode=silver.schemaMode if silver else "evolve",
        ),
        gold=GoldTarget(table=None if gold and gold.sql else gold_table, models=models),
    )


def _deletes(silver: SilverConfig | None) -> Deletes:
    """Hard unless the request says otherwise; history closes a version instead."""
    if silver is None:
        return "hard"
    return silver.deletes or ("soft" if silver.mergeStrategy == "scd2" else "hard")


def _refuse_models(models: list[GoldModelTarget]) -> None:
    """Refuses SQL that a gold model must not contain, before anything is loaded."""
    if not models:
        return
    from flowforge.lake.statements import NotAllowed, tables_read

    mistakes = []
    for model in models:
        try:
            tables_read(model.sql, ("silver", "gold"))
        except NotAllowed as error:
            field = f"destination_config.goldConfig model {model.table}"
            mistakes.append({"field": field, "problem": str(error)})
    if mistakes:
        raise InvalidRequest(mistakes)


def _refuse_expressions(rules: list[Rule]) -> None:
    """Refuses SQL that a quality rule must not contain, before anything is loaded."""
    expressions = [rule for rule in rules if isinstance(rule, Expression)]
    if not expressions:
        return
    from flowforge.lake.statements import NotAllowed
    from flowforge.quality.expressions import check_expression

    mistakes = []
    for rule in expressions:
        try:
            check_expression(rule.sql)
        except NotAllowed as error:
            field = f"destination_config.silverConfig.qualityRules {rule.title}"
            mistakes.append({"field": field, "problem": str(error)})
    if mistakes:
        raise InvalidRequest(mistakes)


def _stem(entry: TableConfig, destination: DestinationConfig) -> str:
    """The name that silver and gold take by default: the source table's, or the bronze table's for a query."""
    if entry.tableName:
        return destination_stem(*split_table_name(entry.tableName))
    name = destination.bronzeConfig.tableName
    if not name:
        problem = "a query needs destination_config.bronzeConfig.tableName: it has no table name of its own"
        raise InvalidRequest([{"field": "source_config.databaseConfig.query", "problem": problem}])
    return name.removeprefix("bronze_")


def _refuse_shared_destinations(commands: list[IngestTable]) -> None:
    mistakes = []
    for layer, name in (
        ("bronze", lambda c: c.bronze.table),
        ("silver", lambda c: c.silver.table),
        ("gold", lambda c: c.gold.table),
    ):
        owners: dict[str, str] = {}
        for command in commands:
            source, target = command.source.table_name or "query", name(command)
            if target is not None and owners.setdefault(target, source) is not source:
                problem = (
                    f"{owners[target]} and {source} would both fill {layer} table {target!r}; name one differently"
                )
                mistakes.append({"field": "source_config.databaseConfig.tables", "problem": problem})
    if mistakes:
        raise InvalidRequest(mistakes)
