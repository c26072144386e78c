"""replay: shows what is in the dead-letter queues, puts it back to work, or gives it up for good."""

import time
from typing import Any

from events.request import InvalidRequest
from flowforge.operations import replay
from flowforge.operations.replay import DeadLetterFilter
from flowforge.runtime.entry_point import entry_point
from flowforge.runtime.http import json_body, resolver
from flowforge.state import discards

app = resolver()
FIELDS = ("all", "run_id", "table", "ids", "until")
MOST_CHARACTERS = 500  # of a reason


@app.get("/api/dead-letters")
def get() -> dict:
    """What lies there, oldest first."""
    return replay.list_letters()


@app.get("/api/dead-letters/discarded")
def get_discarded() -> dict:
    """What was given up for good, and why."""
    return {"discarded": discards.newest()}


@app.post("/api/dead-letters/replay")
def post() -> dict:
    """Puts back what the body selects: {"all": true}, or any of "run_id", "table", "ids"."""
    return replay.put_back(_filter(json_body(app), FIELDS))


@app.post("/api/dead-letters/discard")
def post_discard() -> dict:
    """Gives up what the body selects; "reason" says why and is kept."""
    body = json_body(app)
    chosen = _filter(body, (*FIELDS, "reason"))
    reason = body.get("reason")
    if not isinstance(reason, str) or not reason.strip() or len(reason) > MOST_CHARACTERS:
        problem = f"expected text of at most {MOST_CHARACTERS} characters: why nobody wants the messages any more"
        raise InvalidRequest([{"field": "reason", "problem": problem}])
    return replay.discard(chosen, reason.strip())


def _filter(body: dict[str, Any], fields: tuple[str, ...]) -> DeadLetterFilter:
    """Raises InvalidRequest unless the body says what is meant: an empty one does not mean all."""
    mistakes = [{"field": field, "problem": "unknown field"} for field in sorted(set(body) - set(fields))]
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
    until = body.get("until", time.time())
    if isinstance(until, bool) or not isinstance(until, int | float):
        mistakes.append(
            {"field": "until", "problem": "expected a time in epoch seconds, as an answer before has told it"}
        )
    if mistakes:
        raise InvalidRequest(mistakes)
    return DeadLetterFilter(body.get("run_id"), body.get("table"), frozenset(ids), min(float(until), time.time()))


@entry_point
def handler(event: dict, context: Any) -> dict:
    """The function's entry point."""
    return app.resolve(event, context)
