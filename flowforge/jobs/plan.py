"""Plans a run: a pure function from a job request to one IngestTable per table, with every default made explicit.

Guarantees that no two tables of a run share a destination in any layer.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

from pydantic import ValidationError

from events.commands import IngestTable
from events.names import split_table_name
from events.request import (
    DatabaseConfig,
    DestinationConfig,
    FileSource,
    InvalidRequest,
    JobRequest,
    TableConfig,
    mistakes_of,
)
from events.targets import FilePlace, ReadWindow, SourcePlace, SourceTable, WantedRows
from flowforge.jobs.destinations import targets_of
from flowforge.jobs.file_plan import plan_files
from flowforge.jobs.refusals import refuse_key, refuse_shared_destinations, refuse_source
from flowforge.sources.registry import kind_of
from flowforge.state.spelling import Loaded, Spellings, default_stem, spellings_of

PATTERN = "*"
DATABASE = "source_config.databaseConfig"
KEEPS_STATES = ("append", "scd2")  # what a full load has brought stays, whatever the next one brings


def plan_commands(
    request: JobRequest,
    run_id: str,
    batch_id: str,
    place: SourcePlace,
    expand: Callable[[str], Iterable[str]],
    loaded: Sequence[Loaded] = (),
) -> list[IngestTable]:
    """One command per table of the request, or one for its files; `expand` turns a pattern such as dbo.* into table names, and
    `loaded` is what the lake has of this source.

    A table that is named and also matched by a pattern is loaded once, with the settings of its entry and the catalog's spelling.
    Raises InvalidRequest for a pattern that matches nothing and for destinations that two tables would share.
    """
    source = request.source_config
    if isinstance(source, FileSource):
        assert isinstance(place, FilePlace)  # noqa: S101
        return [plan_files(request, source, run_id, batch_id, place)]
    commands, spellings = [], spellings_of(loaded)
    for entry in _entries(source.databaseConfig, expand):
        destination = _merged(request.destination_config, entry.destination_config)
        commands.append(_command(request, run_id, batch_id, place, entry, destination, spellings))
    refuse_shared_destinations(commands)
    return [_of_cut(command) for command in commands] if source.databaseConfig.consistentCut else commands


def _of_cut(command: IngestTable) -> IngestTable:
    """The command of a table that is read with the others of its run, as of one moment."""
    assert isinstance(command.source, SourceTable)  # noqa: S101
    return command.model_copy(update={"source": command.source.model_copy(update={"consistent_cut": True})})


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


def _entries(config: DatabaseConfig, expand: Callable[[str], Iterable[str]]) -> list[TableConfig]:
    if config.tables is None:
        return [config]
    named = [entry for entry in config.tables if isinstance(entry, TableConfig)]
    texts = [entry for entry in config.tables if isinstance(entry, str)]
    seen = {split_table_name(entry.tableName) for entry in named if entry.tableName}
    places = defaultdict[tuple[str, str], list[int]](list)  # of entries, by their names in small letters
    for place, entry in enumerate(named):
        if entry.tableName:
            places[_in_small_letters(entry.tableName)].append(place)
    for n, text in enumerate(texts):
        found = list(expand(text)) if PATTERN in text else [text]
        if not found:
            problem = f"the pattern {text!r} matches no table"
            raise InvalidRequest([{"field": f"{DATABASE}.tables.{n}", "problem": problem}])
        spelled = {split_table_name(name) for name in found} if PATTERN in text else set()
        for name in found:
            if (table := split_table_name(name)) in seen:
                continue
            seen.add(table)
            same = places[_in_small_letters(name)]
            # The catalog's spelling of a table that an entry names: another table only where the entry's spelling is one too.
            other = (place for place in same if split_table_name(str(named[place].tableName)) not in spelled)
            at = next(other, None) if spelled else None
            if at is None:
                same.append(len(named))
                named.append(TableConfig.model_validate({"tableName": name}))
            else:
                named[at] = named[at].model_copy(update={"tableName": name})
    return named


def _in_small_letters(name: str) -> tuple[str, str]:
    schema, table = split_table_name(name)
    return schema.lower(), table.lower()


def _command(
    request: JobRequest,
    run_id: str,
    batch_id: str,
    connection: SourcePlace,
    entry: TableConfig,
    destination: DestinationConfig,
    spellings: Spellings,
) -> IngestTable:
    silver = destination.silverConfig
    keeps = entry.isIncremental or (silver is not None and silver.mergeStrategy in KEEPS_STATES)
    source = _source(entry)
    refuse_key(source.protection_key, DATABASE)
    refuse_source(kind_of(connection.kind), source, DATABASE, keeps=keeps)
    targets = targets_of(destination, _stem(entry, destination, spellings))
    return IngestTable(
        run_id=run_id,
        workflow_id=request.workflow_id,
        job_id=request.job_id,
        batch_id=batch_id,
        connection=connection,
        source=source,
        bronze=targets.bronze,
        silver=targets.silver,
        gold=targets.gold,
        default_names=targets.default_names if entry.tableName else [],
    )


def _source(entry: TableConfig) -> SourceTable:
    """What to read, with no default left to guess."""
    cursor = [entry.deltaColumn] if isinstance(entry.deltaColumn, str) else entry.deltaColumn or []
    return SourceTable(
        table_name=entry.tableName,
        query=entry.query,
        is_incremental=entry.isIncremental,
        delta_column=cursor[0] if entry.isIncremental and cursor else None,
        change_tracking=entry.changeTracking,
        on_gap=entry.onGap,
        tie_columns=cursor[1:] if entry.isIncremental else [],
        last_watermark=None if entry.lastWatermark is None else str(entry.lastWatermark),
        window=_window(entry),
        null_cursor=entry.nullCursor,
        cursor_clock=entry.cursorClock,
        allow_empty_refresh=entry.allowEmptyRefresh,
        accept_partial_view=entry.acceptPartialView,
        snapshot_isolation=entry.snapshotIsolation,
        count_rows=entry.countRows,
        derived_columns=entry.derivedColumns,
        excluded_columns=entry.columns.exclude if entry.columns else [],
        included_columns=entry.columns.include if entry.columns else [],
        rename=entry.rename,
        cast=entry.cast,
        protect=entry.protect,
        protection_key=entry.protectionKey or "",
        where=[WantedRows(column=one.column, operator=one.operator, values=one.values) for one in entry.where],
    )


def _window(entry: TableConfig) -> ReadWindow | None:
    if entry.window is None:
        return None
    low, high = (None if bound is None else str(bound) for bound in (entry.window.from_, entry.window.to))
    return ReadWindow(low=low, high=high, column=entry.window.column)


def _stem(entry: TableConfig, destination: DestinationConfig, spellings: Spellings) -> str:
    """The name that silver and gold take by default: the source table's, or the bronze table's for a query."""
    if entry.tableName:
        return default_stem(entry.tableName, spellings)
    name = destination.bronzeConfig.tableName
    if not name:
        problem = "a query needs destination_config.bronzeConfig.tableName: it has no table name of its own"
        raise InvalidRequest([{"field": f"{DATABASE}.query", "problem": problem}])
    return name.removeprefix("bronze_")
