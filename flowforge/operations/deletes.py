"""A comparison of a table's keys with silver that a person asks for: `flowforge reconcile TABLE --apply`."""

from typing import Any

from events.api.watermarks import WantedComparison
from events.commands import CompareKeys
from events.request import InvalidRequest
from events.targets import SourceTable
from flowforge.aws.fanout import send_commands
from flowforge.bronze.comparisons import COMPARING
from flowforge.domain.batch import Batch
from flowforge.domain.errors import NotFound
from flowforge.domain.run_ids import new_run_id
from flowforge.runtime.settings import settings
from flowforge.state import batch_records
from flowforge.state.table import resolve

USUAL_SHARE = 0.1


def order_by_hand(name: str, wanted: WantedComparison) -> dict[str, Any]:
    """Orders the comparison of a table, as its newest load would do it. Raises NotFound, ConflictingTarget, InvalidRequest."""
    state = resolve(name)
    newest = batch_records.newest(state.source_key, lambda batch: batch.has_rows and batch.state != "voided")
    if newest is None:
        raise NotFound(f"{state.bronze_table} has no batch yet that could be compared", "Load it first.")
    if problem := _why_not(newest):
        raise InvalidRequest([{"field": "table", "problem": f"{state.bronze_table}: {problem}"}])
    silver = newest.command.silver
    share = wanted.maxDeleteShare or (silver.most_deleted if silver.detects else USUAL_SHARE)
    load = newest.command.model_copy(update={"silver": silver.model_copy(update={"most_deleted": share})})
    order = CompareKeys(new_run_id=new_run_id(), trigger="http", load=load)
    send_commands(settings().submit_queue_url, [order])
    told = {"run_id": order.new_run_id, "bronze_table": state.bronze_table}
    return told | {"deletes": silver.deletes, "max_delete_share": share}


def _why_not(newest: Batch) -> str:
    """Why the table of a batch is not compared; empty where it is."""
    read, silver = newest.command.source, newest.command.silver
    if not isinstance(read, SourceTable):
        return "it is loaded from files, whose keys are not compared"
    if read.query:
        return "it is loaded by a query: a row may leave its result without being deleted"
    if silver.strategy not in COMPARING:
        return f"mergeStrategy {silver.strategy} keeps no row for each key"
    return "silverConfig.deletes is ignore: what is gone is to stay" if silver.deletes == "ignore" else ""
