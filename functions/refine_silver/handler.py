"""refine_silver: applies a landed batch to its silver table, once; takes decisions about silver tables, and lets rows out of
quarantine. What they look like is shown by show_lake."""

from typing import Annotated, Any

from aws_lambda_powertools.event_handler.openapi.params import Body

from events.api.silver import Decision, Released, SilverSchema
from events.commands import ReleaseQuarantine
from events.facts import BronzeLanded
from flowforge.aws.bus import announce
from flowforge.aws.message import is_http, process_messages
from flowforge.operations.sweep import stop_sweeping
from flowforge.runtime.entry_point import entry_point
from flowforge.runtime.http import Name, resolver, told
from flowforge.silver.step import refine_landed, release_quarantine

app = resolver()


@app.put("/api/silver/<table>/schema")
def decide(table: Name, body: Annotated[Decision, Body()]) -> SilverSchema:
    """Takes a decision about a silver table's columns."""
    from flowforge.silver import api

    return told(api.decide_by_hand(table, body))


@app.post("/api/silver/<table>/release", status_code=202)
def release(table: Name) -> Released:
    """Sends the order to judge a table's quarantine anew."""
    from flowforge.silver import api

    return told(api.order_release(table))


def refine(landed: BronzeLanded, context: object) -> None:
    """Handles one BronzeLanded event."""
    fact = refine_landed(landed)
    if fact:
        announce(fact)


def let_out(command: ReleaseQuarantine, context: object) -> None:
    """Handles one order to release what is in quarantine."""
    fact = release_quarantine(command)
    if fact:
        announce(fact)


@entry_point
def handler(event: dict, context: Any) -> dict:
    """The function's entry point: HTTP calls, and messages of the refine queue."""
    if is_http(event):
        return app.resolve(event, context)
    handlers = {BronzeLanded: refine, ReleaseQuarantine: let_out}
    return process_messages(event, context, "silver", handlers, stop_sweeping)
