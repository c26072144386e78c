"""Plans a job of files: one command, with every default made explicit.

A key or pattern without landing/ is below the job's own folder. Rows without a key are added, file by file; with one, a row of a
later file takes the place of an earlier one. A full_refresh takes each file for the whole table.
"""

from events.choices import MergeStrategy
from events.commands import IngestTable
from events.files import FileColumn, FileContract
from events.names import destination_stem
from events.request import DestinationConfig, FileColumnConfig, FileConfig, FileSource, JobRequest
from events.request.files import LANDING
from events.targets import FilePlace, SourceFiles
from flowforge.domain.own_columns import CHANGE_TYPE
from flowforge.jobs.destinations import listed, targets_of
from flowforge.jobs.refusals import refuse_key, refuse_source
from flowforge.sources.registry import kind_of

FILES = "source_config.fileConfig"


def plan_files(request: JobRequest, source: FileSource, run_id: str, batch_id: str, place: FilePlace) -> IngestTable:
    """The command of a request for files. Raises InvalidRequest."""
    destination = request.destination_config
    refreshes, has_key = _is_refresh(destination), _has_key(destination)
    read = files_of(request, source, together=not (refreshes or has_key))
    strategy: MergeStrategy = "merge" if refreshes or has_key else "append"
    targets = targets_of(destination, default_stem_of(request, destination), strategy)
    refuse_key(read.protection_key, FILES)
    refuse_source(kind_of(place.kind), read, FILES, keeps=targets.silver.strategy in ("append", "scd2"))
    return IngestTable(
        run_id=run_id,
        workflow_id=request.workflow_id,
        job_id=request.job_id,
        batch_id=batch_id,
        connection=place,
        source=read,
        bronze=targets.bronze,
        silver=targets.silver,
        gold=targets.gold,
    )


def files_of(request: JobRequest, source: FileSource, together: bool = True) -> SourceFiles:
    """Which files a request means, and how they are read; `together` where it does not say."""
    config, folder = source.fileConfig, f"{LANDING}{request.workflow_id}/{request.job_id}/"
    keys, pattern = _meant(config, folder)
    return SourceFiles(
        workflow=request.workflow_id,
        job=request.job_id,
        keys=keys,
        pattern=pattern,
        order=config.order,
        date_pattern=config.datePattern or "yyyyMMdd",
        changed=config.changedFile,
        together=together if config.together is None else config.together,
        allow_empty_refresh=config.allowEmptyRefresh,
        protect=config.protect,
        protection_key=config.protectionKey or "",
        contract=contract_of(source),
    )


def contract_of(source: FileSource) -> FileContract:
    """How a request has its files read."""
    config = source.fileConfig
    return FileContract(
        format=source.type,
        compression=config.compressionType,
        member=config.member,
        encoding=config.encoding,
        delimiter=config.delimiter or ("\t" if source.type == "tsv" else ","),
        quote=config.quote,
        escape=config.escape,
        header=config.hasHeader,
        skip_rows=config.skipRows,
        skip_footer_rows=config.skipFooterRows,
        null_words=config.nullWords,
        empty_is_null=config.emptyIsNull,
        records_at=config.recordsAt or "",
        flatten=config.flatten,
        sheet=config.sheet,
        cell_range=config.cellRange,
        header_row=config.headerRow,
        columns=[_column(n, one, config) for n, one in enumerate(config.columns, start=1)],
        bad_rows=config.badRows,
        most_bad_rows=config.mostBadRows,
        most_bad_share=config.mostBadShare,
        unknown_columns=config.unknownColumns,
        types=config.types,
        column_names=config.columnNames,
    )


def default_stem_of(request: JobRequest, destination: DestinationConfig) -> str:
    """The name that silver and gold take by default: the bronze table's, where the request names it, else the job's."""
    named = destination.bronzeConfig.tableName
    return named.removeprefix("bronze_") if named else destination_stem("dbo", request.job_id)


def _meant(config: FileConfig, folder: str) -> tuple[list[str], str]:
    """The keys, or the pattern."""
    paths = listed(config.filePath)
    if config.uploadMode == "directory":
        return [], f"{_below(folder, paths[0]).removesuffix('/')}/*"
    if config.filePattern and config.uploadMode in (None, "pattern"):
        return [], _below(folder, config.filePattern)
    return ([_below(folder, path) for path in paths], "") if paths else ([], f"{folder}*")


def _below(folder: str, path: str) -> str:
    return path if path.startswith(LANDING) else f"{folder}{path}"


def _column(place: int, column: FileColumnConfig, config: FileConfig) -> FileColumn:
    return FileColumn(
        name=CHANGE_TYPE if column.operations else column.name,
        field=column.field or (column.name if config.hasHeader else str(place)),
        type=column.type,
        pattern=column.pattern,
        decimal_comma=column.decimalComma,
        thousands=column.thousands,
        nullable=column.nullable and not column.operations,
        start=column.start,
        width=column.width,
        operations=column.operations,
    )


def _is_refresh(destination: DestinationConfig) -> bool:
    return destination.bronzeConfig.loadStrategy == "full_refresh"


def _has_key(destination: DestinationConfig) -> bool:
    return destination.silverConfig is not None and bool(destination.silverConfig.primaryKey)
