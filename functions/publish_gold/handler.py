"""publish_gold: publishes the gold tables that follow from a refined batch, or from a model dropped in the bucket; shows what
their quality rules found."""

from typing import Any
from urllib.parse import unquote

from events.facts import SilverRefined
from flowforge.aws.bus import announce
from flowforge.aws.message import is_http, process_messages
from flowforge.gold.step import publish_dropped, publish_refined
from flowforge.operations.sweep import stop_sweeping
from flowforge.runtime.http import resolver
from flowforge.runtime.settings import settings

app = resolver()


@app.get("/api/gold/<table>/quality")
def show_quality(table: str) -> dict:
    """What the quality rules found in a gold table."""
    from flowforge.domain.names import table_of
    from flowforge.gold.report import quality_of_table

    return quality_of_table(settings().bucket, table_of("gold", unquote(table)))


def publish(body: dict, context: object) -> None:
    """Handles one SilverRefined event, or S3's notice of a model file."""
    if "object" in body:
        fact = publish_dropped(body["bucket"]["name"], body["object"]["key"])
    else:
        fact = publish_refined(SilverRefined.model_validate(body))
    if fact:
        announce(fact)


def handler(event: dict, context: Any) -> dict:
    """The function's entry point: HTTP calls, and messages of the publish queue."""
    if is_http(event):
        return app.resolve(event, context)
    return process_messages(event, context, "gold", publish, stop_sweeping)
