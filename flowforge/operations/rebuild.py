"""Restores the watermark table from bronze footers alone.

Guarantees: nothing is written unless asked; a table whose stored state is as new, or has a batch under way, is left alone unless
forced. Everything that bronze holds and silver lacks is told to silver again by the sweeper; silver itself says what it holds, so
nothing is applied twice. May be run again after it was interrupted: the table's state is written last.
"""

import uuid
from typing import Any

from flowforge.aws import items
from flowforge.bronze.footing import is_known
from flowforge.domain.alone import each_alone
from flowforge.domain.batch import SEQ_BITS, Batch
from flowforge.domain.errors import StoreUnavailable, UnreadableRecord
from flowforge.operations.batches import Rebuilt, rebuild_states, sources_of
from flowforge.operations.footers import read_footers
from flowforge.runtime.settings import settings
from flowforge.silver.transactions import is_applied, newest_mark
from flowforge.state import claims, file_ledger, file_types
from flowforge.state.lake_head import Head, read_head
from flowforge.state.table import TableState, read_state, registry_action, salvage_state
from flowforge.tables.lake import open_table, store_errors, table_uri


def rebuild(bucket: str, bronze_table: str | None = None, write: bool = False, force: bool = False) -> dict[str, Any]:
    """Compares bronze with what is stored and, with `write`, restores it.

    Returns {"tables": one entry for each source, "foreign": objects without a footer of ours}. Raises StoreUnavailable.
    """
    found = list(read_footers(bucket, bronze_table))
    tables = []
    read, unread = each_alone(sources_of(found), lambda key: read_head(bucket, key))
    heads, damaged = dict(read), {one.thing: f"{one.cause}; --force goes on without it" for one in unread}
    for rebuilt in rebuild_states(found, bucket, heads):
        key = rebuilt.state.source_key
        stored, problem = _stored(key)
        problem = problem or damaged.get(key)
        kept = rebuilt.problem or (None if force else problem or _reason_to_keep(stored, rebuilt, heads.get(key)))
        _look_at_silver(rebuilt, bucket)
        if write and kept is None:
            _write(rebuilt, stored)
        tables.append(_summary(rebuilt, stored, kept, write))
    return {"tables": tables, "foreign": sum(one.footer is None for one in found)}


def _stored(source_key: str) -> tuple[TableState, str | None]:
    """What is stored of a source, and why it cannot be read, if so."""
    try:
        return read_state(source_key), None
    except UnreadableRecord as error:
        return salvage_state(source_key), f"{error}; --force writes it anew"


def _reason_to_keep(stored: TableState, rebuilt: Rebuilt, head: Head | None) -> str | None:
    if stored.version == 0:
        return None
    if stored.active is not None:
        return f"batch {stored.active} is under way"
    if head is not None and not is_known(stored, head):
        return None
    return "what is stored is as new" if (stored.generation, stored.seq) >= rebuilt.newest else None


def _look_at_silver(rebuilt: Rebuilt, bucket: str) -> None:
    """Marks the batches that silver holds; the newest one is told again in any case, for gold's sake. The generation to begin is
    above all that silver holds."""
    wanted = [batch for batch in rebuilt.batches if batch.state == "committed"]
    newest = max(wanted, key=lambda batch: (batch.generation, batch.seq), default=None)
    tables: dict[str, Any] = {}
    for n, batch in enumerate(rebuilt.batches):
        name = batch.command.silver.table
        with store_errors(f"silver.{name}"):
            if name not in tables:
                tables[name] = open_table(table_uri(bucket, "silver", name))
            table = tables[name]
            refined = table is not None and is_applied(table, batch)
            if table is not None:
                order = table.transaction_version(newest_mark(batch.source_key)) or 0
                rebuilt.state.generation = max(rebuilt.state.generation, (order >> SEQ_BITS) + 1)
        older = batch.generation < rebuilt.newest[0]
        done = batch.state == "voided" or older or (refined and batch is not newest)
        rebuilt.batches[n] = batch.model_copy(
            update={"refined": refined, "published": done and batch.state != "voided"}
        )


def _write(rebuilt: Rebuilt, stored: TableState) -> None:
    for batch in rebuilt.batches:
        for item in claims.records_of(batch):
            if item["sk"] == f"RUN#{batch.command.run_id}" and batch.state == "voided":
                continue  # a replay of its message claims anew
            _put(item, batch)
    generation = max(rebuilt.state.generation, stored.generation + 1 if stored.version else 1)
    state = rebuilt.state.model_copy(
        update={"version": stored.version, "generation": generation, "seq": max(rebuilt.state.seq, stored.seq)}
    )
    if rebuilt.entries:  # they count for this state alone
        epoch = stored.epoch or uuid.uuid4().hex[:16]
        state = state.model_copy(update={"epoch": epoch})
        settled = {"generation": generation, "epoch": epoch, "settled": True}
        file_ledger.write_entries(state.source_key, [one.model_copy(update=settled) for one in rebuilt.entries])
        for one in rebuilt.types:
            file_types.keep_types(state.source_key, one.model_copy(update={"generation": generation, "epoch": epoch}))
    if not items.transact([state.put_action(), registry_action(state)]):
        raise StoreUnavailable(f"{state.source_key} changed meanwhile", "Run the command again.")


def _put(item: items.Item, batch: Batch) -> None:
    own = item["pk"] == batch.source_key
    items.put(settings().watermarks_table, item, None if own else "attribute_not_exists(pk)")


def _summary(rebuilt: Rebuilt, stored: TableState, kept: str | None, write: bool) -> dict[str, Any]:
    state = rebuilt.state
    action = "kept" if kept else "written" if write else "would be written"
    return {
        "source_key": state.source_key,
        "bronze_table": state.bronze_table,
        "action": action,
        "reason": kept,
        "generation": state.generation,
        "seq": state.seq,
        "in_bronze": dict(zip(("generation", "seq"), rebuilt.newest, strict=True)),
        "watermarks": {column: mark.value for column, mark in state.watermarks.items()},
        "stored": {
            "generation": stored.generation,
            "seq": stored.seq,
            "watermarks": {column: mark.value for column, mark in stored.watermarks.items()},
        }
        if stored.version
        else None,
        "batches": len(rebuilt.batches),
        "files": len(rebuilt.entries),
        "for_silver": sum(batch.state == "committed" and not batch.published for batch in rebuilt.batches),
        "incomplete": rebuilt.incomplete,
        "objects_without_command": rebuilt.dated,
    }
