"""The last step of a batch whose rows are all in bronze: it lands, or it is given up because the source counts more.

What is given up is submitted again by the same run, under another object name and with the reason, which the run tells once it
is through. Guarantees: the new message is sent before the batch is voided, so a worker that dies in between loses nothing, and
two such messages claim one batch; after as many tries as a message has, the run fails with the reason.
"""

import time

from aws_lambda_powertools import Logger

from flowforge.aws.fanout import send_commands
from flowforge.bronze.announcements import landed_fact, source_table
from flowforge.bronze.counting import count_landed
from flowforge.bronze.footing import take_lead
from flowforge.bronze.outcome import Outcome
from flowforge.domain.batch import Batch
from flowforge.domain.errors import LateRows
from flowforge.domain.manifest import Manifest
from flowforge.runtime.settings import settings
from flowforge.sources.base import Source
from flowforge.sources.plans import ReadPlan
from flowforge.state import batches
from flowforge.state.table import TableState, read_state

logger = Logger(service="flowforge")
REMEDY = (
    "Whoever writes these rows stamps them himself, before they commit or with old values: use a rowversion column, or a stamp "
    "that the writing statement takes from the server's clock. Submit the request again for another try."
)


def settle(
    batch: Batch,
    manifest: Manifest,
    source: Source,
    plan: ReadPlan,
    began_at: float,
    state: TableState | None = None,
) -> Outcome:
    """Has the source count the batch's rows, then lands it or gives it up; `began_at` is in epoch seconds. `state` is the table's
    where this worker has claimed the batch above it: until it lands only a correction by hand writes another, which voids it.

    Raises LateRows when rows came late into every batch that this run has tried, LakeChanged when another deployment has landed
    a batch meanwhile, Wait when another worker has the claim.
    """
    count, late = count_landed(source, plan, manifest.objects)
    if late:
        return _give_up(batch, late)
    take_lead(batch, state or read_state(batch.source_key))
    batch = batches.land(batch, manifest.model_copy(update={"count": count}))
    return Outcome([landed_fact(batch, time.time() - began_at)])


def submit_again(batch: Batch) -> Outcome:
    """Queues the table of a voided batch for its run, as a person who puts it back does."""
    send_commands(settings().ingest_queue_url, [batch.command.model_copy(update={"replayed": True})])
    return Outcome([], None, f"{batch.name} is void; its table was submitted again")


def _give_up(batch: Batch, late: int) -> Outcome:
    interval = batch.interval
    reason = (
        f"{source_table(batch)}: {late} rows came into the interval {interval.low or 'from the beginning'} to {interval.high} of "
        f"{interval.column} after it had been read; batch {batch.seq} was given up"
    )
    logger.warning("batch given up", run_id=batch.command.run_id, table=batch.command.bronze.table, cause=reason)
    reasons = [*batch.command.given_up, reason]
    if len(reasons) >= settings().max_attempts:
        raise LateRows(f"{reason}; so were {len(reasons) - 1} before it", REMEDY)
    again = batch.command.model_copy(update={"given_up": reasons})
    send_commands(settings().ingest_queue_url, [again])
    batches.abandon(batch)
    return Outcome([], None, reason)
