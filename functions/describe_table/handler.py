"""describe_table: columns with their canonical types, keys, row estimate, cursor candidates, and a preview of N rows; and what a
job request would load now, or a stored file is."""

from typing import Annotated, Any

from aws_lambda_powertools.event_handler.openapi.params import Body, Query
from pydantic import Field

from events.api.base import unless_empty
from events.api.database import PREVIEW_ROWS, DescribedTable, PreviewRows, TableQuestion
from events.api.files import InspectedFile
from events.api.plan import FirstTable, RunPlan
from events.api.runs import JobDocument
from events.request import Connection
from flowforge.operations.samples import describe_table
from flowforge.runtime.entry_point import entry_point
from flowforge.runtime.http import resolver, told
from flowforge.sources.target import target_of

app = resolver()
Text = Annotated[str, Field(min_length=1)]
Word = Annotated[str | None, unless_empty(None)]


@app.get("/api/database/schema")
def get(
    connectionId: Annotated[Text, Query()],
    table: Annotated[Text, Query()],
    preview: Annotated[PreviewRows, Query()] = PREVIEW_ROWS,
) -> DescribedTable:
    """Describes a table of a saved connection."""
    return told(describe_table(target_of(Connection(connectionId=connectionId)), table, preview))


@app.post("/api/database/schema")
def post(body: Annotated[TableQuestion, Body()]) -> DescribedTable:
    """Describes a table of the connection in the body."""
    rows = PREVIEW_ROWS if body.preview is None else body.preview
    return told(describe_table(target_of(body.connection), body.table, rows))


@app.post("/api/plan")
def plan(body: Annotated[JobDocument, Body()], first: Annotated[FirstTable, Query()] = 0) -> RunPlan:
    """Tells what a job request would load now; nothing is written."""
    from flowforge.operations.preview import preview

    return told(preview(body, first))


@app.get("/api/files/inspect")
def inspect_file(
    key: Annotated[Text, Query()],
    member: Annotated[Word, Query()] = None,
    sheet: Annotated[Word, Query()] = None,
    recordsAt: Annotated[str, Query()] = "",
) -> InspectedFile:
    """Proposes how a file below landing/ is read."""
    from flowforge.jobs.inspected import inspect_stored

    return told(inspect_stored(key, member, sheet, recordsAt))


@entry_point
def handler(event: dict, context: Any) -> dict:
    """The function's entry point."""
    return app.resolve(event, context)
