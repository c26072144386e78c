"""Transitions of a batch: claimed → landed → committed (and refined, published), or empty, or voided.

Each is a compare-and-set, on the table's version where the claim is taken or given up, on the attempt's fencing token where its
work is recorded. An answer that was lost on the way is recognised by that token and not mistaken for somebody else's write.
"""

import hashlib
import json
import time
import uuid
from datetime import UTC, datetime
from typing import Any

from events.commands import IngestTable
from flowforge.cloud import items
from flowforge.errors import ConflictingTarget, Fatal, Wait
from flowforge.settings import settings
from flowforge.state.batch import Batch, BronzeObject, Interval, Manifest, SlicePlan
from flowforge.state.table import TableState, Watermark, read_state, registry_action

RETRY_SECONDS = 3
_JSON = ("interval", "command", "identity", "slices", "manifest")


def _key(batch: Batch) -> items.Item:
    return {"pk": batch.source_key, "sk": _batch_sk(batch.generation, batch.seq)}


def _batch_sk(generation: int, seq: int) -> str:
    return f"BATCH#{generation:06d}#{seq:010d}"


def _item(batch: Batch) -> items.Item:
    plain = json.loads(batch.model_dump_json(exclude={"source_key"}))
    for field in _JSON:
        plain[field] = json.dumps(plain[field])
    return {**_key(batch), **plain, "open": "open"}


def _batch(item: items.Item) -> Batch:
    fields = {k: json.loads(v) if k in _JSON else v for k, v in item.items() if k not in ("pk", "sk")}
    return Batch(source_key=item["pk"], **fields)


def find_batch(source_key: str, generation: int, seq: int) -> Batch | None:
    """The record of one batch."""
    found = items.get(settings().watermarks_table, {"pk": source_key, "sk": _batch_sk(generation, seq)})
    return _batch(found) if found else None


def batch_of_run(source_key: str, run_id: str) -> Batch | None:
    """The batch that a run has already claimed for this table; a redelivered message finds its own work by it."""
    found = items.get(settings().watermarks_table, {"pk": source_key, "sk": f"RUN#{run_id}"})
    return find_batch(source_key, found["generation"], found["seq"]) if found else None


def history(source_key: str, limit: int = 20) -> list[Batch]:
    """The newest batches of a table, newest first."""
    condition, values = "pk = :pk AND begins_with(sk, :batch)", {":pk": source_key, ":batch": "BATCH#"}
    found = items.query(settings().watermarks_table, condition, values, ScanIndexForward=False, Limit=limit)
    return [_batch(item) for item in found]


def claim(
    state: TableState,
    command: IngestTable,
    source_table: str,
    interval: Interval,
    identity: dict[str, Any],
    samples: list[dict[str, Any]],
    slices: SlicePlan | None = None,
) -> Batch:
    """Claims the next batch of a table for a run, before a row is read; the plan of its slices is part of the claim.

    Raises Wait when another writer was faster, ConflictingTarget when the silver or gold table belongs to another source.
    """
    if state.active is not None:
        raise Wait(f"{source_table}: batch {state.active} is under way", RETRY_SECONDS)
    seq = state.seq + 1
    update: dict[str, Any] = {"seq": seq, "active": seq, "source_table": source_table}
    update |= {"bronze_table": command.bronze.table, "silver_table": command.silver.table}
    if interval.column:
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
        updated_at=time.time(),
        label=_free_label(state, command, seq),
        interval=interval,
        command=command,
        identity=identity,
        slices=slices,
        watermark_before=before.value if before else None,
    )
    if items.transact(_claim_actions(following, batch)):
        return batch
    stored = find_batch(batch.source_key, batch.generation, batch.seq)
    if stored and stored.token == batch.token:
        return batch
    _refuse_foreign_owner(batch)
    raise Wait(f"{source_table}: another load took the table first", RETRY_SECONDS)


