"""Publishes the gold tables that follow from a batch or from a new model, each after those that it reads.

Which follow from a batch: the published copy and the models of its own job, and of the models kept in the bucket those that read
the batch's silver table or one of these gold tables, directly or through others.

Guarantees: a table of which no input changed is left alone. A model whose input does not exist yet, or awaits its first batch, is
deferred; one that fails leaves the version before in place and its siblings unharmed, and is told with its file, its line and the
engine's reason. What became of each table is kept beside it (`flowforge.gold.outcomes`).
"""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from events.facts import PublishedModel
from events.targets import GoldTarget
from flowforge.domain.batch import Batch
from flowforge.domain.errors import NotFound, TransformRejected, UnreadableRecord
from flowforge.domain.given import given
from flowforge.domain.names import TableName
from flowforge.gold.build import Built, Waits, build
from flowforge.gold.engine import seconds_left, stopped
from flowforge.gold.model_files import ModelFiles, read_models
from flowforge.gold.models import Model, copy_of_silver, model_of
from flowforge.gold.order import following, order_models
from flowforge.gold.outcomes import ModelOutcome, read_outcome, write_outcome
from flowforge.runtime.bounded_work import within
from flowforge.runtime.time_limit import deadline
from flowforge.silver.plan import VALID_FROM
from flowforge.tables.base import LakeTable

COLUMNS_TOLD = 300  # of a copy by its event, which holds 256 KB; lineage looks for those of a wider one by itself
STOP_SECONDS = 5  # in which a model that was stopped mostly ends
REMEDY = "correct the model, or the rows that break its rules; the version before stays published"


Tell = Callable[[ModelOutcome], None]


@dataclass(frozen=True)
class PublishResult:
    """Gold table -> its rows, what became of each model, and the models that wait: "gold.x waits for silver.y"."""

    gold_tables: dict[str, int] = field(default_factory=dict)
    models: list[PublishedModel] = field(default_factory=list)
    deferred: list[str] = field(default_factory=list)


def publish(batch: Batch, bucket: str, tell: Tell | None = None, version: int | None = None) -> PublishResult:
    """Brings the gold tables that follow from `batch` up to date with silver in `bucket`. `tell` gets what became of each model
    that was not found up to date; `version` is that of the silver table with the batch, where it is known.

    Raises TransformRejected, after all models had their turn, with each model that failed and the reason; StoreUnavailable when
    S3 fails or a table is too busy.
    """
    models, problems = models_after(batch, bucket)
    near = {} if version is None else {TableName("silver", batch.command.silver.table): version}
    return _publish(models, bucket, problems, tell, near)


def models_after(batch: Batch, bucket: str) -> tuple[list[Model], list[str]]:
    """The models that follow from a batch, and what is wrong with those of its job that cannot be built."""
    ours, problems = job_models(batch)
    kept = read_models(bucket).models
    changed = {TableName("silver", batch.command.silver.table), *(model.name for model in ours)}
    wanted = following(kept, changed)
    return [*ours, *(model for model in kept if model.name in wanted or model.name in changed)], problems


def publish_model(key: str, bucket: str, tell: Tell | None = None) -> PublishResult:
    """Builds the model in the file `key` of the bucket, and those that read it; raises as `publish` does, and NotFound when the
    file is gone."""
    files = read_models(bucket)
    if key in files.problems:
        raise TransformRejected(files.problems[key], REMEDY)
    return _publish(_with_followers(key, files), bucket, [], tell, {})


def job_models(batch: Batch) -> tuple[list[Model], list[str]]:
    """The gold tables that the batch's own job asks for, and what is wrong with those that cannot be built."""
    gold: GoldTarget = batch.command.gold
    key = batch.command.silver.primary_key or given(batch.manifest).primary_key
    if key and batch.command.silver.strategy == "scd2":
        key = [*key, VALID_FROM]
    models, problems = [], []
    if gold.table:
        if gold.build_strategy == "incremental" and not (gold.primary_key or key):
            problems.append(f"gold.{gold.table}: buildStrategy incremental needs primaryKey: the source has no key")
        else:
            wanted = gold.primary_key or key if gold.build_strategy == "incremental" else ()
            silver, rules = batch.command.silver.table, gold.quality_rules
            models.append(copy_of_silver(gold.table, silver, gold.build_strategy, wanted, rules=rules))
    for wanted_model in gold.models:
        try:
            models.append(model_of(wanted_model))
        except TransformRejected as error:
            problems.append(error.with_remedy)
    return models, problems


def _with_followers(key: str, files: ModelFiles) -> list[Model]:
    for model in files.models:
        if model.origin == key:
            wanted = following(files.models, {model.name}) | {model.name}
            return [other for other in files.models if other.name in wanted]
    raise NotFound(f"there is no model {key}", "flowforge models shows those that there are")


def _publish(
    models: Iterable[Model], bucket: str, problems: list[str], tell: Tell | None, near: Mapping[TableName, int]
) -> PublishResult:
    ordered, more = order_models(models)
    failures, failed, result, opened = [*problems, *more], [], PublishResult(), {}
    for model in ordered:
        try:
            built = _built_in_time(model, bucket, opened, near)
        except TransformRejected as error:
            failures.append(error.with_remedy)
            failed.append(model.table)
            _keep(ModelOutcome.failed(model, error), bucket, tell)
            continue
        if isinstance(built, Waits):
            result.deferred.append(f"gold.{model.table} {built.reason}")
        else:
            result.gold_tables[model.table] = built.rows
            result.models.append(_published(model, built))
        _note(model, built, bucket, tell)
    if failures:
        raise TransformRejected("; ".join(failures), REMEDY, failed)
    return result


def _built_in_time(
    model: Model, bucket: str, opened: dict[TableName, LakeTable], near: Mapping[TableName, int]
) -> Built | Waits:
    """As `build`. The engine is asked to stop, but looks up only between two steps, and one step of a query can take hours: who
    is not done by twice its time, in which another try has room, is left behind; whatever it runs then is stopped at once."""
    seconds, until = seconds_left(), deadline()
    most = 2 * seconds if until is None else min(2 * seconds, max(until - time.monotonic(), 0))
    try:
        return within(most + STOP_SECONDS, lambda: build(model, bucket, opened, near))
    except TimeoutError:
        opened.clear()  # what is left behind has it
        raise stopped(model, seconds) from None


def _published(model: Model, built: Built) -> PublishedModel:
    is_copy = model.sql is None and len(built.inputs) == 1 and len(built.column_types) <= COLUMNS_TOLD
    return PublishedModel(
        table=model.table,
        how=built.how,
        rows=built.rows,
        version=built.version,
        inputs=built.inputs,
        definition=model.definition,
        cut=built.cut,
        quality=built.quality,
        copied=built.column_types if is_copy else {},
    )


def _note(model: Model, built: Built | Waits, bucket: str, tell: Tell | None) -> None:
    if isinstance(built, Waits):
        _keep(ModelOutcome.waiting(model, built), bucket, tell)
    elif built.how != "unchanged" or _was_refused(model, bucket):
        _keep(ModelOutcome.built(model, built), bucket, tell)


def _keep(outcome: ModelOutcome, bucket: str, tell: Tell | None) -> None:
    write_outcome(bucket, outcome)
    if tell is not None:
        tell(outcome)


def _was_refused(model: Model, bucket: str) -> bool:
    """Whether the last outcome was another one: a model whose rule was taken back is what is published already."""
    try:
        record = read_outcome(bucket, model.table) if model.rules else None
    except UnreadableRecord:
        return True  # it is written anew
    return record is not None and record.outcome == "failed"
