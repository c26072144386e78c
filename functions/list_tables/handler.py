"""list_tables: the tables and views that a login may read.

GET with a saved connection's id, POST with an inline connection: a password never stands in an address.
"""

from typing import Annotated, Any

from aws_lambda_powertools.event_handler.openapi.params import Body, Query
from pydantic import Field

from events.api.database import ListedTables, SourceQuestion
from flowforge.runtime.entry_point import entry_point
from flowforge.runtime.http import resolver, told
from flowforge.sources.base import Source
from flowforge.sources.registry import saved_source, source_named

app = resolver()


@app.get("/api/database/tables")
def get(connectionId: Annotated[str, Query(), Field(min_length=1)]) -> ListedTables:
    """Lists the tables of a saved connection."""
    return _answer(saved_source(connectionId))


@app.post("/api/database/tables")
def post(body: Annotated[SourceQuestion, Body()]) -> ListedTables:
    """Lists the tables of the connection in the body."""
    return _answer(source_named(body.connection))


def _answer(source: Source) -> ListedTables:
    with source.session() as session:
        return told({"tables": session.tables()})


@entry_point
def handler(event: dict, context: Any) -> dict:
    """The function's entry point."""
    return app.resolve(event, context)