def _claim_actions(following: TableState, batch: Batch) -> list[dict[str, Any]]:
    table, (run, label) = settings().watermarks_table, _names(batch)
    new = "attribute_not_exists(pk)"
    actions = [
        following.put_action(),
        registry_action(following),
        items.put_action(table, _item(batch), new),
        items.put_action(table, run, new),
        items.put_action(table, label, new),
    ]
    for owner in _owned(batch):
        action = items.put_action(table, owner, f"{new} OR source_key = :me")
        action["Put"]["ExpressionAttributeValues"] = items.encode({":me": batch.source_key})
        actions.append(action)
    return actions


def records_of(batch: Batch) -> list[items.Item]:
    """All that a batch leaves in the table beside the table's state, for a rebuild; the sweeper sees it until gold has it."""
    run, label = _names(batch)
    item = _item(batch)
    if batch.published or batch.state == "voided":
        del item["open"]
    return [item, run, label, *_owned(batch)]


def _names(batch: Batch) -> tuple[items.Item, items.Item]:
    """What finds a batch by its run, and what keeps its object name from being used again."""
    run = {
        "pk": batch.source_key,
        "sk": f"RUN#{batch.command.run_id}",
        "generation": batch.generation,
        "seq": batch.seq,
    }
    return run, {"pk": f"LABEL#{batch.command.bronze.table}", "sk": batch.label, "batch": batch.name}


def _owned(batch: Batch) -> list[items.Item]:
    """The destinations that only one source may fill."""
    names = [f"SILVER#{batch.command.silver.table}"]
    if batch.command.gold.table:
        names.append(f"GOLD#{batch.command.gold.table}")
    return [{"pk": name, "sk": "OWNER", "source_key": batch.source_key} for name in names]


def _refuse_foreign_owner(batch: Batch) -> None:
    for owner in _owned(batch):
        found = items.get(settings().watermarks_table, {"pk": owner["pk"], "sk": "OWNER"})
        if found and found["source_key"] != batch.source_key:
            layer, _, name = owner["pk"].lower().partition("#")
            raise ConflictingTarget(
                f"{layer} table {name!r} is filled from {found['source_key']}, not from {batch.source_key}",
                f"Give this load a {layer}Config.tableName of its own.",
            )


def _free_label(state: TableState, command: IngestTable, seq: int) -> str:
    """The object name of a batch: its label, or the label with the sequence number where a client used it before."""
    digest = hashlib.sha256(state.source_key.encode()).hexdigest()[:6]
    label = command.batch_id
    for label in (command.batch_id, f"{command.batch_id}~{seq}", f"{command.batch_id}~{seq}~{digest}"):
        if not items.get(settings().watermarks_table, {"pk": f"LABEL#{command.bronze.table}", "sk": label}):
            return label
    return f"{label}~{state.generation}"


def take_over(batch: Batch, replayed: bool = False) -> Batch:
    """Gives an expired claim a new token, so that this attempt may finish it.

    Raises Wait while the claim is live, Fatal when it has cost too many workers already: it would cost the next one too; the
    count starts anew when a person has `replayed` its message. A batch of slices is not counted: its slices are, each by its
    own message.
    """
    if batch.lease_until > time.time():
        raise Wait(f"{batch.name} is being loaded", RETRY_SECONDS)
    counted = 0 if replayed else batch.attempts
    if batch.slices is None and counted >= settings().max_attempts:
        raise Fatal(
            f"{batch.name}: {batch.attempts} workers have died or failed while they loaded it",
            "Look at the function's log for this run (memory, time limit), then replay the message or submit again.",
        )
    token, lease_until = uuid.uuid4().hex, time.time() + settings().lease_seconds
    values = {":token": token, ":lease": lease_until, ":attempts": counted + 1}
    mine = batch.model_copy(update={"token": token, "lease_until": lease_until, "attempts": counted + 1})
    if not (
        _write(batch, "SET #t = :token, lease_until = :lease, attempts = :attempts", values, "claimed")
        or _is_written(mine, "claimed")
    ):
        raise Wait(f"{batch.name} was taken over by another worker", RETRY_SECONDS)
    return mine


def count_attempt(batch: Batch) -> None:
    """Counts a claim that is queued again, so that this does not go on for ever."""
    _write(batch, "SET attempts = :more", {":more": batch.attempts + 1}, "claimed")


