"""test_connection: does this connection work, and what may its login see?

POST /api/test-connection/database with {"connection": ...} or a whole job request. The outcome is the answer: a connection that
fails is a result, not an HTTP error. What a load does is tried: its questions, and one row through the driver that it reads by.
"""

import time
from typing import Annotated, Any

from aws_lambda_powertools.event_handler.openapi.params import Body

from events.api.database import SourceQuestion, TriedConnection
from flowforge.domain.errors import FlowForgeError
from flowforge.runtime.entry_point import entry_point
from flowforge.runtime.http import error_body, resolver
from flowforge.sources.base import Source
from flowforge.sources.registry import source_named

app = resolver()


@app.post("/api/test-connection/database")
def post(body: Annotated[SourceQuestion, Body()]) -> TriedConnection:
    """Tests the connection in the body."""
    return _tried(source_named(body.connection))


def _tried(source: Source) -> Any:
    started = time.monotonic()
    step = "asking the server"
    try:
        with source.session() as session:
            facts = session.test()
        step = "reading as a load does"
        facts["driver"] = source.try_reading()
        return {"status": "success", **facts, "seconds": round(time.monotonic() - started, 3)}
    except FlowForgeError as error:
        return {"status": "failed", "step": step, **error_body(error)}


@entry_point
def handler(event: dict, context: Any) -> dict:
    """The function's entry point."""
    return app.resolve(event, context)
