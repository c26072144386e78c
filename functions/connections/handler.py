"""connections: saved connections; the password goes to the secret store and is never shown again."""

from typing import Any
from urllib.parse import unquote

from aws_lambda_powertools.event_handler import Response

from flowforge.runtime.entry_point import entry_point
from flowforge.runtime.http import answer, json_body, resolver
from flowforge.state import connections

app = resolver()


@app.get("/api/connections")
def get() -> dict:
    """Lists the saved connections."""
    return {"connections": connections.list_saved()}


@app.post("/api/connections")
def post() -> Response:
    """Saves a connection, or replaces the one of that id."""
    return answer(201, connections.save(json_body(app)))


@app.delete("/api/connections/<connection_id>")
def delete(connection_id: str) -> Response:
    """Removes a connection and its secret."""
    connections.remove(unquote(connection_id))
    return Response(204, content_type="application/json", body="")


@entry_point
def handler(event: dict, context: Any) -> dict:
    """The function's entry point."""
    return app.resolve(event, context)
