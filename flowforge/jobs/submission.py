"""Accepts a job request: opens the run, hides the password, queues one message per table.

A run's id follows from its delivery, so a redelivered request finds its run and queues the same tables again, which ingest
recognises; nothing is loaded twice. The run exists before anybody is told of it; what it has still to queue when its worker
dies is kept for the sweeper (see `unfinished`).
"""

import hashlib
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from events.facts import JobAccepted
from events.request import InvalidRequest, JobRequest, parse_job_request
from events.targets import ConnectionReference
from flowforge.aws.bus import announce
from flowforge.aws.fanout import send_commands
from flowforge.domain.errors import Fatal
from flowforge.jobs.outbox import TABLES_TOLD
from flowforge.jobs.plan import plan_tables
from flowforge.jobs.refusals import refuse_large_commands
from flowforge.runtime.settings import settings
from flowforge.sources.registry import source_at
from flowforge.state import outbox, runs
from flowforge.state.connections import to_reference
from flowforge.state.spelling import loaded_from


@dataclass(frozen=True)
class Accepted:
    """The answer to a request that was taken."""

    run_id: str
    request: JobRequest
    connection: ConnectionReference
    batch_id: str
    tables: list[str]


def new_run_id() -> str:
    """A run id for one HTTP call; sorts by time."""
    return f"run_{datetime.now(UTC):%Y%m%dT%H%M%S}_{uuid.uuid4().hex[:10]}"


def run_id_of_delivery(*identity: str) -> str:
    """The run id of a delivery that may come again: a bus event, an object's version."""
    return "run_" + hashlib.sha256("\n".join(identity).encode()).hexdigest()[:24]


def submit(document: Any, run_id: str, trigger: str, workflow_id: str | None = None) -> Accepted:
    """Takes a job request. Raises InvalidRequest with every mistake, or what stops the run from being planned; a run that
    came by a file or the bus is then kept as rejected, since its sender reads no answer."""
    try:
        request = parse_job_request(document, workflow_id)
        batch_id = request.batch_id or f"batch_{datetime.now(UTC):%Y%m%d_%H%M%S}_{run_id[-6:]}"
        connection = to_reference(request.source_config.connection)
        loaded = loaded_from(connection)
        commands = plan_tables(
            request, run_id, batch_id, connection, lambda pattern: _expand(connection, pattern), loaded
        )
        refuse_large_commands(commands)
    except (InvalidRequest, Fatal) as error:
        if trigger != "http" and isinstance(error, InvalidRequest | Fatal):
            runs.reject(run_id, trigger, _mistakes(error))
        raise
    tables = [(c.bronze.table, c.source.table_name or "query") for c in commands]
    outbox.keep(run_id, commands)
    called = {"workflow_name": request.workflow_name, "job_name": request.job_name}
    runs.open_run(run_id, request.workflow_id, request.job_id, batch_id, trigger, tables, called)
    send_commands(settings().ingest_queue_url, commands)
    outbox.forget(run_id)
    names = [bronze for bronze, _ in tables]
    announce(
        JobAccepted(run_id=run_id, workflow_id=request.workflow_id, job_id=request.job_id, tables=names[:TABLES_TOLD])
    )
    return Accepted(run_id, request, connection, batch_id, names)


def _expand(connection: ConnectionReference, pattern: str) -> list[str]:
    with source_at(connection).session() as session:
        return session.expand(pattern)


def _mistakes(error: Exception) -> list[dict[str, str]]:
    if isinstance(error, InvalidRequest):
        return error.mistakes
    remedy = getattr(error, "remedy", "")
    return [{"field": "(run)", "problem": f"{error} {remedy}".strip()}]
