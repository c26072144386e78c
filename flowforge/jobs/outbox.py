"""Finishes the submission of runs whose worker died before it had queued every table.

Guarantees: a run that exists gets every one of its commands; one that is queued twice is loaded once, since ingest knows its run.
What was kept of a run that was never opened is dropped: its caller got no answer. Each run is judged alone, and goes behind the
others before it is looked at; a table whose command cannot be read any more has failed, and its run says so.
"""

from typing import Any

from events.commands import IngestTable
from events.facts import JobAccepted, StepFailed
from flowforge.aws.bus import announce
from flowforge.domain.alone import Failure, each_alone
from flowforge.jobs.queueing import queue_tables
from flowforge.state import outbox, run_unchanged, runs

TABLES_TOLD = 1_000  # an event holds at most 256 KB
UNREADABLE = "what was kept of the request for this table cannot be read any more, and its queue has not got it"


def finish_submissions(idle_seconds: float) -> tuple[int, list[Failure[str]]]:
    """Queues the commands of runs that were accepted more than `idle_seconds` ago and not queued; returns how many runs, and
    those at which that failed."""
    try:
        found = outbox.waiting(idle_seconds)
    except Exception as error:
        return 0, [Failure("runs that are not queued", error)]
    done, failed = each_alone(found, _finish)
    return sum(finished for _, finished in done), failed


def _finish(run_id: str) -> bool:
    outbox.take_turn(run_id)
    commands, whole = outbox.kept(run_id)
    is_open = runs.is_open(run_id)
    if commands and is_open:
        queue_tables(commands)
        first, tables = commands[0], [command.bronze.table for command in commands]
        told = tables[:TABLES_TOLD]
        announce(JobAccepted(run_id=run_id, workflow_id=first.workflow_id, job_id=first.job_id, tables=told))
    if is_open and not whole:
        _tell_unreadable(run_id, commands)
        outbox.set_aside(run_id)
    else:
        outbox.forget(run_id)
    return bool(commands) and is_open


def _tell_unreadable(run_id: str, sent: list[IngestTable]) -> None:
    lost = set(runs.tables_of(run_id)) - {command.bronze.table for command in sent} - run_unchanged.names_in_run(run_id)
    told: dict[str, Any] = {"step": "ingest", "error": "UnreadableRecord", "cause": UNREADABLE}
    told["remedy"] = "Submit the request again."
    announce(*(StepFailed(run_id=run_id, bronze_table=table, **told) for table in sorted(lost)))
