"""Finishes the submission of runs whose worker died before it had queued every table.

Guarantees: a run that exists gets every one of its commands; one that is queued twice is loaded once, since ingest knows its run.
What was kept of a run that was never opened is dropped: its caller got no answer.
"""

from events.facts import JobAccepted
from flowforge.cloud.bus import announce
from flowforge.jobs.fanout import send_commands
from flowforge.settings import settings
from flowforge.state import runs, unqueued

TABLES_TOLD = 1_000  # an event holds at most 256 KB


def finish_submissions(idle_seconds: float) -> int:
    """Queues the commands of runs that were accepted more than `idle_seconds` ago and not queued; returns how many runs."""
    finished = 0
    for run_id in unqueued.waiting(idle_seconds):
        commands = unqueued.kept(run_id)
        if commands and runs.is_open(run_id):
            send_commands(settings().ingest_queue_url, commands)
            first, tables = commands[0], [command.bronze.table for command in commands]
            told = {"run_id": run_id, "workflow_id": first.workflow_id, "job_id": first.job_id}
            announce(JobAccepted(**told, tables=tables[:TABLES_TOLD]))
            finished += 1
        unqueued.forget(run_id)
    return finished
