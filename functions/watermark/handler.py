"""watermark: turns landed batches into watermarks; shows, sets and resets them, and what became of files; orders comparisons of
keys; sweeps up, and folds old history."""

from typing import Annotated, Any

from aws_lambda_powertools.event_handler.openapi.params import Body, Query

from events.api.base import Cursor
from events.api.files import FileLimit, FileReports, FileState
from events.api.watermarks import (
    MOST_TABLES,
    Acceptance,
    NewWatermark,
    OrderedComparison,
    TableHistory,
    TableLimit,
    TableWatermarks,
    WantedComparison,
    WatermarkList,
)
from events.facts import BronzeLanded, IntervalEmpty
from flowforge.aws.bus import announce
from flowforge.aws.message import is_http, process_messages
from flowforge.operations import watermarks
from flowforge.operations.deletes import order_by_hand
from flowforge.operations.file_reports import list_files
from flowforge.operations.file_sweep import follow_up
from flowforge.operations.folding import fold_history
from flowforge.operations.sweep import sweep
from flowforge.operations.waiting_files import list_waiting
from flowforge.runtime.entry_point import entry_point
from flowforge.runtime.http import Name, resolver, told

app = resolver()


@app.get("/api/watermarks")
def list_all(
    limit: Annotated[TableLimit, Query()] = MOST_TABLES, cursor: Annotated[Cursor, Query()] = None
) -> WatermarkList:
    """A page of the watermarks; all of them, where there are no more than an answer holds."""
    return told(watermarks.list_page(limit, cursor))


@app.get("/api/watermarks/<table>")
def get(table: Name) -> TableHistory:
    """One table's watermarks, its last batches and its corrections."""
    return told(watermarks.show(table))


@app.put("/api/watermarks/<table>")
def put(table: Name, body: Annotated[NewWatermark, Body()]) -> TableWatermarks:
    """Sets a watermark by hand."""
    return told(watermarks.set_by_hand(table, body))


@app.post("/api/watermarks/<table>/accept")
def accept(table: Name, body: Annotated[Acceptance, Body()]) -> TableWatermarks:
    """Keeps a table's watermarks for a source that has changed."""
    return told(watermarks.accept_by_hand(table, body))


@app.post("/api/watermarks/<table>/compare", status_code=202)
def compare(table: Name, body: Annotated[WantedComparison, Body()]) -> OrderedComparison:
    """Sends the order to take out of silver what the source has no more."""
    return told(order_by_hand(table, body))


@app.delete("/api/watermarks/<table>")
def delete(table: Name, reason: Annotated[str, Query()] = "") -> TableWatermarks:
    """Forgets a table's watermarks."""
    return told(watermarks.reset_by_hand(table, reason))


@app.get("/api/files")
def files(
    limit: Annotated[FileLimit, Query()] = 50,
    table: Annotated[str | None, Query()] = None,
    key: Annotated[str | None, Query()] = None,
    state: Annotated[FileState, Query()] = None,
    cursor: Annotated[Cursor, Query()] = None,
) -> FileReports:
    """A page of what became of files: the newest of all, of a table or job, or the versions of one; or of those that wait."""
    if state:
        return told(list_waiting(limit, table, cursor))
    return told(list_files(limit, table, key, cursor))


def commit(landed: BronzeLanded, context: object) -> None:
    """Handles one BronzeLanded event."""
    fact = watermarks.commit_landed(landed)
    if fact:
        announce(fact)
    follow_up(landed.source_key)


def look_again(empty: IntervalEmpty, context: object) -> None:
    """Handles one IntervalEmpty event, of files: what came while their run was queued has started none."""
    follow_up(empty.source_key)


@entry_point
def handler(event: dict, context: Any) -> dict:
    """The function's entry point: HTTP calls, messages, and the schedules of sweeping and folding."""
    if is_http(event):
        return app.resolve(event, context)
    if event.get("fold"):
        return fold_history()
    if event.get("sweep"):
        return sweep()
    return process_messages(event, context, "watermark", {BronzeLanded: commit, IntervalEmpty: look_again})
