"""Accepts a job request: opens the run, hides the password, queues one message per table.

A run's id follows from its delivery, so a redelivered request finds its run and queues the same tables again, which ingest
recognises; nothing is loaded twice. The run exists before anybody is told of it; what it has still to queue when its worker
dies is kept for the sweeper (`state/outbox.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from events.commands import IngestTable
from events.facts import JobAccepted
from events.request import FileSource, InvalidRequest, JobRequest, parse_job_request
from events.targets import FilePlace, SourceFiles, SourcePlace
from flowforge.aws.bus import announce
from flowforge.domain.errors import Fatal
from flowforge.domain.source_key import SourceKey
from flowforge.jobs.keeping import kept_request
from flowforge.jobs.outbox import TABLES_TOLD
from flowforge.jobs.plan import plan_commands
from flowforge.jobs.queueing import queue_tables
from flowforge.jobs.refusals import refuse_large_commands
from flowforge.jobs.unchanged import facts_of, unchanged_tables
from flowforge.runtime.settings import settings
from flowforge.sources.registry import source_at
from flowforge.state import file_jobs, outbox, runs
from flowforge.state.connections import to_reference
from flowforge.state.file_jobs import FileJob
from flowforge.state.run_unchanged import Unchanged
from flowforge.state.spelling import Loaded, loaded_from

LANDING, SWEEP = "landing", "sweep"  # what started a run: a file, or the sweep, which has found one
KEPT = (LANDING, SWEEP)  # what submits a request that is kept


@dataclass(frozen=True)
class Accepted:
    """The answer to a request that was taken."""

    run_id: str
    request: JobRequest
    place: SourcePlace
    batch_id: str
    tables: list[str]


@dataclass(frozen=True)
class Planned:
    """A request that can be taken, and what it comes to."""

    request: JobRequest
    place: SourcePlace
    batch_id: str
    commands: list[IngestTable]
    loaded: list[Loaded]


def plan(document: Any, run_id: str, workflow_id: str | None = None) -> Planned:
    """What a job request comes to; nothing is queued or told. Raises InvalidRequest with every mistake, or what stops the run
    from being planned."""
    request = parse_job_request(document, workflow_id)
    batch_id = request.batch_id or f"batch_{datetime.now(UTC):%Y%m%d_%H%M%S}_{run_id[-6:]}"
    place = _place_of(request)
    loaded = loaded_from(place)
    commands = plan_commands(request, run_id, batch_id, place, lambda pattern: _expand(place, pattern), loaded)
    refuse_large_commands(commands)
    return Planned(request, place, batch_id, commands, loaded)


def submit(document: Any, run_id: str, trigger: str, workflow_id: str | None = None) -> Accepted:
    """Takes a job request. Raises InvalidRequest with every mistake, or what stops the run from being planned; a run that
    came by a file or the bus is then kept as rejected, since its sender reads no answer."""
    try:
        planned = plan(document, run_id, workflow_id)
    except (InvalidRequest, Fatal) as error:
        if trigger != "http" and isinstance(error, InvalidRequest | Fatal):
            runs.reject(run_id, trigger, _mistakes(error))
        raise
    request, commands, batch_id = planned.request, planned.commands, planned.batch_id
    if trigger not in KEPT:
        _keep_jobs(document, request, commands)
    called = {"workflow_name": request.workflow_name, "job_name": request.job_name}
    still = unchanged_tables(run_id, planned.place, commands, planned.loaded)
    names = open_and_queue(run_id, (request.workflow_id, request.job_id, batch_id), trigger, commands, called, still)
    return Accepted(run_id, request, planned.place, batch_id, names)


def open_and_queue(
    run_id: str,
    ids: tuple[str, str, str],
    trigger: str,
    commands: list[IngestTable],
    called: dict[str, str | None],
    unchanged: Sequence[Unchanged] = (),
) -> list[str]:
    """Opens a run of (workflow, job, batch label), queues its tables but for those that are `unchanged`, and tells of it; returns
    the bronze names of all."""
    workflow_id, job_id, batch_id = ids
    tables = [(c.bronze.table, c.source.title) for c in commands]
    still = {one.bronze_table for one in unchanged}
    queued = [c for c in commands if c.bronze.table not in still]
    if queued:
        outbox.keep(run_id, queued)
    runs.open_run(run_id, workflow_id, job_id, batch_id, trigger, tables, called, unchanged=unchanged)
    queue_tables(queued)
    if queued:
        outbox.forget(run_id)
    names = [bronze for bronze, _ in tables]
    accepted = JobAccepted(run_id=run_id, workflow_id=workflow_id, job_id=job_id, tables=names[:TABLES_TOLD])
    announce(accepted, *facts_of(run_id, unchanged))
    return names


def _place_of(request: JobRequest) -> SourcePlace:
    source = request.source_config
    return (
        FilePlace(bucket=settings().bucket)
        if isinstance(source, FileSource)
        else to_reference(source.connection, source.type)
    )


def _keep_jobs(document: Any, request: JobRequest, commands: list[IngestTable]) -> None:
    """Keeps a job of files, so that its next file starts it: in today's form, and without what has no meaning."""
    for command in commands:
        if isinstance(command.source, SourceFiles) and isinstance(command.connection, FilePlace):
            read, place = command.source, command.connection
            key = str(SourceKey.of(place, read.workflow, read.job, command.bronze.table))
            where = {"bucket": place.bucket, "keys": read.keys, "pattern": read.pattern, "source_key": key}
            where |= {"contract": read.contract_id, "adds_only": command.silver.strategy == "append"}
            file_jobs.keep(FileJob(workflow=read.workflow, job=read.job, **where), kept_request(document, request))


def _expand(connection: SourcePlace, pattern: str) -> list[str]:
    with source_at(connection).session() as session:
        return session.expand(pattern)


def _mistakes(error: Exception) -> list[dict[str, str]]:
    if isinstance(error, InvalidRequest):
        return error.mistakes
    remedy = getattr(error, "remedy", "")
    return [{"field": "(run)", "problem": f"{error} {remedy}".strip()}]
