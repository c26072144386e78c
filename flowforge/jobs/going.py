"""Whether a workflow's last run is still going, so that a schedule waits; and moments as schedules keep them."""

from datetime import UTC, datetime, timedelta

from flowforge.domain.errors import FlowForgeError, NotFound
from flowforge.state import run_list, runs
from flowforge.state.schedules import Schedule

UNOPENED = timedelta(hours=1)  # how long a run that was ordered and is not there yet counts as going
LONGEST = timedelta(hours=24)  # a run that is older holds nothing up: its tables take turns anyway
LOOKED_AT = 5  # runs of a workflow, the newest


def going(schedule: Schedule, own: str, now: datetime) -> str:
    """Why a run of the workflow other than `own` is still going; empty where none is."""
    newest = run_list.newest_of(schedule.workflow, LOOKED_AT)
    last = [schedule.last_run] if schedule.last_run else []
    for run_id in [*last, *(one for one in newest if one not in last)]:
        if run_id != own and (why := _is_going(schedule, run_id, now)):
            return why
    return ""


def moment_text(moment: datetime) -> str:
    """A moment as schedules keep it; texts are in the order of time."""
    return moment.astimezone(UTC).isoformat(timespec="seconds")


def exact_text(moment: datetime) -> str:
    """The same to the millisecond, as runs keep it; it comes behind the text of its second."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")


def _is_going(schedule: Schedule, run_id: str, now: datetime) -> str:
    try:
        run = runs.read_run(run_id)
    except NotFound:
        ordered = datetime.fromisoformat(schedule.started_at) if run_id == schedule.last_run else None
        return f"run {run_id} is queued and has not begun" if ordered and now - ordered < UNOPENED else ""
    except (FlowForgeError, ValueError, TypeError, KeyError):
        return ""  # what cannot be read holds nothing up
    if run["status"] not in ("accepted", "running"):
        return ""
    accepted = datetime.fromisoformat(run["accepted_at"])
    return f"run {run_id} is {run['status']} since {moment_text(accepted)}" if now - accepted < LONGEST else ""