def release(batch: Batch) -> None:
    """Ends the lease of an attempt that failed, so that the next one need not wait for it to expire."""
    _write(batch, "SET lease_until = :none", {":none": 0}, "claimed")


def fail(batch: Batch) -> None:
    """Marks a batch one of whose slices was given up: a replay may still finish it, but the next load of the table voids it."""
    names = {"s": "state", "open": "open"}
    values = {":yes": True, ":none": 0, ":claimed": "claimed", ":now": time.time()}
    expression = "SET failed = :yes, lease_until = :none, updated_at = :now REMOVE #open"
    items.update(settings().watermarks_table, _key(batch), expression, values, "#s = :claimed", **names)


def renew(batch: Batch) -> bool:
    """Extends the lease of a claim that is being worked on; False when the claim is no longer this attempt's."""
    return _write(batch, "SET lease_until = :lease", {":lease": time.time() + settings().lease_seconds}, "claimed")


def land(batch: Batch, manifest: Manifest) -> Batch:
    """Stores the manifest: the batch is landed. Raises Wait when another attempt has taken the claim meanwhile."""
    values = {":manifest": manifest.model_dump_json(), ":landed": "landed"}
    if not (_write(batch, "SET manifest = :manifest, #s = :landed", values, "claimed") or _is_written(batch, "landed")):
        raise Wait(f"{batch.name} was taken over by another worker before it landed", RETRY_SECONDS)
    return batch.model_copy(update={"manifest": manifest, "state": "landed"})


def _is_written(batch: Batch, state: str) -> bool:
    """Whether a write that was refused is this attempt's own, whose answer was lost: an SDK sends a call again by itself."""
    stored = find_batch(batch.source_key, batch.generation, batch.seq)
    return stored is not None and (stored.token, stored.state) == (batch.token, state)


def finish_slice(batch: Batch, index: int, found: BronzeObject | None, max_cursor: str | None) -> None:
    """Records a slice as done, once; `found` None is a slice without rows.

    Slices form a set, not a counter: a slice that is delivered twice counts once. Nothing is recorded in a batch that is no
    longer claimed.
    """
    done = {"object": found.model_dump() if found else None, "max_cursor": max_cursor}
    values = {":done": json.dumps(done), ":claimed": "claimed", ":now": time.time()}
    condition = "#s = :claimed AND attribute_not_exists(#slice)"
    names = {"s": "state", "slice": _slice_attribute(index)}
    expression = "SET #slice = :done, updated_at = :now"
    items.update(settings().watermarks_table, _key(batch), expression, values, condition, **names)


def finished_slices(batch: Batch) -> dict[int, dict[str, Any]]:
    """The slices that are done, by index: {"object": BronzeObject's fields or None, "max_cursor"}."""
    item = items.get(settings().watermarks_table, _key(batch)) or {}
    ranges = range(len(batch.slices.ranges) if batch.slices else 0)
    return {n: json.loads(item[_slice_attribute(n)]) for n in ranges if _slice_attribute(n) in item}


def _slice_attribute(index: int) -> str:
    return f"slice_{index:05d}"


def _write(batch: Batch, expression: str, values: items.Item, state: str) -> bool:
    """Updates the batch's record while it is in `state` under this attempt's token."""
    values = values | {":mine": batch.token, ":state": state, ":now": time.time()}
    names = {"s": "state"} | ({"t": "token"})
    return items.update(
        settings().watermarks_table,
        _key(batch),
        f"{expression}, updated_at = :now",
        values,
        "#t = :mine AND #s = :state",
        **names,
    )


def close_empty(batch: Batch) -> None:
    """Gives the claim back: the interval held no rows. The watermark stays where it was."""
    state = read_state(batch.source_key)
    if state.generation != batch.generation or state.active != batch.seq:
        return
    actions = [_released(state, {}).put_action(), _transition(batch, "claimed", "empty", close=True)]
    if not (items.transact(actions) or _is_written(batch, "empty")):
        raise Wait(f"{batch.name} changed while it was being closed", RETRY_SECONDS)


