"""describe_table: columns with their canonical types, keys, row estimate, cursor candidates, and a preview of N rows."""

from typing import Any

from events.request import InvalidRequest
from flowforge.runtime.entry_point import entry_point
from flowforge.runtime.http import json_body, resolver, whole_number
from flowforge.sources.base import Source
from flowforge.sources.registry import saved_source, source_in

app = resolver()
PREVIEW_ROWS, MOST_PREVIEW_ROWS = 5, 100


@app.get("/api/database/schema")
def get() -> dict:
    """Describes a table of a saved connection."""
    parameters = app.current_event.query_string_parameters
    return _answer(saved_source(parameters), parameters.get("table"), parameters.get("preview"))


@app.post("/api/database/schema")
def post() -> dict:
    """Describes a table of the connection in the body."""
    body = json_body(app)
    return _answer(source_in(body), body.get("table"), body.get("preview"))


def _answer(source: Source, table, preview) -> dict:
    if not isinstance(table, str) or not table:
        raise InvalidRequest([{"field": "table", "problem": "expected the table's name"}])
    text = None if preview is None else str(preview)
    rows = whole_number(text, "preview", PREVIEW_ROWS, MOST_PREVIEW_ROWS)
    with source.session() as session:
        return session.show(table, rows)


@entry_point
def handler(event: dict, context: Any) -> dict:
    """The function's entry point."""
    return app.resolve(event, context)
