"""replay: shows what is in the dead-letter queues, and puts it back to work."""

from typing import Any

from events.request import InvalidRequest
from flowforge.http import json_body, resolver
from flowforge.recovery import replay
from flowforge.recovery.replay import Selection

app = resolver()
FIELDS = ("all", "run_id", "table", "ids")


@app.get("/api/dead-letters")
def get() -> dict:
    """What lies there, oldest first."""
    return replay.list_letters()


@app.post("/api/dead-letters/replay")
def post() -> dict:
    """Puts back what the body selects: {"all": true}, or any of "run_id", "table", "ids"."""
    return replay.put_back(_selection(json_body(app)))


def _selection(body: dict[str, Any]) -> Selection:
    """Raises InvalidRequest unless the body says what is meant: an empty one does not mean all."""
    mistakes = [{"field": field, "problem": "unknown field"} for field in sorted(set(body) - set(FIELDS))]
    mistakes += [
        {"field": field, "problem": "expected text"}
        for field in ("run_id", "table")
        if field in body and not (isinstance(body[field], str) and body[field])
    ]
    ids = body.get("ids", [])
    if not isinstance(ids, list) or not all(isinstance(one, str) for one in ids) or ("ids" in body and not ids):
        mistakes.append({"field": "ids", "problem": "expected a list of message ids"})
    named = {"run_id", "table", "ids"} & set(body)
    if (body.get("all") is True) == bool(named):
        mistakes.append({"field": "(body)", "problem": 'expected {"all": true}, or one of run_id, table, ids'})
    if mistakes:
        raise InvalidRequest(mistakes)
    return Selection(body.get("run_id"), body.get("table"), frozenset(ids))


def handler(event: dict, context: object) -> dict:
    """The function's entry point."""
    return app.resolve(event, context)
