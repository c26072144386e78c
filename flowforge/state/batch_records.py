"""The records of batches in the watermark table: found by identity, by run, newest first, or as long as they are under way.

A record changes by compare-and-set on its state and its attempt's fencing token only. An answer that was lost on the way is
recognised by that token and not mistaken for somebody else's write.
"""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from flowforge.aws import items
from flowforge.aws.compact import pack, unpack
from flowforge.domain.batch import SEQ_BITS, Batch
from flowforge.domain.errors import UnreadableRecord, unreadable
from flowforge.domain.source_key import bronze_table_of
from flowforge.runtime.settings import settings
from flowforge.state.table import STATE, TableState, state_of

RETRY_SECONDS = 3
PROBLEM_CHARACTERS = 1_000
_JSON = ("interval", "command", "identity", "slices", "manifest", "rules", "gold")


def key_of(batch: Batch) -> items.Item:
    """Where a batch's record is."""
    return {"pk": batch.source_key, "sk": _batch_sk(batch.generation, batch.seq)}


def _batch_sk(generation: int, seq: int) -> str:
    return f"BATCH#{generation:06d}#{seq:010d}"


def item_of(batch: Batch) -> items.Item:
    """The stored form of a batch; the sweeper sees it."""
    plain = json.loads(batch.model_dump_json(exclude={"source_key"}))
    for field in _JSON:
        plain[field] = pack(plain[field])
    return {**key_of(batch), **plain, "open": "open"}


def batch_of(item: items.Item) -> Batch:
    """A batch from its stored form; raises UnreadableRecord."""
    try:
        fields = {k: unpack(v) if k in _JSON else v for k, v in item.items() if k not in ("pk", "sk")}
        return Batch(source_key=item["pk"], **fields)
    except (ValueError, TypeError) as error:
        raise unreadable(f"the record {item['sk']} of {item['pk']}", error, _mend(item)) from error


def _mend(item: items.Item) -> str:
    table = bronze_table_of(str(item["pk"]))
    return (
        "It was changed by hand, or written by a newer version: deploy that version again, or restore it from bronze: flowforge "
        f"watermark rebuild --table {table} --write --force. Where bronze lacks it, load all again: flowforge watermark reset "
        f"{table} --yes."
    )


def find_batch(source_key: str, generation: int, seq: int) -> Batch | None:
    """The record of one batch; raises UnreadableRecord."""
    found = stored_batch(source_key, generation, seq)
    return batch_of(found) if found else None


def stored_batch(source_key: str, generation: int, seq: int) -> items.Item | None:
    """The record of one batch as it is stored."""
    return items.get(settings().watermarks_table, {"pk": source_key, "sk": _batch_sk(generation, seq)})


def stored_batches(identities: Sequence[tuple[str, int, int]]) -> dict[str, items.Item]:
    """The records of batches (source key, generation, seq) of as many tables, by source key; those that are there."""
    keys = [{"pk": key, "sk": _batch_sk(generation, seq)} for key, generation, seq in identities]
    return {item["pk"]: item for item in items.get_many(settings().watermarks_table, keys) if item}


def find_batches(places: Sequence[tuple[str, int, int]]) -> Iterator[tuple[tuple[str, int, int], Batch]]:
    """The records of batches (source key, generation, seq), of any tables; of those that are there and can be read."""
    keys = [{"pk": key, "sk": _batch_sk(generation, seq)} for key, generation, seq in places]
    for place, batch in zip(places, _readable(keys), strict=True):
        if batch is not None:
            yield place, batch


def _readable(keys: list[items.Item]) -> Iterator[Batch | None]:
    """The record of each key; None where it is not there, or cannot be read."""
    for found in items.get_many(settings().watermarks_table, keys):
        batch = None
        with suppress(UnreadableRecord):
            batch = batch_of(found) if found is not None else None
        yield batch


def stored_batches_of(source_key: str, places: Sequence[tuple[int, int]]) -> list[items.Item | None]:
    """The records of batches (generation, seq) of one table, in their order; None for those that are not there."""
    return items.get_many(
        settings().watermarks_table,
        [{"pk": source_key, "sk": _batch_sk(generation, seq)} for generation, seq in places],
    )


def batch_of_run(source_key: str, run_id: str) -> Batch | None:
    """The batch that a run has already claimed for this table; a redelivered message finds its own work by it."""
    found = items.get(settings().watermarks_table, {"pk": source_key, "sk": f"RUN#{run_id}"})
    return find_batch(source_key, found["generation"], found["seq"]) if found else None


class Known(NamedTuple):
    """What the watermark table knows of a load: the table's state, the batch that its run has already claimed for it, and whether
    its label is in use."""

    state: TableState
    own: Batch | None
    label_taken: bool


def what_is_known(source_key: str, run_id: str, label: items.Item) -> Known:
    """The same by one call, where the run has no batch yet; `label` is the key of its label. Raises UnreadableRecord.

    Nothing may rest on it but what the claim makes sure of: each is read by itself.
    """
    keys = [{"pk": source_key, "sk": STATE}, {"pk": source_key, "sk": f"RUN#{run_id}"}, label]
    state, run, taken = items.get_many(settings().watermarks_table, keys)
    own = find_batch(source_key, run["generation"], run["seq"]) if run else None
    return Known(state_of(source_key, state), own, taken is not None)


def state_and_batch(source_key: str, generation: int, seq: int) -> tuple[TableState, Batch | None]:
    """A table's state and one of its batches, by one call; each is read by itself. Raises UnreadableRecord."""
    keys = [{"pk": source_key, "sk": STATE}, {"pk": source_key, "sk": _batch_sk(generation, seq)}]
    state, batch = items.get_many(settings().watermarks_table, keys)
    return state_of(source_key, state), batch_of(batch) if batch else None


