"""show_lake: the silver and gold tables of the lake as they are; reads what refine_silver and publish_gold write."""

from typing import Any
from urllib.parse import unquote

from flowforge.runtime.entry_point import entry_point
from flowforge.runtime.http import resolver

app = resolver()


@app.get("/api/silver/<table>/schema")
def show_schema(table: str) -> dict:
    """A silver table's columns and the decisions about them."""
    from flowforge.silver import api

    return api.show_schema(unquote(table))


@app.get("/api/silver/<table>/quality")
def show_silver_quality(table: str) -> dict:
    """What the quality rules found in a silver table's newest batch, and what is in quarantine."""
    from flowforge.silver import api

    return api.show_quality(unquote(table))


@app.get("/api/gold/<table>/quality")
def show_gold_quality(table: str) -> dict:
    """What the quality rules found in a gold table."""
    from flowforge.domain.names import table_of
    from flowforge.gold.report import quality_of_table
    from flowforge.runtime.settings import settings

    return quality_of_table(settings().bucket, table_of("gold", unquote(table)))


@entry_point
def handler(event: dict, context: Any) -> dict:
    """The function's entry point."""
    return app.resolve(event, context)
