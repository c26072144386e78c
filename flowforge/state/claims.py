"""Claims: the next batch of a table, taken by one worker before a row is read.

The table's version is the compare-and-set counter. In the same write stand what finds the batch by its run, what keeps its object
name from being used again, and who owns the silver and gold table.
"""

import time
import uuid
from typing import Any

from events.commands import IngestTable
from events.names import destination_stem
from flowforge.aws import items
from flowforge.domain.batch import FOOTERS, Batch
from flowforge.domain.errors import ConflictingTarget, TooLarge, Wait
from flowforge.domain.interval import Interval
from flowforge.domain.slice_plan import SlicePlan
from flowforge.domain.source_key import SourceKey
from flowforge.runtime.settings import settings
from flowforge.state.batch_records import RETRY_SECONDS, find_batch, item_of, label_key
from flowforge.state.folded import digest_of
from flowforge.state.table import TableState, asked_of, registry_action

BYTES_PER_SLICE = 700  # where and what its object is, until the manifest is recorded
MANIFEST_BYTES = 60_000  # what that takes at most by then, compressed


def claim(
    state: TableState,
    command: IngestTable,
    source_table: str,
    interval: Interval,
    identity: dict[str, Any],
    samples: list[dict[str, Any]],
    slices: SlicePlan | None = None,
    *,
    lake: str = "",
    label_taken: bool | None = None,
) -> Batch:
    """Claims the next batch of a table for a run, before a row is read; the plan of its slices is part of the claim, and so is
    the ETag `lake` of what the lake held. `label_taken` tells whether the command's own label is in use, where that is known.

    Raises Wait when another writer was faster, ConflictingTarget when the silver or gold table belongs to another source.
    """
    if state.active is not None:
        raise Wait(f"{source_table}: batch {state.active} is under way", RETRY_SECONDS)
    seq = state.seq + 1
    update: dict[str, Any] = {"seq": seq, "active": seq, "source_table": source_table}
    update |= {"bronze_table": command.bronze.table, "silver_table": command.silver.table}
    is_first = not state.seq and command.silver.detects  # it finds nothing in silver that could be gone
    if command.only_keys or is_first:
        update["compared_at"] = int(time.time())
    update["epoch"] = state.epoch or uuid.uuid4().hex[:16]
    if not interval.window and not command.only_keys:  # the next load goes on where the one before the window ended
        update["asked"] = asked_of(command)
    if interval.column and not interval.window:
        update["samples"] = state.samples | {interval.column: samples}
    following = state.model_copy(update=update)
    before = state.watermarks.get(interval.column) if interval.column else None
    batch = Batch(
        source_key=state.source_key,
        generation=state.generation,
        seq=seq,
        state="claimed",
        token=uuid.uuid4().hex,
        lease_until=time.time() + settings().lease_seconds,
        claimed_at=time.time(),
        footers=FOOTERS,
        updated_at=time.time(),
        label=_free_label(state, command, seq, label_taken),
        claim=uuid.uuid4().hex[:16],
        epoch=following.epoch,
        lake=lake,
        interval=interval,
        command=command,
        identity=identity,
        slices=slices,
        watermark_before=before.value if before else None,
    )
    _refuse_too_large(batch, source_table)
    if items.transact(_claim_actions(following, batch)):
        return batch
    stored = find_batch(batch.source_key, batch.generation, batch.seq)
    if stored and stored.token == batch.token:
        return batch
    refuse_foreign_owner(state, command)
    raise Wait(f"{source_table}: another load took the table first", RETRY_SECONDS)


def _refuse_too_large(batch: Batch, source_table: str) -> None:
    """Raises TooLarge where the batch's record would outgrow its item before it is landed: better now than after the read."""
    ranges = len(batch.slices.ranges) if batch.slices else 0
    size = items.size_of(item_of(batch)) + BYTES_PER_SLICE * ranges + MANIFEST_BYTES
    if size > items.MOST_BYTES:
        raise TooLarge(
            f"{source_table}: what is kept of its batch would take {size:,} bytes, and an item holds {items.MOST_BYTES:,}",
            "Load it with fewer columns, a shorter query or shorter models: through a view, or model files in the bucket.",
        )