def label_key(bronze_table: str, label: str) -> items.Item:
    """What keeps an object name of a bronze table from being used again."""
    return {"pk": f"LABEL#{bronze_table}", "sk": label}


def history(source_key: str, limit: int = 20) -> list[Batch]:
    """The newest batches of a table, newest first; raises UnreadableRecord."""
    return [batch_of(item) for item in stored_history(source_key, limit)]


def stored_history(source_key: str, limit: int | None = 20) -> Iterator[items.Item]:
    """The newest batches of a table as they are stored, newest first; all of them, page by page, without a `limit`."""
    condition, values = "pk = :pk AND begins_with(sk, :batch)", {":pk": source_key, ":batch": "BATCH#"}
    options = {"ScanIndexForward": False} | ({"Limit": limit} if limit else {})
    return items.query(settings().watermarks_table, condition, values, **options)


def newest(source_key: str, fits: Callable[[Batch], bool]) -> Batch | None:
    """The newest batch of a table that fits, however many have come since; one that cannot be read is passed over."""
    return first_of(stored_history(source_key, None), fits)


def last(source_key: str) -> Batch | None:
    """The newest batch of a table; None where there is none, or it cannot be read."""
    return first_of(stored_history(source_key, 1), lambda _: True)


def first_of(stored: Iterable[items.Item], fits: Callable[[Batch], bool]) -> Batch | None:
    """The first of some stored batches that fits; one that cannot be read is passed over."""
    for item in stored:
        with suppress(UnreadableRecord):
            batch = batch_of(item)
            if fits(batch):
                return batch
    return None


def all_batches(source_key: str) -> Iterator[Batch]:
    """Every batch of a table that is recorded, in their order; raises UnreadableRecord."""
    return map(batch_of, all_stored(source_key))


def all_stored(source_key: str, order: int = 0) -> Iterator[items.Item]:
    """The same as they are stored, from a place in their order on."""
    first = _batch_sk(order >> SEQ_BITS, order & (1 << SEQ_BITS) - 1)
    condition, values = (
        "pk = :pk AND sk BETWEEN :first AND :last",
        {":pk": source_key, ":first": first, ":last": "BATCH#~"},
    )
    return items.query(settings().watermarks_table, condition, values)


def open_batches(idle_seconds: float) -> list[items.Item]:
    """Keys of batches that are under way but have not moved for `idle_seconds`, the longest idle first."""
    return _open("updated_at < :moment", time.time() - idle_seconds)


def moving_batches(since: float) -> list[Batch]:
    """Batches of all tables that are under way and have moved since a time (seconds since 1970); of those that can be read."""
    return [batch for batch in _readable(_open("updated_at >= :moment", since)) if batch is not None]


def _open(moved: str, moment: float) -> list[items.Item]:
    """Keys of batches under way by when they have moved, a condition on `:moment`; in the order of that time."""
    options = {"IndexName": "open-batches", "ExpressionAttributeNames": {"#open": "open"}}
    values = {":open": "open", ":moment": moment}
    found = items.query(settings().watermarks_table, f"#open = :open AND {moved}", values, **options)
    return [{"pk": item["pk"], "sk": item["sk"]} for item in found]


def take_turn(key: items.Item) -> items.Item | None:
    """What is stored of an open batch, which goes behind all others first; None when it is gone. A voided one stays in its
    place, since its time tells when it was voided."""
    sets, values = "SET updated_at = :now", {":now": time.time(), ":voided": "voided"}
    items.update(settings().watermarks_table, key, sets, values, "attribute_exists(pk) AND #s <> :voided", s="state")
    return items.get(settings().watermarks_table, key)


def note_problem(key: items.Item, problem: str) -> None:
    """Keeps with a batch why it cannot be followed up, or that it can again (""); it goes behind all others."""
    values = {":problem": problem[:PROBLEM_CHARACTERS], ":now": time.time()}
    expression = "SET problem = :problem, updated_at = :now"
    items.update(settings().watermarks_table, key, expression, values, "attribute_exists(pk)")


def write(batch: Batch, expression: str, values: items.Item, state: str) -> bool:
    """Updates the batch's record while it is in `state` under this attempt's token."""
    values = values | {":mine": batch.token, ":state": state, ":now": time.time()}
    names = {"s": "state"} | ({"t": "token"})
    return items.update(
        settings().watermarks_table,
        key_of(batch),
        f"{expression}, updated_at = :now",
        values,
        "#t = :mine AND #s = :state",
        **names,
    )


def is_written(batch: Batch, state: str) -> bool:
    """Whether a write that was refused is this attempt's own, whose answer was lost: an SDK sends a call again by itself."""
    stored = find_batch(batch.source_key, batch.generation, batch.seq)
    return stored is not None and (stored.token, stored.state) == (batch.token, state)


def transition(batch: Batch, before: str, after: str, close: bool = False, open_again: bool = False) -> dict[str, Any]:
    """A change of state; `close` takes the batch out of the sweeper's sight, `open_again` puts it there."""
    expression = "SET #s = :after, updated_at = :now" + (", #open = :open" if open_again else "")
    expression += " REMOVE #open" if close else ""
    names = {"s": "state", "t": "token"} | ({"open": "open"} if close or open_again else {})
    values = {":after": after, ":before": before, ":mine": batch.token, ":now": time.time()}
    values |= {":open": "open"} if open_again else {}
    condition = "#s = :before AND #t = :mine"
    return items.update_action(settings().watermarks_table, key_of(batch), expression, values, condition, **names)
