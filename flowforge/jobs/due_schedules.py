"""The clock of schedules: looks once a minute which are due, and orders their runs.

Guarantees: a due time starts one run however many invocations see it: the run's id follows from the schedule and the due time,
the order is sent before the schedule moves on, and only one invocation moves it on. Nothing is started while a run of the
workflow is going; the schedule says when and why. Due times that passed while nobody looked become one run. Each schedule is
judged alone: one that fails says so, and is looked at again a minute later. Workflows that wait for others: `jobs.chains`.
"""

from datetime import datetime
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit

from events.commands import StartWorkflow
from flowforge.aws.fanout import send_commands
from flowforge.aws.message import logger, metrics
from flowforge.domain.alone import each_alone
from flowforge.domain.due_times import Missed
from flowforge.domain.errors import NotFound
from flowforge.domain.run_ids import run_id_of_delivery
from flowforge.jobs.chains import follow, waiting
from flowforge.jobs.going import going, moment_text
from flowforge.jobs.schedules import rule_of
from flowforge.runtime.settings import settings
from flowforge.state import schedules
from flowforge.state.schedules import Schedule, Skipped


def start_due(now: datetime) -> dict[str, int]:
    """Orders the runs of all schedules that are due by `now`; returns how many were `queued`, `skipped`, and `failed`."""
    found = [*schedules.due(moment_text(now)), *waiting(now)]
    done, failed = each_alone(found, lambda workflow: _look_after(workflow, now))
    for failure in failed:
        logger.error("schedule not looked after", what=failure.thing, cause=failure.cause, exc_info=failure.error)
        each_alone([failure.thing], lambda workflow, cause=failure.cause: _note(workflow, cause))
    if failed:
        metrics.add_metric(name="ScheduleFailures", unit=MetricUnit.Count, value=len(failed))
        metrics.flush_metrics()
    told = [what for _, what in done]
    return {"queued": told.count("queued"), "skipped": told.count("skipped"), "failed": len(failed)}


def _look_after(workflow: str, now: datetime) -> str | None:
    """Does what a schedule is due for; None where it is not, any more."""
    try:
        found = schedules.find(workflow)
    except NotFound:
        return None
    if found.paused or found.due_at > moment_text(now):
        return None
    if found.after:
        return follow(found, now)
    run_id = run_id_of_delivery("schedule", workflow, found.revision, found.due_at)
    passed = rule_of(found).passed(datetime.fromisoformat(found.due_at), now)
    following = {"due_at": moment_text(passed.following), "problem": ""}
    if why := going(found, run_id, now):
        times = found.skipped.times if found.skipped else 0
        skipped = Skipped(times=times + passed.times, due=moment_text(passed.last), at=moment_text(now), why=why)
        schedules.advance(found, found.model_copy(update=following | {"skipped": skipped}))
        return "skipped"
    order = StartWorkflow(new_run_id=run_id, workflow_id=workflow)
    send_commands(settings().submit_queue_url, [order])
    started = {"last_due": moment_text(passed.last), "last_run": run_id, "started_at": moment_text(now)}
    schedules.advance(
        found, found.model_copy(update=following | started | _missed(found, passed, now) | {"skipped": None})
    )
    return "queued"


def _missed(found: Schedule, passed: Missed, now: datetime) -> dict[str, Any]:
    if passed.times == 1:
        return {}
    last = moment_text(passed.last)
    return {"missed": schedules.Missed(times=passed.times, since=found.due_at, until=last, at=moment_text(now))}


def _note(workflow: str, cause: str) -> None:
    found = schedules.find(workflow)
    schedules.advance(found, found.model_copy(update={"problem": cause}))
