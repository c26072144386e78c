"""Erases the rows of one person out of one table: bronze, silver, gold, earlier versions, quarantine, rejects, records.

It runs where the command was typed, with that person's own rights: the key is in the memory of this process, and in no message,
event, log or item. Guarantees: every step looks for what is there and takes it out, so a command that was killed anywhere is run
again and goes on; each object, table and record is as before or as it is to be. Bronze goes first, so that no replay or rebuild
brings back what is taken out behind it. What is said to be gone was looked for afterwards.
"""

import uuid
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from shlex import quote

from flowforge.aws import items
from flowforge.bronze.keys import folders
from flowforge.domain.batch import Batch
from flowforge.domain.errors import NotFound, StoreUnavailable, TransformRejected
from flowforge.domain.names import TableName
from flowforge.engines.registry import ENGINE
from flowforge.gold.publish import publish
from flowforge.operations.erasure.bronze_objects import keys_below, rewrite
from flowforge.operations.erasure.find import Found, Place, Progress, find, place_of
from flowforge.operations.erasure.lake_tables import erase_rows, forget_versions
from flowforge.operations.erasure.old_versions import delete_versions, noncurrent_versions
from flowforge.operations.erasure.records import Listed, facts_after, mend_records
from flowforge.operations.erasure.rejected_records import texts_of
from flowforge.operations.erasure.report import Erasure
from flowforge.operations.erasure.subject import Subject, subject_of
from flowforge.operations.erasure.under_way import (
    gold_builders,
    kept_builders,
    on_their_way,
    refuse_under_way,
    settled_batches,
    still_building,
)
from flowforge.operations.erasure.verdicts import erase_verdicts
from flowforge.operations.rebuild_silver import source_key_of
from flowforge.runtime.settings import settings
from flowforge.silver.decisions import decisions_of
from flowforge.silver.reading import plan_of
from flowforge.state import batch_records
from flowforge.tables.lake import open_table, store_errors, table_uri
from flowforge.tables.rows import column_types

SOURCE_NOTE = "the source is not changed: a row that it still has comes back with the next load that reads it"
FILES_NOTE = (
    "files that were delivered are not changed, nor their names where these are kept: those below landing/ are yours to keep "
    "or delete"
)
BOUND_NOTE = "bounds and newest values of the cursor, in state and history, are kept: one may be a value of the key"
WORDS_NOTE = (
    "requests, workflows, messages in queues and dead letters, errors of runs, alerts and lineage are not looked through: "
    "a filter, a bound or an error may name a value of the key"
)
HASH_NOTE = (
    "rows are found by the hash of {} as it was given, blanks at its end aside: a value in other letters, such as capitals, has "
    "another hash, also where the source takes both for one; erase each spelling that there was"
)
DIGEST_NOTE = "backups of the tables of state, and logs, are not changed: they hold no rows"


def erase(
    bucket: str, name: str, values: Mapping[str, str], apply: bool, progress: Progress = lambda told: None
) -> Erasure:
    """Finds the rows whose columns have these values (column -> text) in all layers of silver table `name`, and with `apply`
    takes them out.

    Raises NotFound for a table that is not known, Fatal for columns or values that it cannot have, Retriable while a batch is on
    its way to silver, StoreUnavailable where something is changed meanwhile.
    """
    uri = table_uri(bucket, "silver", name)
    with store_errors(f"silver.{name}"):
        table = open_table(uri)
        source_key = source_key_of(table, name)
        newest = batch_records.newest(source_key, lambda one: _is_of(one, name))
        if table is None or newest is None:
            raise NotFound(
                f"silver.{name} is not there, or no batch of it is recorded",
                "if FlowForge's memory was lost, restore it first: flowforge watermark rebuild --write",
            )
        with ENGINE.session() as session:
            plan = plan_of(session, newest, decisions_of(table).key)
            subject = subject_of(values, column_types(session, table), plan, newest)
            subject.prepare(session)
            place = place_of(bucket, name, source_key, newest)
            found = find(session, subject, place, progress)
    report = Erasure(
        id=uuid.uuid4().hex,
        table=f"silver.{name}",
        source_key=source_key,
        columns=list(subject.types),
        found=found.layers,
        notes=_notes(subject, newest),
    )
    return _applied(subject, place, found, report, progress) if apply else replace(report, left=_left(found, {}))


def _is_of(batch: Batch, name: str) -> bool:
    is_there = batch.refined and batch.has_rows and batch.state != "voided"
    return is_there and batch.command.silver.table == name


