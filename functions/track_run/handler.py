"""track_run: keeps the run history from what the bus tells, and shows it."""

from typing import Any
from urllib.parse import unquote

from events import facts
from events.dispatch import opened, read_message
from flowforge.aws.message import is_http, process_envelopes
from flowforge.runtime.entry_point import entry_point
from flowforge.runtime.http import resolver, whole_number
from flowforge.state import runs

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
def list_runs() -> dict:
    """The newest runs."""
    parameters = app.current_event.query_string_parameters
    limit = whole_number(parameters.get("limit"), "limit", 20, 200)
    return {"runs": runs.recent_runs(limit, parameters.get("workflow_id"))}


@app.get("/api/runs/<run_id>")
def get(run_id: str) -> dict:
    """One run with its tables."""
    return runs.read_run(unquote(run_id))


def track(envelope: dict, context: object) -> None:
    """Handles one event of the bus; JobAccepted has nothing to record, its run is there."""
    fact = read_message(opened(envelope), facts.JobAccepted, *RECORDED)
    if not isinstance(fact, facts.JobAccepted):
        runs.record(fact)


@entry_point
def handler(event: dict, context: Any) -> dict:
    """The function's entry point: HTTP calls, and messages of the track queue."""
    if is_http(event):
        return app.resolve(event, context)
    return process_envelopes(event, context, "track", track)
