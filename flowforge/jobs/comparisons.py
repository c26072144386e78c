"""Runs that compare a table's keys with silver: when they are due, and when a person asks for one.

Guarantees: an order that comes twice starts one run. Its workflow has a name of its own, so that a schedule does not wait for it,
and a chain does not follow it.
"""

from typing import Any

from events.commands import CompareKeys
from events.targets import SourceTable
from flowforge.jobs.submission import open_and_queue
from flowforge.state import outbox, runs

OF_DELETES = ".deletes"  # behind a workflow's id: its comparisons


def compare_keys(wanted: CompareKeys) -> None:
    """Starts the run of an order."""
    run_id, load = wanted.new_run_id, wanted.load
    if runs.is_open(run_id) and not outbox.kept(run_id)[0]:
        return
    workflow = load.workflow_id.removesuffix(OF_DELETES) + OF_DELETES
    label = f"keys_{run_id.removeprefix('run_')}"
    own: dict[str, Any] = {"run_id": run_id, "workflow_id": workflow, "batch_id": label, "only_keys": True}
    if isinstance(load.source, SourceTable):  # a window is of that load alone
        own["source"] = load.source.model_copy(update={"window": None})
    command = load.model_copy(update=own | {"replayed": False, "given_up": []})
    open_and_queue(run_id, (workflow, load.job_id, label), wanted.trigger, [command], {})
