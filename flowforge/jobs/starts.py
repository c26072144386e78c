"""Starts a workflow by the request that its schedule keeps, as the schedule's clock has ordered it.

Guarantees: an order that comes twice starts one run. A request that can no longer be taken (its connection is gone, say) shows as
a rejected run with the reason, and is told on the bus. A schedule that is there without its request is an error, and no removed
one.
"""

from aws_lambda_powertools import Logger

from events.commands import StartWorkflow
from events.facts import StepFailed
from events.request import InvalidRequest
from flowforge.aws.bus import announce
from flowforge.domain.errors import Fatal
from flowforge.jobs.submission import submit
from flowforge.state import outbox, runs, schedules

logger = Logger(service="flowforge")
MISTAKES_TOLD = 10


def start_workflow(wanted: StartWorkflow) -> None:
    """Starts the run of an order. A schedule that was removed meanwhile starts none."""
    run_id = wanted.new_run_id
    if runs.is_open(run_id) and not outbox.kept(run_id)[0]:
        return
    document = schedules.request_of(wanted.workflow_id)
    if document is None and not schedules.exists(wanted.workflow_id):
        logger.info("no such schedule any more", workflow=wanted.workflow_id, run_id=run_id)
        return
    document = document or schedules.request_of(wanted.workflow_id)  # set anew at that moment
    if document is None:
        raise schedules.lost_request(wanted.workflow_id)
    try:
        submit(document, run_id, wanted.trigger, wanted.workflow_id)
    except (InvalidRequest, Fatal) as error:
        logger.warning("request rejected", run_id=run_id, cause=str(error))
        _announce(wanted, error)


def _announce(wanted: StartWorkflow, error: InvalidRequest | Fatal) -> None:
    cause = f"workflow {wanted.workflow_id} was not started: {_cause(error)}"
    announce(
        StepFailed(
            run_id=wanted.new_run_id,
            bronze_table="",
            step="submit",
            error=type(error).__name__,
            cause=cause,
            remedy="Set its schedule again, or mend what it names: flowforge schedules list",
        )
    )


def _cause(error: InvalidRequest | Fatal) -> str:
    if isinstance(error, InvalidRequest):
        return "; ".join(f"{mistake['field']}: {mistake['problem']}" for mistake in error.mistakes[:MISTAKES_TOLD])
    return error.with_remedy
