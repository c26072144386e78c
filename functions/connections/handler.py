"""connections: saved connections; the password goes to the secret store and is never shown again. And what the API itself is."""

import json
from pathlib import Path
from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body, Query
from pydantic import Field

from events.api.base import Cursor, unless_empty
from events.api.connections import Connections, SavedConnection, ShownConnection
from flowforge.runtime.entry_point import entry_point
from flowforge.runtime.http import Name, resolver, told
from flowforge.state import connections

app = resolver()
DOCUMENT = (
    Path(__file__).resolve().parents[2] / "docs" / "schemas" / "openapi.json"
)  # of all functions; see functions/openapi.py
MOST_CONNECTIONS = 5_000  # of a page
Limit = Annotated[int, Field(ge=0, le=MOST_CONNECTIONS), unless_empty(MOST_CONNECTIONS)]


@app.get("/api/connections")
def get(limit: Annotated[Limit, Query()] = MOST_CONNECTIONS, cursor: Annotated[Cursor, Query()] = None) -> Connections:
    """A page of the saved connections; all of them, where there are no more than an answer holds."""
    return told(connections.list_saved(limit, cursor))


@app.post("/api/connections", status_code=201)
def post(body: Annotated[SavedConnection, Body()]) -> ShownConnection:
    """Saves a connection, or replaces the one of that id."""
    return told(connections.save(body))


@app.delete("/api/connections/<id>", status_code=204)
def delete(id: Name) -> Response[str]:
    """Removes a connection and its secret."""
    connections.remove(id)
    return Response(204, content_type="application/json", body="")


@app.get("/api/openapi.json")
def get_document() -> dict[str, Any]:
    """What the API takes and answers, as OpenAPI."""
    return told(json.loads(DOCUMENT.read_text()))


@entry_point
def handler(event: dict, context: Any) -> dict:
    """The function's entry point."""
    return app.resolve(event, context)
