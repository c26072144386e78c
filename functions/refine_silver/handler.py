"""refine_silver: applies a landed batch to its silver table, once."""

from events.facts import BronzeLanded
from flowforge.cloud.bus import announce
from flowforge.message import process_messages
from flowforge.silver.step import refine_landed
from flowforge.state.sweep import stop_sweeping


def refine(body: dict, context: object) -> None:
    """Handles one BronzeLanded event."""
    fact = refine_landed(BronzeLanded.model_validate(body))
    if fact:
        announce(fact)


def handler(event: dict, context: object) -> dict:
    """The function's entry point: messages of the refine queue."""
    return process_messages(event, context, "silver", refine, stop_sweeping)
