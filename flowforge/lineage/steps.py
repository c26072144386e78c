"""From an event of the chain to the steps that it tells of, with what the event leaves out: columns and requests from the batch's
record, queries from the records of gold models.

Guarantees: reads only. What is not recorded any more is left out, never guessed: a model whose query has changed since keeps its
inputs and loses its columns.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from events import facts
from events.model import Message
from flowforge.domain.batch import Batch
from flowforge.domain.errors import FlowForgeError, Retriable, UnreadableRecord
from flowforge.gold.outcomes import ModelOutcome, read_outcome
from flowforge.lineage.datasets import in_lake, source_of
from flowforge.lineage.failures import failed_steps
from flowforge.lineage.origins import ColumnLineage
from flowforge.lineage.run_events import Parent, Step
from flowforge.lineage.step_columns import bronze_columns, copied_columns, placed_columns, silver_columns
from flowforge.runtime.deployment import current
from flowforge.runtime.settings import settings
from flowforge.state import batch_records

Place = tuple[str, int, int]  # of a batch: source key, generation, seq
KEPT_SECONDS, MOST_KEPT = 60.0, 256  # the events of one batch follow each other


def steps_of(fact: Message, event_id: str, told_at: str) -> Iterator[Step]:
    """The steps that an event tells of; `event_id` is the bus' own id, `told_at` the time of the announcement.

    Raises Retriable while the batch's record is not there, StoreUnavailable when AWS fails.
    """
    read: Callable[..., Iterator[Step]] | None = _READ.get(type(fact))
    if read is not None:
        yield from read(fact, event_id, told_at)


def _landed(fact: facts.BronzeLanded, _: str, told_at: str) -> Iterator[Step]:
    if fact.only_keys:  # nothing has come into the table
        return
    batch = _batch(fact)
    columns = batch.manifest.columns if batch.manifest else []
    source = source_of(
        fact.source_key, {column.at_source: column.type_at_source for column in columns if not column.of}
    )
    audit = batch.audit if batch.manifest else ()
    types = dict.fromkeys([*(column.name for column in columns), *audit])
    yield Step(
        identity=f"{_name(fact)}/ingest",
        state="COMPLETE",
        ended_at=told_at,
        seconds=fact.seconds,
        inputs=(source,),
        output=in_lake(
            f"bronze.{fact.bronze_table}",
            types=types,
            version=f"{fact.generation}.{fact.seq}",
            rows=fact.records,
            bytes=fact.file_size_bytes,
            files=len(batch.manifest.objects) if batch.manifest else None,
        ),
        kind="INGEST",
        parent=_parent(fact, batch),
        columns=bronze_columns(columns, source.alias),
        tags=_tags(fact) | {"batch": fact.batch_id, "promise": fact.promise, "consistency": fact.consistency},
    )


def _empty(fact: facts.IntervalEmpty, _: str, told_at: str) -> Iterator[Step]:
    if not fact.claimed:  # no batch, so no step
        return
    batch = _batch(fact)
    yield Step(
        identity=f"{_name(fact)}/ingest",
        state="COMPLETE",
        ended_at=told_at,
        seconds=0,
        inputs=(source_of(fact.source_key),),
        output=in_lake(f"bronze.{fact.bronze_table}", rows=0),
        kind="INGEST",
        parent=_parent(fact, batch),
        tags=_tags(fact) | {"batch": batch.label, "reason": fact.reason, "promise": fact.promise},
    )


def _refined(fact: facts.SilverRefined, _: str, told_at: str) -> Iterator[Step]:
    batch, bronze = _batch(fact), f"bronze.{fact.bronze_table}"
    counts = {"inserted": fact.inserted, "updated": fact.updated, "deleted": fact.deleted}
    yield Step(
        identity=f"{_name(fact)}/silver/{fact.version}",
        state="COMPLETE",
        ended_at=told_at,
        seconds=fact.seconds,
        inputs=(in_lake(bronze, version=f"{fact.generation}.{fact.seq}"),),
        output=in_lake(
            f"silver.{fact.silver_table}",
            types=fact.column_types,
            version=str(fact.version),
            rows=fact.inserted + fact.updated,
        ),
        kind="REFINE",
        parent=_parent(fact, batch),
        columns=silver_columns(batch, fact.column_types, bronze),
        quality=tuple(fact.quality),
        tags=_tags(fact) | counts | {"quarantined": fact.quarantined, "silver_rows": fact.silver_rows},
    )


def _published(fact: facts.GoldPublished, _: str, told_at: str) -> Iterator[Step]:
    parent = _parent(fact, _batch(fact)) if fact.models else None
    for model in fact.models:
        yield _model(model, told_at, fact.seconds, parent, _tags(fact))


def _dropped(fact: facts.ModelsPublished, _: str, told_at: str) -> Iterator[Step]:
    for model in fact.models:
        yield _model(model, told_at, fact.seconds, None, {"model": fact.model_key})


def _model(
    model: facts.PublishedModel, told_at: str, seconds: float, parent: Parent | None, tags: Mapping[str, Any]
) -> Step:
    known = None if model.copied else _recorded(model)
    types = model.copied or (known.column_types if known else {})
    if model.copied:
        columns = copied_columns(types, next(iter(model.inputs)))
    elif known is None:
        columns = ColumnLineage()
    elif known.sql is None:
        columns = copied_columns(types, known.reads[0])
    else:
        from flowforge.lineage.model_columns import model_columns  # sqlglot: a fifth of the import, for queries only

        columns = placed_columns(model_columns(known.sql, known.input_columns), list(types))
    built_from = ",".join(f"{name}@{version}" for name, version in sorted(model.inputs.items()))
    return Step(
        identity=f"{settings().bucket}/gold/{model.table}/{model.version}/{model.definition}/{built_from}",
        state="COMPLETE",
        ended_at=told_at,
        seconds=seconds,
        inputs=tuple(in_lake(name, version=str(version)) for name, version in model.inputs.items()),
        output=in_lake(f"gold.{model.table}", types=types, version=str(model.version), rows=model.rows),
        kind="MODEL",
        parent=parent,
        columns=columns,
        sql=known.sql if known else None,
        tags={**tags, "build": model.how},
    )


def _recorded(model: facts.PublishedModel) -> ModelOutcome | None:
    """What gold has recorded of the model; None where that is another definition's, or cannot be read: the event then lacks
    columns and query."""
    try:
        record = read_outcome(settings().bucket, model.table)
    except UnreadableRecord:
        return None
    return record if record is not None and record.definition == model.definition else None


def know_batches(told: Iterable[Message]) -> None:
    """Reads the records of the batches of several events in one call, for `steps_of`, which says what is wrong with one."""
    known, now = _known(), time.monotonic()
    places = {(fact.source_key, fact.generation, fact.seq) for fact in told if isinstance(fact, facts.BatchEvent)}
    unknown = [place for place in sorted(places) if known.get(place, (None, 0.0))[1] <= now]
    if len(unknown) > 1:
        with suppress(FlowForgeError):  # `_batch` meets it again, for its own event
            for place, batch in batch_records.find_batches(unknown):
                _keep(place, batch)


def _batch(fact: facts.BatchEvent) -> Batch:
    """The batch's record, read once for the events that follow each other: a landed one keeps its request and columns."""
    place = (fact.source_key, fact.generation, fact.seq)
    kept, until = _known().get(place, (None, 0.0))
    if kept is not None and time.monotonic() < until:
        return kept
    batch = batch_records.find_batch(*place)
    if batch is None:
        raise Retriable(f"batch {fact.seq} of {fact.source_key} is not recorded")
    _keep(place, batch)
    return batch


def _keep(place: Place, batch: Batch) -> None:
    if batch.manifest is not None:
        known = _known()
        known.pop(place, None)
        if len(known) >= MOST_KEPT:
            del known[next(iter(known))]
        known[place] = (batch, time.monotonic() + KEPT_SECONDS)


def _known() -> dict[Place, tuple[Batch, float]]:
    return current().once("batches of lineage", dict)


def _name(fact: facts.BatchEvent) -> str:
    return f"{settings().bucket}/{fact.source_key}/{fact.generation}/{fact.seq}"


def _parent(fact: facts.TableEvent, batch: Batch) -> Parent:
    return Parent(fact.run_id, f"{batch.command.workflow_id}.{batch.command.job_id}")


def _tags(fact: facts.BatchEvent) -> dict[str, Any]:
    return {"run": fact.run_id, "generation": fact.generation, "seq": fact.seq}


_READ: dict[type[Message], Callable[..., Iterator[Step]]] = {
    facts.BronzeLanded: _landed,
    facts.IntervalEmpty: _empty,
    facts.SilverRefined: _refined,
    facts.GoldPublished: _published,
    facts.ModelsPublished: _dropped,
    facts.StepFailed: failed_steps,
}
