"""How a claimed batch goes on: claimed → landed → committed (and refined, published), or empty, or voided.

Each is a compare-and-set on the attempt's fencing token, and on the table's version where the claim is given up.
"""

import time
from collections.abc import Sequence
from datetime import UTC, datetime

from events.quality import QualityRule
from events.targets import GoldTarget
from flowforge.aws import items
from flowforge.aws.compact import pack
from flowforge.domain.batch import Batch
from flowforge.domain.errors import Wait
from flowforge.domain.manifest import Manifest
from flowforge.domain.scope import scope_of
from flowforge.runtime.settings import settings
from flowforge.state import digests
from flowforge.state.batch_records import RETRY_SECONDS, is_written, key_of, transition, write
from flowforge.state.table import Landed, TableState, Watermark, read_state


def land(batch: Batch, manifest: Manifest) -> Batch:
    """Stores the manifest: the batch is landed. Raises Wait when another attempt has taken the claim meanwhile."""
    values = {":manifest": pack(manifest.model_dump(mode="json")), ":landed": "landed"}
    if not (write(batch, "SET manifest = :manifest, #s = :landed", values, "claimed") or is_written(batch, "landed")):
        raise Wait(f"{batch.name} was taken over by another worker before it landed", RETRY_SECONDS)
    return batch.model_copy(update={"manifest": manifest, "state": "landed"})


def close_empty(batch: Batch) -> None:
    """Gives the claim back: the interval held no rows. The watermark stays where it was."""
    state = read_state(batch.source_key)
    if state.generation != batch.generation or state.active != batch.seq:
        return
    recent = state.recent if batch.only_keys else state.recent.then(batch)
    following = _released(state, {}).model_copy(update={"recent": recent})
    actions = [following.put_action(), transition(batch, "claimed", "empty", close=True)]
    if not (items.transact(actions) or is_written(batch, "empty")):
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
    items.transact([_released(state, {}).put_action(), transition(batch, "claimed", "voided", open_again=True), forget])


def commit(batch: Batch, state: TableState | None = None) -> tuple[str | None, str | None]:
    """Turns a landed claim into the watermark; returns the values before and after. A committed batch is left alone. `state` is
    the table's, where it was read just now: whoever has changed it since makes the commit fail.

    A batch that a hand-made correction has voided commits nothing. Raises Wait when another writer was faster.
    """
    after, column = batch.watermark_after, batch.interval.column
    if batch.state in ("committed", "voided"):
        return batch.watermark_before, after if batch.state == "committed" else batch.watermark_before
    state = state or read_state(batch.source_key)
    marks = {}
    if batch.moves_watermark and column and after is not None:
        marks[column] = Watermark(
            value=after,
            sql_type=batch.interval.sql_type,
            seq=batch.seq,
            committed_at=datetime.now(UTC).isoformat(timespec="seconds"),
            identity=batch.identity,
            last_rows=_last_rows(batch),
        )
    owns = state.generation == batch.generation and state.active == batch.seq
    landed = Landed(generation=batch.generation, seq=batch.seq, claim=batch.claim) if batch.claim else state.landed
    of_part = batch.interval.window and not batch.reads_all_loaded
    kept = batch.only_keys or (of_part and state.scope)
    recent = state.recent if batch.only_keys else state.recent.then(batch)
    known = {"landed": landed, "scope": state.scope if kept else scope_of(batch), "recent": recent}
    following = _released(state, marks).model_copy(update=known)
    actions = [following.put_action(), transition(batch, "landed", "committed")]
    if not ((owns and items.transact(actions)) or is_written(batch, "committed")):
        raise Wait(f"{batch.name} changed while it was being committed", RETRY_SECONDS)
    return batch.watermark_before, after


def _last_rows(batch: Batch) -> str:
    objects = batch.manifest.objects if batch.manifest and batch.interval.ties else []
    return digests.joined([one.last_rows for one in objects])


def _released(state: TableState, marks: dict[str, Watermark]) -> TableState:
    return state.model_copy(update={"active": None, "watermarks": state.watermarks | marks})


def announce_again(batch: Batch) -> None:
    """Has the sweeper tell of the batch at its next round: silver finds it done, and gold follows silver's new version."""
    items.update(
        settings().watermarks_table,
        key_of(batch),
        "SET #open = :open, published = :no, updated_at = :long_ago",
        {":open": "open", ":no": False, ":long_ago": 0.0},
        "attribute_exists(pk)",
        open="open",
    )


def mark(
    batch: Batch,
    *,
    refined: bool = False,
    quarantined: int | None = None,
    published: bool = False,
    stuck: bool = False,
) -> None:
    """Records that silver, but for rows in quarantine, or gold holds the batch. One that is published, or stuck in a dead-letter
    queue, is no longer swept."""
    sets = ["updated_at = :now"] + (["refined = :yes"] if refined else []) + (["published = :yes"] if published else [])
    remove = " REMOVE #open" if published or stuck else ""
    names = {"open": "open"} if remove else {}
    values = {":now": time.time()} | ({":yes": True} if refined or published else {})
    if quarantined is not None:  # the more of what was found at each delivery: one that comes again may find none
        sets, values = [*sets, "quarantined = :out"], values | {":out": max(quarantined, batch.quarantined or 0)}
    items.update(
        settings().watermarks_table,
        key_of(batch),
        f"SET {', '.join(sets)}{remove}",
        values,
        "attribute_exists(pk)",
        **names,
    )


def note_asked(batch: Batch, rules: Sequence[QualityRule], gold: GoldTarget) -> None:
    """Records the quality rules of a request that came after the table's newest batch and found nothing to load, and how it wants
    gold. What that batch was asked for is forgotten: its own request, when it comes again, brings its own back. Raises Wait when
    another writer was faster."""
    state, where = read_state(batch.source_key), settings().watermarks_table
    values = {
        ":rules": pack([rule.model_dump(mode="json") for rule in rules]),
        ":gold": pack(gold.model_dump(mode="json")),
    }
    sets = "SET #r = :rules, #g = :gold"
    noted = items.update_action(where, key_of(batch), sets, values, "attribute_exists(pk)", r="rules", g="gold")
    if not items.transact([state.model_copy(update={"asked": ""}).put_action(), noted]):
        raise Wait(f"{batch.name} changed while rules were noted with it", RETRY_SECONDS)
