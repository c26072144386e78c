"""watermark: turns landed batches into watermarks; shows, sets and resets them; sweeps up, and folds old history."""

from typing import Any
from urllib.parse import unquote

from events.facts import BronzeLanded
from flowforge.aws.bus import announce
from flowforge.aws.message import is_http, process_messages
from flowforge.operations import watermarks
from flowforge.operations.folding import fold_history
from flowforge.operations.sweep import sweep
from flowforge.runtime.entry_point import entry_point
from flowforge.runtime.http import json_body, resolver

app = resolver()


@app.get("/api/watermarks")
def list_all() -> dict:
    """All watermarks."""
    return {"watermarks": watermarks.list_all()}


@app.get("/api/watermarks/<table>")
def get(table: str) -> dict:
    """One table's watermarks, its last batches and its corrections."""
    return watermarks.show(unquote(table))


@app.put("/api/watermarks/<table>")
def put(table: str) -> dict:
    """Sets a watermark by hand."""
    return watermarks.set_by_hand(unquote(table), json_body(app))


@app.post("/api/watermarks/<table>/accept")
def accept(table: str) -> dict:
    """Keeps a table's watermarks for a source that has changed."""
    return watermarks.accept_by_hand(unquote(table), json_body(app))


@app.delete("/api/watermarks/<table>")
def delete(table: str) -> dict:
    """Forgets a table's watermarks."""
    return watermarks.reset_by_hand(unquote(table), app.current_event.query_string_parameters.get("reason", ""))


def commit(landed: BronzeLanded, context: object) -> None:
    """Handles one BronzeLanded event."""
    fact = watermarks.commit_landed(landed)
    if fact:
        announce(fact)


@entry_point
def handler(event: dict, context: Any) -> dict:
    """The function's entry point: HTTP calls, messages, and the schedules of sweeping and folding."""
    if is_http(event):
        return app.resolve(event, context)
    if event.get("fold"):
        return fold_history()
    if event.get("sweep"):
        return sweep()
    return process_messages(event, context, "watermark", {BronzeLanded: commit})
