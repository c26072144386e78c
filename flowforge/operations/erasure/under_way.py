"""Loads that go on beside an erasure: those that must have ended before it, and those that came while it ran.

Whoever has read the rows before they were erased may bring them again: a load that has read the source, a worker of silver that
has a batch's objects, one of silver or gold that writes files from a version before. Guarantees: each is waited for, or named.
"""

import time
from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta

from flowforge.aws import items
from flowforge.domain.batch import Batch
from flowforge.domain.errors import Retriable
from flowforge.domain.names import TableName
from flowforge.gold.model_files import kept_at, read_models
from flowforge.gold.order import following
from flowforge.gold.publish import models_after
from flowforge.state import batch_records, gold_builds

Order = tuple[int, int]
WORKER_SECONDS = 1_000  # a batch that has not moved for so long has no worker: a function runs for at most 900 s


def refuse_under_way(source_key: str) -> None:
    """Raises Retriable while a batch may bring rows that were read before they were erased."""
    for item in batch_records.all_stored(source_key):
        batch = batch_records.batch_of(item)
        moving = not _is_settled(item, batch) and batch.updated_at > time.time() - WORKER_SECONDS
        if batch.state == "claimed" or moving:
            lacking = "gold" if batch.refined else "silver"
            raise Retriable(f"{batch.name} is {batch.state}, not yet in {lacking}", "try again once its run has ended")


def settled_batches(source_key: str) -> set[Order]:
    """The batches whose workers have ended, or have run for longer than a function does."""
    since, found = time.time() - WORKER_SECONDS, set[Order]()
    for item in batch_records.all_stored(source_key):
        batch = batch_records.batch_of(item)
        if _is_settled(item, batch) or (batch.state != "claimed" and batch.updated_at < since):
            found.add((batch.generation, batch.seq))
    return found


def on_their_way(source_key: str, erased: Collection[str], settled: Collection[Order]) -> list[str]:
    """Batches that silver lacks and whose objects had such rows (`erased`): a worker may have read them before. And those that
    were not `settled` when the lake was looked through again."""
    there, told = set(erased), list[str]()
    for batch in batch_records.all_batches(source_key):
        waits = batch.state in ("landed", "committed") and not batch.refined
        objects = batch.manifest.objects if waits and batch.manifest is not None else []
        if there.intersection(one.key for one in objects):
            told.append(
                f"{batch.name} is {batch.state}, not yet in silver, and had such rows: replay or void it, then run the command "
                "again"
            )
        elif (batch.generation, batch.seq) not in settled and batch.state not in ("empty", "voided"):
            told.append(
                f"{batch.name} came meanwhile and may bring such rows, if it read them before: run the command again once its "
                "run has ended"
            )
    return told


def gold_builders(bucket: str, source_key: str, gold: Collection[str]) -> dict[str, str]:
    """Batches of other tables that gold lacks, and which of these gold tables each may be building just now."""
    found = dict[str, str]()
    for batch in batch_records.moving_batches(time.time() - WORKER_SECONDS) if gold else []:
        if batch.source_key != source_key and batch.refined and not batch.published:
            models, _ = models_after(batch, bucket)
            built = sorted({model.table for model in models}.intersection(gold))
            if built:
                found[batch.name] = f"gold.{built[0]}"
    return found


def kept_builders(bucket: str, gold: Collection[str]) -> dict[str, str]:
    """Models that were kept a moment ago, and which of these gold tables whoever builds them by that may be building just now:
    what has had its turn since then is built."""
    since = datetime.now(UTC) - timedelta(seconds=WORKER_SECONDS)
    kept = {table: at for table, at in kept_at(bucket).items() if at > since} if gold else {}
    models = read_models(bucket).models if kept else []
    found = dict[str, str]()
    for table, at in kept.items():
        itself = TableName("gold", table)
        wanted = {itself, *following(models, {itself})}
        built = [one.table for one in models if one.name in wanted and one.table in gold]
        built.sort(key=lambda one: (one != table, one))
        turns = gold_builds.read(built) if built else {}
        for one in built:
            turn = turns.get(one)
            if turn is None or turn["run_id"] or datetime.fromisoformat(turn["at"]) < at:
                found.setdefault(f"the model of gold.{table}, which was kept at {at:%H:%M:%S} UTC,", f"gold.{one}")
    return found


def still_building(before: Mapping[str, str], now: Collection[str]) -> list[str]:
    """Those of `before`, who may have read the rows, that build gold `now` still, or again."""
    return [
        f"{table}: {name} builds it, perhaps of rows from before: run the command again once that has ended"
        for name, table in before.items()
        if name in now
    ]


def _is_settled(item: items.Item, batch: Batch) -> bool:
    """Whether no worker has the batch any more: gold has it, it never will, or it is in a dead-letter queue behind silver."""
    return batch.state in ("empty", "voided") or batch.published or (batch.refined and "open" not in item)
