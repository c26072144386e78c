# ruff: noqa: S608 - SQL text of quoted names and counted values
"""Verdicts of quarantine entries that have left it: each is the digest of a row, and goes with the row."""

from flowforge.domain.batch import Batch
from flowforge.domain.own_columns import CONTENT
from flowforge.engines.registry import ENGINE
from flowforge.operations.erasure.find import Place
from flowforge.operations.erasure.lake_tables import swap_rows
from flowforge.operations.erasure.subject import Subject
from flowforge.silver.decisions import decisions_of
from flowforge.silver.quarantine import SETTLED, of_batch, settled_of
from flowforge.silver.reading import objects_of, plan_of
from flowforge.silver.staging import content_hash, stored_rows
from flowforge.state import batch_records
from flowforge.tables.lake import commit, open_table, table_uri

DIGESTS = "_flowforge_digests"


def erase_verdicts(subject: Subject, place: Place, bronze: list[str]) -> int:
    """Takes out the verdicts over rows of the person, which are still in the objects `bronze`; returns how many."""
    if settled_of(place.newest, place.bucket) is None:
        return 0
    wanted, gone = set(bronze), 0
    for batch in batch_records.all_batches(place.source_key):
        if batch.has_rows and batch.manifest and wanted & {one.key for one in batch.manifest.objects}:
            gone += commit(
                f"silver/_quarantine/{SETTLED}/{place.name}", lambda batch=batch: _erase(subject, place, batch)
            )
    return gone


def _erase(subject: Subject, place: Place, batch: Batch) -> int:
    table = settled_of(batch, place.bucket)
    silver = open_table(table_uri(place.bucket, "silver", place.name))
    if table is None:
        return 0
    with ENGINE.session() as session:
        subject.prepare(session)
        plan = plan_of(session, batch, decisions_of(silver).key)
        rows = stored_rows(plan, objects_of(batch))
        condition = subject.condition({name: kind for name, kind in plan.columns.items() if name in plan.source})
        if condition is None:
            return 0
        digests = f"SELECT {content_hash(plan)} AS _flowforge_digest FROM ({rows}) WHERE {condition}"
        session.execute(f"CREATE OR REPLACE TEMP TABLE {DIGESTS} AS {digests}")
        return swap_rows(
            session, table, f"{of_batch(batch)} AND {CONTENT} IN (SELECT _flowforge_digest FROM {DIGESTS})"
        )
