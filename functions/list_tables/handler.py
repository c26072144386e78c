"""list_tables: the tables and views that a login may read.

GET with a saved connection's id, POST with an inline connection: a password never stands in an address.
"""

from typing import Annotated, Any

from aws_lambda_powertools.event_handler.openapi.params import Body, Query
from pydantic import Field

from events.api.base import Cursor
from events.api.database import MOST_TABLES, ListedTables, SourceQuestion, TableLimit
from flowforge.runtime.entry_point import entry_point
from flowforge.runtime.http import resolver, told
from flowforge.runtime.pages import cursor_of, fitting, place_of
from flowforge.sources.base import Source
from flowforge.sources.registry import saved_source, source_named

app = resolver()


@app.get("/api/database/tables")
def get(
    connectionId: Annotated[str, Query(), Field(min_length=1)],
    limit: Annotated[TableLimit, Query()] = MOST_TABLES,
    cursor: Annotated[Cursor, Query()] = None,
) -> ListedTables:
    """A page of the tables of a saved connection."""
    return _answer(saved_source(connectionId), limit, cursor)


@app.post("/api/database/tables")
def post(
    body: Annotated[SourceQuestion, Body()],
    limit: Annotated[TableLimit, Query()] = MOST_TABLES,
    cursor: Annotated[Cursor, Query()] = None,
) -> ListedTables:
    """A page of the tables of the connection in the body."""
    return _answer(source_named(body.connection), limit, cursor)


def _answer(source: Source, limit: int, cursor: str | None) -> ListedTables:
    """By schema and name, whatever their case; the catalog is asked as a whole, since it holds names alone."""
    behind = _order(*(place_of(cursor, 2) or ("", "")))
    with source.session() as session:
        known = sorted(session.tables(), key=lambda one: _order(one["schema"], one["name"]))
    left = [one for one in known if _order(one["schema"], one["name"]) > behind]
    shown = fitting(left[:limit])
    others = {"next": cursor_of(shown[-1]["schema"], shown[-1]["name"])} if shown and len(shown) < len(left) else {}
    return told({"tables": shown, **others})


def _order(schema: str, name: str) -> tuple[str, str, str, str]:
    return schema.lower(), name.lower(), schema, name


@entry_point
def handler(event: dict, context: Any) -> dict:
    """The function's entry point."""
    return app.resolve(event, context)
