"""publish_gold: publishes the gold tables that follow from a refined batch, or from a model dropped in the bucket."""

from typing import Any

from events.facts import SilverRefined
from events.notices import ObjectCreated
from flowforge.aws.bus import announce
from flowforge.aws.message import process_messages
from flowforge.gold.step import publish_dropped, publish_refined
from flowforge.operations.sweep import stop_sweeping
from flowforge.runtime.entry_point import entry_point


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
    """The function's entry point: messages of the publish queue."""
    handlers = {SilverRefined: publish, ObjectCreated: publish_file}
    return process_messages(event, context, "gold", handlers, stop_sweeping)
