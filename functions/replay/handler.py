"""replay: shows what is in the dead-letter queues, puts it back to work, or gives it up for good."""

import time
from typing import Annotated, Any

from aws_lambda_powertools.event_handler.openapi.params import Body, Query

from events.api.base import Cursor
from events.api.dead_letters import Discard, Discarded, DiscardedLimit, LetterLimit, Letters, Selection, SettledLetters
from flowforge.operations import replay
from flowforge.operations.replay import DeadLetterFilter
from flowforge.runtime.entry_point import entry_point
from flowforge.runtime.http import resolver, told
from flowforge.state import discards

app = resolver()


@app.get("/api/dead-letters")
def get(limit: Annotated[LetterLimit, Query()] = 1_000, cursor: Annotated[Cursor, Query()] = None) -> Letters:
    """A page of what lies there, the oldest first."""
    return told(replay.list_letters(limit, cursor))


@app.get("/api/dead-letters/discarded")
def get_discarded(
    limit: Annotated[DiscardedLimit, Query()] = 200, cursor: Annotated[Cursor, Query()] = None
) -> Discarded:
    """A page of what was given up for good, and why; the newest first."""
    return told(discards.newest(limit, cursor))


@app.post("/api/dead-letters/replay")
def post(body: Annotated[Selection, Body()]) -> SettledLetters:
    """Puts back what the body selects: {"all": true}, or any of "run_id", "table", "ids"."""
    return told((replay.preview if body.preview else replay.put_back)(_filter(body)))


@app.post("/api/dead-letters/discard")
def post_discard(body: Annotated[Discard, Body()]) -> SettledLetters:
    """Gives up what the body selects; "reason" says why and is kept."""
    chosen = _filter(body)
    return told(replay.preview(chosen) if body.preview else replay.discard(chosen, body.reason))


def _filter(body: Selection) -> DeadLetterFilter:
    until = time.time() if body.until is None else min(body.until, time.time())
    return DeadLetterFilter(body.run_id, body.table, frozenset(body.ids or ()), until)


@entry_point
def handler(event: dict, context: Any) -> dict:
    """The function's entry point."""
    return app.resolve(event, context)
