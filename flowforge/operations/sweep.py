"""The sweeper: finds batches that landed but were not followed up, and tells of them again; removes what given up ones left;
queues what a submitting worker had no time to; looks for files that no event told of.

An announcement can be lost only where a worker died between two writes; telling again is harmless, since every step looks first
whether it has been done. A batch whose message lies in a dead-letter queue is left alone until that is replayed.

Each batch, run and message is judged alone. One that fails is logged and counted (metric SweepFailures), its record says why, its
run hears of it, and it goes behind all others before it is looked at: it is never first for ever, not even if it takes the worker
down with it.
"""

import time
from collections import Counter
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit

from flowforge.aws import items
from flowforge.aws.bus import announce
from flowforge.aws.clients import aws_errors, client
from flowforge.aws.message import batch_identity, logger, metrics
from flowforge.bronze.announcements import landed_fact, swept_in_vain
from flowforge.bronze.orphaned_objects import WORKER_SECONDS, remove_orphaned_objects
from flowforge.domain.alone import Failure, each_alone
from flowforge.domain.batch import Batch
from flowforge.domain.errors import Retriable
from flowforge.jobs.outbox import finish_submissions
from flowforge.operations.dead_letters import explain_dead_letters
from flowforge.operations.file_sweep import list_older_files, sweep_files
from flowforge.runtime.settings import settings
from flowforge.state import batch_records, batches, leases

IDLE_SECONDS = 120
COUNTED = ("landed", "claimed", "removed")


def sweep(idle_seconds: float = IDLE_SECONDS, worker_seconds: float = WORKER_SECONDS) -> dict[str, Any]:
    """Announces again what has not moved for a while, queues what was accepted and not queued, and removes the objects of batches
    that were given up more than `worker_seconds` ago; returns how many of each kind, and how many failed."""
    explained, failures = explain_dead_letters()
    submitted, failed = finish_submissions(idle_seconds)
    failures += failed
    since: list[tuple[float, str]] = []
    done, failed = each_alone(
        batch_records.open_batches(idle_seconds), lambda key: _follow_up(key, worker_seconds, since)
    )
    failures += failed
    each_alone(failed, _tell_of)
    counts = Counter(kind for _, kind in done)
    files, failed = sweep_files()
    failures += [*failed, *list_older_files()]
    for failure in failures:
        logger.error("not swept", what=failure.thing, cause=str(failure.error), exc_info=failure.error)
    if failures:
        metrics.add_metric(name="SweepFailures", unit=MetricUnit.Count, value=len(failures))
    if since:
        claimed_at, bronze_table = min(since)
        metrics.add_metric(name="OldestBatchSeconds", unit=MetricUnit.Seconds, value=round(time.time() - claimed_at))
        metrics.add_metadata(key="oldest_table", value=bronze_table)
    if failures or since:
        metrics.flush_metrics()
    told = {kind: counts[kind] for kind in COUNTED}
    return told | {"dead_letters": explained, "submitted": submitted, "files": files, "failed": len(failures)}


def stop_sweeping(body: dict[str, Any]) -> None:
    """Takes a batch that was given up out of the sweeper's sight; its replay goes on without it."""
    named = batch_identity(body)
    if batch := batch_records.find_batch(**named) if named else None:
        batches.mark(batch, stuck=True)


def _follow_up(key: items.Item, worker_seconds: float, since: list[tuple[float, str]]) -> str | None:
    """Does what one open batch waits for; returns what that was, and adds to `since` when a batch that goes on was claimed, and
    its table."""
    item = batch_records.take_turn(key)
    if item is None:
        return None
    batch = batch_records.batch_of(item)
    if batch.state in ("claimed", "landed") and not batch.published and batch.claimed_at:
        since.append((batch.claimed_at, batch.command.bronze.table))
    done = _move_on(batch, worker_seconds)
    if batch.problem:
        batch_records.note_problem(key, "")
    return done


def _move_on(batch: Batch, worker_seconds: float) -> str | None:
    if batch.state == "voided":
        if not remove_orphaned_objects(batch, worker_seconds):
            return None
        batches.mark(batch, stuck=True)
        return "removed"
    used_up = batch.state == "claimed" and batch.attempts >= settings().max_attempts
    if batch.state == "empty" or batch.published or used_up:
        batches.mark(batch, stuck=True)
        return None
    if batch.state == "claimed" and batch.interval.cut:
        return None  # it cannot be read by itself: its run's message comes again, or the next load ends the claim
    if batch.state == "claimed":
        leases.count_attempt(batch)
        _queue_again(batch)
        return "claimed"
    announce(landed_fact(batch))
    return "landed"


def _tell_of(failure: Failure[items.Item]) -> None:
    """Keeps with the record why it was not followed up, and tells its run, once, where trying again is no help."""
    item = items.get(settings().watermarks_table, failure.thing)
    if item is None:
        return
    fact = None if isinstance(failure.error, Retriable) else swept_in_vain(item, failure)
    if fact and item.get("problem", "") == "":
        announce(fact)
    batch_records.note_problem(failure.thing, str(failure.error))


def _queue_again(batch: Batch) -> None:
    with aws_errors("SQS"):
        client("sqs").send_message(QueueUrl=settings().ingest_queue_url, MessageBody=batch.command.model_dump_json())