def _claim_actions(following: TableState, batch: Batch) -> list[dict[str, Any]]:
    table, (run, label) = settings().watermarks_table, _names(batch)
    new = "attribute_not_exists(pk)"
    actions = [
        following.put_action(),
        registry_action(following),
        items.put_action(table, item_of(batch), new),
        items.put_action(table, run, new),
        items.put_action(table, label, new),
    ]
    for owner in _places(following, batch.command):
        action = items.put_action(table, owner, f"{new} OR source_key = :me")
        action["Put"]["ExpressionAttributeValues"] = items.encode({":me": batch.source_key})
        actions.append(action)
    return actions


def records_of(batch: Batch) -> list[items.Item]:
    """All that a batch leaves in the table beside the table's state, for a rebuild; the sweeper sees it until gold has it."""
    run, label = _names(batch)
    item = item_of(batch)
    if batch.published or batch.state == "voided":
        del item["open"]
    return [item, run, label, *_owned(batch.source_key, batch.command)]


def _names(batch: Batch) -> tuple[items.Item, items.Item]:
    """What finds a batch by its run, and what keeps its object name from being used again."""
    run = {
        "pk": batch.source_key,
        "sk": f"RUN#{batch.command.run_id}",
        "generation": batch.generation,
        "seq": batch.seq,
    }
    return run, label_key(batch.command.bronze.table, batch.label) | {"batch": batch.name}


def _owned(source_key: str, command: IngestTable) -> list[items.Item]:
    """The destinations that only one source may fill."""
    names = [f"SILVER#{command.silver.table}"]
    if command.gold.table:
        names.append(f"GOLD#{command.gold.table}")
    return [{"pk": name, "sk": "OWNER", "source_key": source_key} for name in names]


def _places(state: TableState, command: IngestTable) -> list[items.Item]:
    """The same, and for a table that is new in lower case too: most readers of the lake take names that differ by case only for
    one."""
    owned = _owned(state.source_key, command)
    if state.version:
        return owned
    lower = {owner["pk"].partition("#")[0] + "#" + owner["pk"].partition("#")[2].lower() for owner in owned}
    return owned + [{**owned[0], "pk": name} for name in sorted(lower - {owner["pk"] for owner in owned})]


def refuse_foreign_owner(state: TableState, command: IngestTable) -> None:
    """Raises ConflictingTarget where the silver or gold table belongs to another source, so that a claim would not succeed."""
    for owner in _places(state, command):
        found = items.get(settings().watermarks_table, {"pk": owner["pk"], "sk": "OWNER"})
        if found and found["source_key"] != state.source_key:
            layer, _, name = owner["pk"].partition("#")
            layer = layer.lower()
            theirs, ours = SourceKey.parse(found["source_key"]), SourceKey.parse(state.source_key)
            free = destination_stem(f"{ours.schema}_", ours.table) if ours.schema else ours.table
            raise ConflictingTarget(
                f"{layer} table {name!r} is filled from {found['source_key']}, not from {state.source_key}",
                f"Both {theirs.source_table} and {ours.source_table} would be called {name!r}: give this load a "
                f"{layer}Config.tableName of its own, such as {free!r}.",
            )


def _free_label(state: TableState, command: IngestTable, seq: int, taken: bool | None) -> str:
    """The object name of a batch: its label, or the label with the sequence number where a client used it before, or may have."""
    label = command.batch_id
    if taken is False and not state.resumed:
        return label  # should somebody take it meanwhile, the claim fails and is tried again
    plain = [] if state.resumed or taken else [label]
    for label in (*plain, f"{command.batch_id}~{seq}", f"{command.batch_id}~{seq}~{digest_of(state.source_key)}"):
        if not items.get(settings().watermarks_table, label_key(command.bronze.table, label)):
            return label
    return f"{label}~{state.generation}"
