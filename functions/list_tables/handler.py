"""list_tables: the tables and views that a login may read.

GET with a saved connection's id, POST with an inline connection: a password never stands in an address.
"""

from typing import Any

from flowforge.runtime.entry_point import entry_point
from flowforge.runtime.http import json_body, resolver
from flowforge.sources.sqlserver.target import opened, saved_target, target_in

app = resolver()


@app.get("/api/database/tables")
def get() -> dict:
    """Lists the tables of a saved connection."""
    return _answer(saved_target(app.current_event.query_string_parameters))


@app.post("/api/database/tables")
def post() -> dict:
    """Lists the tables of the connection in the body."""
    return _answer(target_in(json_body(app)))


def _answer(target) -> dict:
    from flowforge.sources.sqlserver.catalog import list_tables

    with opened(target) as source:
        found = [table.model_dump() for table in list_tables(source)]
    return {"tables": [{"schema": table.pop("schema_name"), **table} for table in found]}


@entry_point
def handler(event: dict, context: Any) -> dict:
    """The function's entry point."""
    return app.resolve(event, context)
