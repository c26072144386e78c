"""show_lake: the lake as it is: tables, models, lineage, and SQL over it; reads what refine_silver and publish_gold write."""

from typing import Annotated, Any

from aws_lambda_powertools.event_handler.openapi.params import Body, Path, Query
from pydantic import Field

from events.api.base import Cursor
from events.api.lake import (
    LakeTableDetail,
    LakeTables,
    Layer,
    Lineage,
    ListedLimit,
    ModelDefinition,
    Models,
    Question,
    QuestionId,
    SqlAnswer,
    StoppedQuestion,
)
from events.api.silver import GoldQuality, SilverQuality, SilverSchema
from flowforge.runtime.entry_point import entry_point
from flowforge.runtime.http import Name, resolver, told

app = resolver()


@app.get("/api/silver/<table>/schema")
def show_schema(table: Name) -> SilverSchema:
    """A silver table's columns and the decisions about them."""
    from flowforge.silver import api

    return told(api.show_schema(table))


@app.get("/api/silver/<table>/quality")
def show_silver_quality(table: Name) -> SilverQuality:
    """What the quality rules found in a silver table's newest batch, and what is in quarantine."""
    from flowforge.silver import api

    return told(api.show_quality(table))


@app.get("/api/gold/<table>/quality")
def show_gold_quality(table: Name) -> GoldQuality:
    """What the quality rules found in a gold table."""
    from flowforge.domain.names import table_of
    from flowforge.gold.report import quality_of_table
    from flowforge.runtime.settings import settings

    return told(quality_of_table(settings().bucket, table_of("gold", table)))


@app.get("/api/tables")
def list_tables(
    limit: Annotated[ListedLimit, Query()] = 50,
    layer: Annotated[Layer, Query()] = None,
    cursor: Annotated[Cursor, Query()] = None,
) -> LakeTables:
    """A page of the lake's tables with columns, rows, freshness, rules and watermarks."""
    from flowforge.operations import lake_tables

    return told(lake_tables.list_page(limit, layer, cursor))


@app.get("/api/tables/<table>")
def show_table(table: Name) -> LakeTableDetail:
    """One table (silver.NAME, gold.NAME or quarantine.NAME) with its newest versions."""
    from flowforge.operations import lake_tables

    return told(lake_tables.show(table))


@app.get("/api/tables/<table>/lineage")
def show_lineage(
    table: Name,
    depth: Annotated[int, Query(), Field(ge=0, le=100)] = 1,
    columns: Annotated[bool, Query()] = False,
) -> Lineage:
    """What a table is made from and what is made from it, so many steps away."""
    from flowforge.lineage.shown import lineage_of
    from flowforge.runtime.settings import settings

    return told(lineage_of(settings().bucket, table, depth, columns))


@app.get("/api/models")
def show_models(limit: Annotated[ListedLimit, Query()] = 50, cursor: Annotated[Cursor, Query()] = None) -> Models:
    """A page of the gold tables: what makes each, what it reads, whether it is current."""
    from flowforge.gold.graph import list_page
    from flowforge.runtime.settings import settings

    return told(list_page(settings().bucket, limit, cursor))


@app.get("/api/models/<table>")
def show_model(table: Name) -> ModelDefinition:
    """The text of one gold table's model."""
    from flowforge.gold import put
    from flowforge.runtime.settings import settings

    return told(put.show_model(table, settings().bucket))


@app.post("/api/sql")
def ask(body: Annotated[Question, Body()]) -> SqlAnswer:
    """One SELECT over the lake; reads only, and is stopped by rows and time."""
    from flowforge.operations.questions import answer_of

    return told(answer_of(body))


@app.delete("/api/sql/<id>", status_code=202)
def stop_question(id: Annotated[QuestionId, Path()]) -> StoppedQuestion:
    """Stops the question that was asked with this id."""
    from flowforge.state import stopped

    stopped.stop(id)
    return told({"id": id})


@entry_point
def handler(event: dict, context: Any) -> dict:
    """The function's entry point."""
    return app.resolve(event, context)
