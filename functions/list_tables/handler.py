"""list_tables: the tables and views that a login may read.

GET with a saved connection's id, POST with an inline connection: a password never stands in an address.
"""

from typing import Any

from flowforge.runtime.entry_point import entry_point
from flowforge.runtime.http import json_body, resolver
from flowforge.sources.base import Source
from flowforge.sources.registry import saved_source, source_in

app = resolver()


@app.get("/api/database/tables")
def get() -> dict:
    """Lists the tables of a saved connection."""
    return _answer(saved_source(app.current_event.query_string_parameters))


@app.post("/api/database/tables")
def post() -> dict:
    """Lists the tables of the connection in the body."""
    return _answer(source_in(json_body(app)))


def _answer(source: Source) -> dict:
    with source.session() as session:
        return {"tables": session.tables()}


@entry_point
def handler(event: dict, context: Any) -> dict:
    """The function's entry point."""
    return app.resolve(event, context)
