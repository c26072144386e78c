"""track_run: keeps the run history from what the bus tells, and shows it."""

from functools import partial
from typing import Annotated, Any

from aws_lambda_powertools.event_handler.openapi.params import Query
from aws_lambda_powertools.metrics import MetricUnit

from events import facts
from events.api.base import Cursor
from events.api.runs import Run, RunLimit, Runs, RunStatus, Since
from events.dispatch import opened, read_message
from flowforge.aws.ahead import facts_ahead
from flowforge.aws.message import is_http, metrics, process_envelopes
from flowforge.operations.pricing import with_prices
from flowforge.runtime.entry_point import entry_point
from flowforge.runtime.http import Name, resolver, told
from flowforge.state import run_changes, run_list, run_stories

app = resolver()
RECORDED = (
    facts.BronzeLanded,
    facts.SlicesRead,
    facts.IntervalEmpty,
    facts.WatermarkCommitted,
    facts.SilverRefined,
    facts.GoldPublished,
    facts.StepFailed,
)


@app.get("/api/runs")
def list_runs(
    limit: Annotated[RunLimit, Query()] = 20,
    workflow_id: Annotated[str | None, Query()] = None,
    cursor: Annotated[Cursor, Query()] = None,
    status: Annotated[RunStatus, Query()] = None,
) -> Runs:
    """A page of the runs, newest first: of all, or of a workflow; all of them, or those with one status."""
    return told(run_list.list_runs(limit, workflow_id, cursor, status))


@app.get("/api/runs/<id>")
def get(id: Name, since: Annotated[Since, Query()] = None) -> Run:
    """One run with its tables, and about what each has cost; with `since`, of its tables those alone that have changed."""
    return told(with_prices(run_changes.look_at(id, since)))


def track(envelope: dict, context: object, ahead: run_stories.Told | None = None) -> None:
    """Handles one event of the bus; JobAccepted has nothing to record, its run is there. `ahead` is what is written already."""
    fact = read_message(opened(envelope), facts.JobAccepted, *RECORDED)
    if isinstance(fact, facts.JobAccepted):
        metrics.add_metric(name="Runs", unit=MetricUnit.Count, value=1)
        return
    run_stories.record(fact, ahead)
    # A batch is told of again until it is in silver: only what silver did is counted once.
    if isinstance(fact, facts.SilverRefined) and not fact.already_applied:
        changed = fact.inserted + fact.updated + fact.deleted
        metrics.add_metric(name="RowsRefined", unit=MetricUnit.Count, value=changed)


@entry_point
def handler(event: dict, context: Any) -> dict:
    """The function's entry point: HTTP calls, and messages of the track queue."""
    if is_http(event):
        return app.resolve(event, context)
    ahead = run_stories.record_ahead(facts_ahead(event, *RECORDED))
    return process_envelopes(event, context, "track", partial(track, ahead=ahead))