def abandon(batch: Batch) -> None:
    """Voids a claim that can never be landed, so that it does not stand in the way of later loads.

    The sweeper removes what it had landed. The run forgets its batch: if its message is replayed after the cause is gone, it
    claims anew, under another object name. Nothing happens to a claim that is no longer this attempt's.
    """
    state = read_state(batch.source_key)
    if state.generation != batch.generation or state.active != batch.seq:
        return
    run = {"pk": batch.source_key, "sk": f"RUN#{batch.command.run_id}"}
    forget = items.delete_action(settings().watermarks_table, run)
    items.transact(
        [_released(state, {}).put_action(), _transition(batch, "claimed", "voided", open_again=True), forget]
    )


def commit(batch: Batch) -> tuple[str | None, str | None]:
    """Turns a landed claim into the watermark; returns the values before and after. A committed batch is left alone.

    A batch that a hand-made correction has voided commits nothing. Raises Wait when another writer was faster.
    """
    after = batch.interval.high if batch.interval.column else None
    if batch.state in ("committed", "voided"):
        return batch.watermark_before, after if batch.state == "committed" else batch.watermark_before
    state = read_state(batch.source_key)
    marks = {}
    if batch.interval.column and after is not None:
        marks[batch.interval.column] = Watermark(
            value=after,
            sql_type=batch.interval.sql_type,
            seq=batch.seq,
            committed_at=datetime.now(UTC).isoformat(timespec="seconds"),
            identity=batch.identity,
        )
    owns = state.generation == batch.generation and state.active == batch.seq
    actions = [_released(state, marks).put_action(), _transition(batch, "landed", "committed")]
    if not ((owns and items.transact(actions)) or _is_written(batch, "committed")):
        raise Wait(f"{batch.name} changed while it was being committed", RETRY_SECONDS)
    return batch.watermark_before, after


def _released(state: TableState, marks: dict[str, Watermark]) -> TableState:
    return state.model_copy(update={"active": None, "watermarks": state.watermarks | marks})


def _transition(batch: Batch, before: str, after: str, close: bool = False, open_again: bool = False) -> dict[str, Any]:
    """A change of state; `close` takes the batch out of the sweeper's sight, `open_again` puts it there."""
    expression = "SET #s = :after, updated_at = :now" + (", #open = :open" if open_again else "")
    expression += " REMOVE #open" if close else ""
    names = {"s": "state", "t": "token"} | ({"open": "open"} if close or open_again else {})
    values = {":after": after, ":before": before, ":mine": batch.token, ":now": time.time()}
    values |= {":open": "open"} if open_again else {}
    condition = "#s = :before AND #t = :mine"
    return items.update_action(settings().watermarks_table, _key(batch), expression, values, condition, **names)


def mark(batch: Batch, *, refined: bool = False, published: bool = False, stuck: bool = False) -> None:
    """Records that silver or gold holds the batch. One that is published, or stuck in a dead-letter queue, is no longer swept."""
    sets = ["updated_at = :now"] + (["refined = :yes"] if refined else []) + (["published = :yes"] if published else [])
    remove = " REMOVE #open" if published or stuck else ""
    names = {"open": "open"} if remove else {}
    values = {":now": time.time()} | ({":yes": True} if refined or published else {})
    items.update(
        settings().watermarks_table,
        _key(batch),
        f"SET {', '.join(sets)}{remove}",
        values,
        "attribute_exists(pk)",
        **names,
    )


def open_batches(idle_seconds: float) -> list[Batch]:
    """Batches that are under way but have not moved for `idle_seconds`."""
    condition, values = "#open = :open AND updated_at < :idle", {":open": "open", ":idle": time.time() - idle_seconds}
    options = {"IndexName": "open-batches", "ExpressionAttributeNames": {"#open": "open"}}
    found = items.query(settings().watermarks_table, condition, values, **options)
    keys = [(item["pk"], item["sk"]) for item in found]
    stored = (items.get(settings().watermarks_table, {"pk": pk, "sk": sk}) for pk, sk in keys)
    return [_batch(item) for item in stored if item]
