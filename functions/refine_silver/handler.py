"""refine_silver: applies a landed batch to its silver table, once; shows silver tables, takes decisions about them,
and lets rows out of quarantine."""

from typing import Any
from urllib.parse import unquote

from aws_lambda_powertools.event_handler import Response

from events.commands import ReleaseQuarantine
from events.facts import BronzeLanded
from flowforge.aws.bus import announce
from flowforge.aws.message import is_http, process_messages
from flowforge.operations.sweep import stop_sweeping
from flowforge.runtime.http import answer, json_body, resolver
from flowforge.silver.step import refine_landed, release_quarantine

app = resolver()


@app.get("/api/silver/<table>/schema")
def show_schema(table: str) -> dict:
    """A silver table's columns and the decisions about them."""
    from flowforge.silver import api

    return api.show_schema(unquote(table))


@app.put("/api/silver/<table>/schema")
def decide(table: str) -> dict:
    """Takes a decision about a silver table's columns."""
    from flowforge.silver import api

    return api.decide_by_hand(unquote(table), json_body(app))


@app.get("/api/silver/<table>/quality")
def show_quality(table: str) -> dict:
    """What the quality rules found in a silver table's newest batch, and what is in quarantine."""
    from flowforge.silver import api

    return api.show_quality(unquote(table))


@app.post("/api/silver/<table>/release")
def release(table: str) -> Response:
    """Sends the order to judge a table's quarantine anew."""
    from flowforge.silver import api

    return answer(202, api.order_release(unquote(table)))


def refine(body: dict, context: object) -> None:
    """Handles one BronzeLanded event, or one order to release what is in quarantine."""
    if "bronze_key" in body:
        fact = refine_landed(BronzeLanded.model_validate(body))
    else:
        fact = release_quarantine(ReleaseQuarantine.model_validate(body))
    if fact:
        announce(fact)


def handler(event: dict, context: Any) -> dict:
    """The function's entry point: HTTP calls, and messages of the refine queue."""
    if is_http(event):
        return app.resolve(event, context)
    return process_messages(event, context, "silver", refine, stop_sweeping)