def _applied(subject: Subject, place: Place, found: Found, report: Erasure, progress: Progress) -> Erasure:
    refuse_under_way(place.source_key)
    erased, left = dict[str, int](), list[str]()
    erased["quarantine, verdicts"] = erase_verdicts(subject, place, found.bronze)
    progress("erasing from bronze …")
    erased |= _erase_bronze(subject, place, found.bronze)
    for name in place.tables[:2]:
        progress(f"erasing from {name} …")
        erased[str(name)] = erase_rows(str(name), place.uri(name), subject)
    place = place_of(place.bucket, place.name, place.source_key, place.newest)  # models may have been kept meanwhile
    building = _builders(place)
    erased["rejected records"] = sum(texts_of(subject, place.bucket, key, erase=True) for key in found.rejects)
    for name in place.tables:
        progress(f"earlier versions of {name} …")
        erased[f"{name}, objects of earlier versions"] = forget_versions(str(name), place.bucket, place.uri(name))
    progress("publishing gold …")
    left += _publish(place)
    for name in (TableName("gold", table) for table in place.gold):
        erased[f"{name}, objects of earlier versions"] = forget_versions(str(name), place.bucket, place.uri(name))
    progress("noncurrent versions of objects …")
    versions = noncurrent_versions(place.bucket, _prefixes(place))
    if versions is None:
        left.append(
            "noncurrent versions of objects, if the bucket keeps any: they may not be listed (s3:ListBucketVersions)"
        )
    refused = delete_versions(place.bucket, versions or [])
    erased["noncurrent versions of objects"] = len(versions or []) - refused
    progress("looking again …")
    left += still_building(building, _builders(place) if building else ())
    settled = settled_batches(place.source_key)
    with ENGINE.session() as session, store_errors(report.table):
        subject.prepare(session)
        again = find(session, subject, place, progress)
    left += on_their_way(place.source_key, found.bronze, settled)
    left += _left(again, {"noncurrent versions of objects that the store did not let go": refused})
    left += [f"{one.name}: {one.rows:,} rows" for one in again.layers if one.rows]
    done = replace(
        report,
        applied=True,
        erased={name: count for name, count in erased.items() if count},
        remains=[one for one in again.layers if one.rows],
        left=list(dict.fromkeys(left)),
    )
    _keep(done)
    return done


def _erase_bronze(subject: Subject, place: Place, keys: list[str]) -> dict[str, int]:
    rewritten = 0
    with ENGINE.session() as session, store_errors("bronze"):
        subject.prepare(session)
        for key in keys:
            rewritten += rewrite(
                session, subject, place.bucket, key, lambda facts, rows: facts_after(facts, rows, subject)
            )
    there = {
        one["Key"]: Listed(one["ETag"], one["Size"])
        for prefix in folders(place.bronze_table)
        for one in keys_below(place.bucket, prefix)
    }
    with ENGINE.session() as session, store_errors("bronze"):
        records = mend_records(session, subject, place.bucket, place.source_key, there)
    return {"bronze, objects written anew": rewritten, "records": records}


def _publish(place: Place) -> list[str]:
    """Builds gold anew; returns what could not be."""
    if not place.gold:
        return []
    try:
        result = publish(place.newest, place.bucket)
    except TransformRejected as error:
        return [f"gold is not built anew: {error.with_remedy}"]
    return [f"gold is not built anew: {waiting}" for waiting in result.deferred]


def _builders(place: Place) -> dict[str, str]:
    """Who may be building gold of rows that were read before, and which table."""
    by_loads = gold_builders(place.bucket, place.source_key, place.gold)
    return by_loads | kept_builders(place.bucket, place.gold)


def _prefixes(place: Place) -> list[str]:
    bronze = list(folders(place.bronze_table))
    rejects = ["rejected/" + one.removeprefix("bronze/") for one in bronze]
    names = [*place.tables, *(TableName("gold", table) for table in place.gold)]
    return [*bronze, *rejects, *(place.uri(name).removeprefix(f"s3://{place.bucket}/") + "/" for name in names)]


def _notes(subject: Subject, newest: Batch) -> list[str]:
    found = [SOURCE_NOTE, WORDS_NOTE, DIGEST_NOTE]
    if newest.interval.files:
        found.insert(1, FILES_NOTE)
    if texts := sorted(set(subject.plain) - subject.numbers):
        found.append(HASH_NOTE.format(", ".join(texts)))
    if newest.interval.column in subject.types:
        found.append(BOUND_NOTE)
    return found


def _left(found: Found, more: Mapping[str, int]) -> list[str]:
    counted = {
        "objects below bronze/ that are none of the table's and hold such rows": found.foreign,
        "objects that cannot be read as Parquet": found.unread,
        "objects in bronze without the key's columns, as they were called otherwise: of their rows nobody can tell": (
            found.unlike
        ),
        "objects in bronze whose values of the key were protected otherwise, so that no row is found by them": found.hidden,
        "objects below rebuild/ that hold such rows, of a rebuild that died: they go a day later, with the next one": (
            found.rebuilt
        ),
        **more,
    }
    told = [f"{count:,} {what}" for what, count in counted.items() if count]
    return told + [f"{name} holds such rows: {_why_left(name)}" for name in found.others]


def _why_left(name: str) -> str:
    if name.startswith("silver."):
        return "the same source has filled it, erase there too"
    return (
        f"this table does not make it (flowforge lineage {quote(name)} tells what does): if they are this person's, erase them "
        "in the table that does; where none does any more, correct or drop it"
    )


def _keep(done: Erasure) -> None:
    """Keeps what was done with the table's corrections: counts and names of columns, no value."""
    at = datetime.now(UTC).isoformat(timespec="milliseconds")
    told = "; ".join(f"{name}: {count:,}" for name, count in done.erased.items()) or "nothing was found"
    remains = f"; left: {'; '.join(done.left)}" if done.left else ""
    note = {
        "pk": done.source_key,
        "sk": f"AUDIT#{at}#{done.id[:8]}",
        "at": at,
        "action": "erase",
        "column": ", ".join(done.columns),
        "reason": f"{told}{remains}",
    }
    if not items.put(settings().watermarks_table, note):
        raise StoreUnavailable("the erasure is done, and could not be noted", "Run the command again.")
