"""publish_gold: publishes the gold tables that follow from a refined batch, or from a model dropped in the bucket."""

from typing import Any

from events.facts import SilverRefined
from flowforge.aws.bus import announce
from flowforge.aws.message import process_messages
from flowforge.gold.step import publish_dropped, publish_refined
from flowforge.operations.sweep import stop_sweeping
from flowforge.runtime.entry_point import entry_point


def publish(body: dict, context: object) -> None:
    """Handles one SilverRefined event, or S3's notice of a model file."""
    if "object" in body:
        fact = publish_dropped(body["bucket"]["name"], body["object"]["key"])
    else:
        fact = publish_refined(SilverRefined.model_validate(body))
    if fact:
        announce(fact)


@entry_point
def handler(event: dict, context: Any) -> dict:
    """The function's entry point: messages of the publish queue."""
    return process_messages(event, context, "gold", publish, stop_sweeping)
