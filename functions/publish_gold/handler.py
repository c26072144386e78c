"""publish_gold: publishes the gold tables that follow from a refined batch, or from a model dropped in the bucket; keeps models
that callers of the API put."""

from typing import Annotated, Any

from aws_lambda_powertools.event_handler.openapi.params import Body

from events.api.lake import ModelText, StoredModel
from events.facts import SilverRefined
from events.notices import ObjectCreated
from flowforge.aws.bus import announce
from flowforge.aws.message import is_http, process_messages
from flowforge.gold.step import publish_dropped, publish_refined
from flowforge.operations.sweep import stop_sweeping
from flowforge.runtime.entry_point import entry_point
from flowforge.runtime.http import Name, resolver, told
from flowforge.runtime.settings import settings

app = resolver()


@app.put("/api/models/<table>")
def put_model(table: Name, body: Annotated[ModelText, Body()]) -> StoredModel:
    """Checks a model against the lake and keeps it; the chain builds it at once."""
    from flowforge.gold import put

    return told(put.put_model(table, body.sql, body.ahead, settings().bucket, body.etag))


def publish(refined: SilverRefined, context: object) -> None:
    """Handles one SilverRefined event."""
    fact = publish_refined(refined)
    if fact:
        announce(fact)


def publish_file(notice: ObjectCreated, context: object) -> None:
    """Handles S3's notice of a model file."""
    fact = publish_dropped(notice.bucket.name, notice.object.key)
    if fact:
        announce(fact)


@entry_point
def handler(event: dict, context: Any) -> dict:
    """The function's entry point: HTTP calls, and messages of the publish queue."""
    if is_http(event):
        return app.resolve(event, context)
    handlers = {SilverRefined: publish, ObjectCreated: publish_file}
    return process_messages(event, context, "gold", handlers, stop_sweeping)
