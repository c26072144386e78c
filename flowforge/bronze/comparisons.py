"""Comparisons of a table's keys with silver: when one is due, and what it asks of the source.

Guarantees: no reading here, and nothing that reading takes, since functions without it ask too. A comparison that is due is
ordered by each load until it is claimed; within a period all these orders are of one run.
"""

import time
from dataclasses import replace
from typing import Any

from events.commands import CompareKeys, IngestTable
from events.targets import SourceTable
from flowforge.aws.fanout import send_commands
from flowforge.domain.errors import UnsupportedSource
from flowforge.domain.run_ids import run_id_of_delivery
from flowforge.domain.source_columns import SourceColumn
from flowforge.runtime.settings import settings
from flowforge.sources.plans import Description
from flowforge.state.table import TableState

COMPARING = ("merge", "scd2")  # strategies of which a row can go


def is_wanted(command: IngestTable) -> bool:
    """Whether a load's request asks for comparisons; a window is none of the loads that order them."""
    wanted, read = command.silver, command.source
    of_part = isinstance(read, SourceTable) and read.window is not None
    return wanted.detects == "keys" and wanted.deletes != "ignore" and not (command.only_keys or of_part)


def is_due(command: IngestTable, state: TableState, now: float | None = None) -> bool:
    """Whether a load's table is to be compared again; `now` is in epoch seconds."""
    now = time.time() if now is None else now
    return is_wanted(command) and state.seq > 0 and now - state.compared_at >= command.silver.compared_every


def order_comparison(command: IngestTable, state: TableState) -> None:
    """Orders the comparison that is due, in a run of its own; one that is ordered again in the same period starts none."""
    if not is_due(command, state):
        return
    period = int((time.time() - state.compared_at) // max(1, command.silver.compared_every))
    identity = (state.source_key, state.epoch, str(state.generation), str(state.compared_at), str(period))
    order = CompareKeys(new_run_id=run_id_of_delivery("deletes", *identity), load=command)
    send_commands(settings().submit_queue_url, [order])


def all_rows_of(read: Any) -> Any:
    """What a source is asked for in place of what is new: every row, whatever conditions the request has on them."""
    if not isinstance(read, SourceTable) or read.query:
        raise UnsupportedSource(
            f"{read.title}: keys are compared of a table or view in a database alone",
            "Leave deletes detect keys out of the request.",
        )
    every = {"is_incremental": False, "delta_column": None, "tie_columns": [], "last_watermark": None, "where": []}
    return read.model_copy(update=every | {"window": None, "change_tracking": False})


def keys_alone(description: Description) -> Description:
    """The description with the columns of the key and no others. Raises UnsupportedSource where there is no key."""
    key = {name.lower() for name in description.wanted.key or description.primary_key}
    if not key:
        raise UnsupportedSource(
            f"{description.name} has no key, by which deletes could be found",
            "Name one by silverConfig.primaryKey, or load with bronzeConfig.loadStrategy full_refresh.",
        )
    return replace(description, columns=[column for column in description.columns if _of_key(column, key)])


def _of_key(column: SourceColumn, key: set[str]) -> bool:
    return column.name.lower() in key or (column.derivation == "digit" and (column.of or "").lower() in key)
