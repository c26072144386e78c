"""The sweeper: finds batches that landed but were not followed up, and tells of them again; removes what given up ones left;
queues what a submitting worker had no time to.

An announcement can be lost only where a worker died between two writes; telling again is harmless, since every step looks first
whether it has been done. A batch whose message lies in a dead-letter queue is left alone until that is replayed.
"""

from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from flowforge.bronze.leftovers import WORKER_SECONDS, remove_leftovers
from flowforge.cloud.bus import announce
from flowforge.cloud.clients import client, unavailable
from flowforge.jobs.unfinished import finish_submissions
from flowforge.settings import settings
from flowforge.state import batches, leases, records
from flowforge.state.announcements import landed_fact
from flowforge.state.batch import Batch
from flowforge.state.dead_letters import explain_dead_letters

IDLE_SECONDS = 120


def sweep(idle_seconds: float = IDLE_SECONDS, worker_seconds: float = WORKER_SECONDS) -> dict[str, Any]:
    """Announces again what has not moved for a while, queues what was accepted and not queued, and removes the objects of batches
    that were given up more than `worker_seconds` ago; returns how many of each kind."""
    told = {"landed": 0, "claimed": 0, "removed": 0, "dead_letters": explain_dead_letters()}
    for batch in records.open_batches(idle_seconds):
        if batch.state == "voided":
            if remove_leftovers(batch, worker_seconds):
                batches.mark(batch, stuck=True)
                told["removed"] += 1
            continue
        if batch.state == "empty" or batch.published:
            batches.mark(batch, stuck=True)
            continue
        if batch.state == "claimed" and batch.attempts >= settings().max_attempts:
            batches.mark(batch, stuck=True)
            continue
        if batch.state == "claimed":
            leases.count_attempt(batch)
            _queue_again(batch)
            told["claimed"] += 1
        else:
            announce(landed_fact(batch))
            told["landed"] += 1
        batches.mark(batch)
    told["submitted"] = finish_submissions(idle_seconds)
    return told


def stop_sweeping(body: dict[str, Any]) -> None:
    """Takes a batch that was given up out of the sweeper's sight; its replay goes on without it."""
    if {"source_key", "generation", "seq"} <= set(body):
        batch = records.find_batch(body["source_key"], body["generation"], body["seq"])
        if batch:
            batches.mark(batch, stuck=True)


def _queue_again(batch: Batch) -> None:
    try:
        client("sqs").send_message(QueueUrl=settings().ingest_queue_url, MessageBody=batch.command.model_dump_json())
    except (ClientError, BotoCoreError) as error:
        raise unavailable("SQS", error) from error
