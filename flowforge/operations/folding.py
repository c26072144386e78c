"""History that ends: runs, and the records of finished batches, that are older than `history_days`.

Guarantees: nothing goes that a load, a replay, a release or a rebuild may still need. Of each table the newest batches stay, and
the newest that has landed, however old; so does a batch that silver lacks, that a person has voided after it had landed, or some
of whose rows rules keep in quarantine; so does one of files until the ledger has settled what became of them. What goes is added
to the table's sums in the same transaction, and only as it was read. The objects in bronze stay, and their footers say what a
record does. What is not done in one round is done by a later one.
"""

import random
import time
from collections.abc import Collection, Iterator
from datetime import UTC, datetime, timedelta
from itertools import chain, islice
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit

from flowforge.aws import items
from flowforge.aws.message import logger, metrics
from flowforge.domain.alone import each_alone
from flowforge.domain.batch import FOOTERS, Batch
from flowforge.domain.errors import UnreadableRecord
from flowforge.domain.source_key import is_of_files
from flowforge.runtime.settings import settings
from flowforge.state import batch_records, file_ledger, folded, runs
from flowforge.state.expiry import DAY
from flowforge.state.table import TableState, list_tables, read_state

NEWEST_KEPT = 20  # batches of a table, as many as are shown
AT_ONCE = 8  # batches in a transaction, which holds four megabytes
BUDGET_SECONDS = 20.0
ROUNDS_ANEW = 1 / 72  # once a day
GRACE = timedelta(days=3)  # in which DynamoDB deletes runs by itself, for nothing


def fold_history(budget_seconds: float = BUDGET_SECONDS) -> dict[str, int]:
    """Removes what is old, as far as it gets; returns how many runs and batches went, and how many tables and runs failed."""
    until = time.monotonic() + budget_seconds
    tables = [item["sk"] for item in list_tables()]
    random.shuffle(tables)  # each is first at some time
    done, failed = each_alone(_while_time(tables, until), lambda key: fold_table(key, until))
    old = datetime.now(UTC) - timedelta(days=settings().history_days) - GRACE
    gone, more_failed = each_alone(_while_time(runs.older_than(old), until), runs.forget)
    for failure in (*failed, *more_failed):
        logger.error("not folded", what=failure.thing, cause=str(failure.error), exc_info=failure.error)
    failures = len(failed) + len(more_failed)
    if failures:
        metrics.add_metric(name="SweepFailures", unit=MetricUnit.Count, value=failures)
        metrics.flush_metrics()
    return {"batches": sum(count for _, count in done), "runs": sum(went for _, went in gone), "failed": failures}


def _while_time(things: Any, until: float) -> Iterator[Any]:
    for thing in things:
        if time.monotonic() > until:
            return
        yield thing


def fold_table(source_key: str, until: float = float("inf")) -> int:
    """Folds a table's old batches into its sums; returns how many."""
    horizon = time.time() - settings().history_days * DAY
    old = _old(source_key, horizon)
    if not (first := next(old, None)):
        return 0
    state, count = read_state(source_key), 0
    needed = file_ledger.needed_batches(state) if is_of_files(source_key) else ()
    finished = _while_time(_finished(state, chain([first], old), needed), until)
    while some := list(islice(finished, AT_ONCE)):
        count += len(some) * folded.fold(source_key, some)
    return count


def _old(source_key: str, horizon: float) -> Iterator[items.Item]:
    """The batches of a table that have not changed since `horizon`, the oldest first, up to the first one that has; those
    that a round before has left are looked at again now and then."""
    anew = random.random() < ROUNDS_ANEW  # noqa: S311
    for item in batch_records.all_stored(source_key, 0 if anew else folded.read_folded(source_key).order):
        if item.get("updated_at", 0) >= horizon:
            return
        yield item


def _finished(state: TableState, stored: Iterator[items.Item], needed: Collection[int]) -> Iterator[Batch]:
    for item in stored:
        try:
            batch = batch_records.batch_of(item)
        except UnreadableRecord:
            continue  # a person's to mend
        if "open" not in item and batch.order not in needed and is_finished(state, batch):
            yield batch


def is_finished(state: TableState, batch: Batch) -> bool:
    """Whether nobody needs the record of a batch any more that is no longer under way."""
    if batch.seq > state.seq - NEWEST_KEPT:
        return False
    if batch.state != "committed":
        return batch.state == "empty" or (batch.state == "voided" and batch.manifest is None)
    is_overtaken = state.landed is not None and batch.order < state.landed.order
    return is_overtaken and batch.refined and not _keeps_rows_out(batch) and _bronze_tells_all(batch)


def _bronze_tells_all(batch: Batch) -> bool:
    """Whether silver could be made anew without the record: a history needs the time of the claim."""
    return batch.footers >= FOOTERS or batch.command.silver.strategy != "scd2"


def _keeps_rows_out(batch: Batch) -> bool:
    """Whether rules may keep rows of it in quarantine, which are released at its place; a version before did not note it."""
    if batch.quarantined is not None:
        return batch.quarantined > 0
    return any(rule.severity == "quarantine" for rule in batch.command.silver.quality_rules)
