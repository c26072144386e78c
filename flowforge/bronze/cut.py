"""Loads the tables of a run as of one moment (`consistentCut`): all of them land, or none.

One worker opens one moment of the source, plans and claims each table in it, reads them in turn, and lands them when the last row
of the last one is in bronze; `cut_claims` tells what becomes of it when the worker dies. A cut in which something has changed is
a batch of every table, of an idle one without rows: so each silver table says in its own log which cut it holds, and gold asks
nothing else.

Guarantees: a cut begins once silver and gold have the one before, so that gold finds its inputs at one cut and not always at two.
A table that fails fails the cut, with its name; nothing has landed then, and the next attempt reads all of them anew.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import NamedTuple

from events.commands import IngestCut, IngestTable
from events.facts import BatchEvent
from events.targets import SourceTable
from flowforge.aws.clients import prepare
from flowforge.aws.conditional_writes import prove_once
from flowforge.bronze.cut_claims import LANDED, NOT_COUNTED, give_up, land_from_object
from flowforge.bronze.finalize import settle
from flowforge.bronze.footing import Footing
from flowforge.bronze.heartbeat import Heartbeat, reading_permitted
from flowforge.bronze.ingest import finish_other
from flowforge.bronze.landing import Landed, land, manifest_of
from flowforge.bronze.nothing_new import nothing_new
from flowforge.bronze.outcome import Outcome
from flowforge.bronze.planning import Found, look_at, place, plan_of, read_at_once
from flowforge.domain.batch import Batch
from flowforge.domain.cut import Cut
from flowforge.domain.errors import Fatal, FlowForgeError, SourceUnavailable, UnsupportedSource, Wait
from flowforge.domain.given import given
from flowforge.runtime.settings import settings
from flowforge.runtime.time_limit import deadline
from flowforge.sources.base import Moment, Session, Source
from flowforge.sources.plans import ReadPlan
from flowforge.sources.registry import source_at
from flowforge.state import batch_records, claims, leases


class Read(NamedTuple):
    """A table of a cut that is in bronze."""

    batch: Batch
    found: Found
    plan: ReadPlan
    landed: Landed


def ingest_cut(command: IngestCut) -> Outcome:
    """Loads the command's tables.

    Raises Wait while another attempt holds one of them, or the cut before is not in gold; Fatal and Retriable as `ingest` does.
    """
    prepare("s3")
    connection = command.tables[0].connection
    source = source_at(connection)
    with reading_permitted(connection), source.session() as session:
        found = [look_at(session, _plain(table)) for table in command.tables]
        owns = [one.known.own for one in found]
        if owns[0] is not None and owns[0].state in LANDED:
            return _go_on([own for own in owns if own is not None])
        if claimed := [own for own in owns if own is not None]:
            return _begin_again(claimed)
        for one in found:
            if one.known.state.active is not None:
                return finish_other(one.known.state)
        cuts = _cuts(found)
        joining = tuple(one.command.silver.table for one, cut in zip(found, cuts, strict=True) if cut is None)
        are_of_one = None not in cuts and len({(cut.source, cut.version) for cut in cuts if cut}) == 1
        return _read_and_land(source, session, found, joining, even_unchanged=not are_of_one)


def _plain(table: IngestTable) -> IngestTable:
    return table.model_copy(update={"replayed": False, "given_up": []})


def _go_on(owns: Sequence[Batch]) -> Outcome:
    """Lands what a worker has left of a cut that is decided."""
    facts: list[BatchEvent] = []
    for own in owns:
        facts += land_from_object(own).facts
    return Outcome(facts)


def _begin_again(owns: Sequence[Batch]) -> Outcome:
    for own in owns:
        if own.state == "voided":
            raise Fatal(f"{own.name} was voided by a watermark set or reset by hand", "Submit the request again.")
    give_up(owns)
    return Outcome([], 1, f"an attempt before was not read to its end: {len(owns)} claims of it were abandoned")


def _cuts(found: Sequence[Found]) -> list[Cut | None]:
    """The cut that the newest batch of each table has brought it to; None for one that came without, or did not land. Raises Wait
    while gold lacks one of them: what is of no cut would come to silver beside this one. What lies in a dead-letter queue is not
    waited for."""
    states = [one.known.state for one in found]
    places = [(state.source_key, state.generation, state.seq) for state in states if state.seq]
    newest = dict[str, Batch]()
    for item in batch_records.stored_batches(places).values():
        batch = batch_records.batch_of(item)
        if "open" in item and batch.state in LANDED and not batch.published:
            raise Wait(f"{batch.name}, of the load before, is not in gold yet", batch_records.RETRY_SECONDS)
        newest[batch.source_key] = batch
    landed = (newest.get(state.source_key) for state in states)
    return [batch.interval.cut if batch and batch.state in LANDED else None for batch in landed]


def _read_and_land(
    source: Source, session: Session, found: Sequence[Found], joining: tuple[str, ...], *, even_unchanged: bool
) -> Outcome:
    began_at, claimed = time.time(), list[Batch]()
    try:
        with session.one_moment(found[0].description) as moment:
            plans = [read_at_once(one, plan_of(moment, one)) for one in found]
            if all(plan.nothing for plan in plans) and not even_unchanged:
                # Other conditions, names or protection are refused though there is nothing to read by them.
                return _nothing(found, [place(one, plan)[0] for one, plan in zip(found, plans, strict=True)])
            placed = [place(one, replace(plan, nothing=None)) for one, plan in zip(found, plans, strict=True)]
            prove_once(settings().bucket)
            with Heartbeat(lambda: all([leases.renew(batch) for batch in [*claimed]])), _in_time(len(found)):
                for one, (plan, footing) in zip(found, placed, strict=True):
                    claimed.append(_claimed(one, plan, footing, _cut(moment, claimed, len(found), joining)))
                read = [_read(moment, source, *parts) for parts in zip(claimed, found, strict=True)]
        for batch in claimed:
            if not leases.renew(batch):
                raise Wait(f"{batch.name} was taken over before its cut landed", batch_records.RETRY_SECONDS)
        facts = [*_landed(source, read[0], began_at)]
    except BaseException:
        with suppress(FlowForgeError):  # what is left is given up by the next attempt, once its leases are over
            give_up(claimed, ours=True)
        raise
    try:
        for one in read[1:]:
            facts += _landed(source, one, began_at)
    except BaseException:
        with suppress(FlowForgeError):  # the cut has landed: the next attempt need not wait to land the others
            for batch in claimed:
                leases.release(batch)
        raise
    return Outcome(facts)


def _nothing(found: Sequence[Found], plans: Sequence[ReadPlan]) -> Outcome:
    """Nothing has changed in any table: each is still as it was at the cut before."""
    told = [nothing_new(one, plan) for one, plan in zip(found, plans, strict=True)]
    return Outcome([fact for outcome in told for fact in outcome.facts])


def _cut(moment: Moment, before: Sequence[Batch], tables: int, joining: tuple[str, ...]) -> Cut:
    first = (before[0].source_key, before[0].generation, before[0].seq) if before else None
    return Cut(source=moment.source, version=moment.version, tables=tables, decided_by=first, joining=joining)


def _claimed(found: Found, plan: ReadPlan, footing: Footing, cut: Cut) -> Batch:
    promise = f"one moment of {cut.tables} tables: the database at version {cut.version}; {plan.interval.promise}"
    interval = plan.interval.model_copy(update={"cut": cut, "promise": promise})
    return claims.claim(
        footing.state,
        found.command,
        found.description.name,
        interval,
        plan.identity,
        plan.memory,
        lake=footing.etag,
        label_taken=found.known.label_taken,
    )


def _read(moment: Moment, source: Source, batch: Batch, found: Found) -> Read:
    plan = source.resume(batch.interval, replace(found.description, identity=batch.identity))
    plan = replace(plan, counting=NOT_COUNTED)
    until = deadline()
    landed = land(batch, plan.columns, found.description.name, lambda: moment.open(plan, until), even_empty=True)
    read = batch.command.source
    may_be_empty = isinstance(read, SourceTable) and read.allow_empty_refresh
    if plan.interval.is_whole_table and not (given(landed.object).rows or may_be_empty) and found.known.state.seq:
        raise UnsupportedSource(
            f"{found.description.name}: consistentCut: all of its rows were to be read, and it reads as empty; silver has some",
            "If it is empty indeed: databaseConfig.allowEmptyRefresh true takes them out.",
        )
    return Read(batch, found, plan, landed)


def _landed(source: Source, read: Read, began_at: float) -> Sequence[BatchEvent]:
    manifest = manifest_of(read.batch, read.plan.columns, read.found.description.primary_key, [read.landed])
    return settle(read.batch, manifest, source, read.plan, began_at).facts


@contextmanager
def _in_time(tables: int) -> Iterator[None]:
    """What does not fit into one worker's time never will: it is told at once, and not tried again."""
    try:
        yield
    except SourceUnavailable as error:
        until = deadline()
        if until is None or time.monotonic() < until:
            raise
        raise UnsupportedSource(
            f"consistentCut: the changes of {tables} tables were not read within one worker's time; nothing of them has landed",
            "Name only tables whose rows belong together, or give workers more time (WorkTimeoutSeconds). Where very much has "
            "changed, load once without consistentCut.",
        ) from error
