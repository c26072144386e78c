"""The gold tables of a lake as a graph: what each is made from, whether it is up to date, and if not, why.

Guarantees: reads only. Whether a table is up to date is told by the Delta versions that its commit names, not by a note of the
last run. A model that cannot work (a circle, an unknown column) is told with its file and line, without being built.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Literal

from events.effects import KEY_OF_FULL_BUILD
from events.quality import QualityFigure
from events.request import InvalidRequest
from flowforge.aws.clients import CONNECTIONS
from flowforge.domain.alone import each_alone_at_once
from flowforge.domain.figures import plain
from flowforge.domain.names import TableName
from flowforge.gold.binding import bind_models
from flowforge.gold.model_files import ModelFiles, parse_models, read_models
from flowforge.gold.models import FROM_JOB, Model, Strategy
from flowforge.gold.moments import common_moment
from flowforge.gold.order import order_models
from flowforge.gold.outcomes import ModelOutcome, read_outcomes
from flowforge.gold.transactions import DEFINITION, input_transactions, is_current, transaction_of
from flowforge.runtime.pages import PROBLEM, cursor_of, fitting, place_of
from flowforge.tables.base import LakeTable
from flowforge.tables.lake import open_table, store_errors, table_uri

State = Literal["current", "stale", "waits", "failed", "refused"]


@dataclass(frozen=True)
class ModelState:
    """One gold table. `reason` says why it is not current; `rows`, `version` and `built_at` are of what is published.
    `quality` is what the rules found when it was last the table's turn."""

    table: str
    origin: str
    strategy: Strategy
    key: list[str]
    reads: list[str]
    state: State
    reason: str | None = None
    rows: int | None = None
    version: int | None = None
    built_at: datetime | None = None
    quality: list[QualityFigure] = field(default_factory=list)


def model_states(bucket: str) -> tuple[list[ModelState], list[str]]:
    """The state of every gold table, each after those that it reads, and what is wrong with models that have no place in the
    graph. Raises StoreUnavailable."""
    ordered, outcomes, problems = _known(bucket)
    states, unopened = _states(bucket, ordered, outcomes)
    return list(states.values()), [*problems, *unopened]


def list_page(bucket: str, limit: int, cursor: str | None = None) -> dict[str, Any]:
    """At most `limit` of them as `models`; `next` is there where others follow. Tables of others are opened only where these read
    them. What is wrong with models that have no place is told with the first page.

    Raises InvalidRequest for a cursor that is none, StoreUnavailable.
    """
    ordered, outcomes, problems = _known(bucket)
    start = _behind(place_of(cursor, 2), ordered)
    wanted = ordered[start : start + limit]
    states, unopened = _states(bucket, _with_upstream(wanted, ordered), outcomes)
    shown = fitting(document(states[model.name]) for model in wanted)
    answer = {"models": shown, "problems": unopened if start else [*problems, *unopened]}
    end = start + len(shown)
    return answer | ({"next": cursor_of(ordered[end - 1].table, str(end))} if shown and end < len(ordered) else {})


def _known(bucket: str) -> tuple[list[Model], dict[str, ModelOutcome], list[str]]:
    """The models in their order, what became of each, and what is wrong with those that have no place."""
    files, (outcomes, unread) = read_models(bucket), read_outcomes(bucket)
    ordered, problems = order_models(_all_models(files, outcomes))
    return ordered, outcomes, [*files.problems.values(), *unread, *problems]


def _behind(place: list[str] | None, ordered: Sequence[Model]) -> int:
    """Where a page begins: behind the table that the last one ended with, or where that was, if it is gone."""
    if place is None:
        return 0
    if not place[1].isdecimal():
        raise InvalidRequest([{"field": "cursor", "problem": PROBLEM}])
    return next((n for n, model in enumerate(ordered, 1) if model.table == place[0]), int(place[1]))


def _with_upstream(wanted: Iterable[Model], ordered: Sequence[Model]) -> list[Model]:
    """These models and all that they read, directly or through others, in their order."""
    names = {model.name for model in wanted}
    for model in reversed(ordered):
        if model.name in names:
            names |= set(model.reads)
    return [model for model in ordered if model.name in names]


def _states(
    bucket: str, ordered: Sequence[Model], outcomes: dict[str, ModelOutcome]
) -> tuple[dict[TableName, ModelState], list[str]]:
    """The states of models that are given with all that they read, and what is wrong with tables of theirs."""
    tables, unopened = open_tables(bucket, ordered)
    refused = bind_models(ordered, tables)
    states: dict[TableName, ModelState] = {}
    for model in ordered:
        states[model.name] = _state(model, tables, outcomes.get(model.table), refused.get(model.name), states)
    return states, unopened


def document(state: ModelState) -> dict[str, Any]:
    """A state as JSON tells it."""
    built = state.built_at.isoformat() if state.built_at else None
    return asdict(state) | {"built_at": built, "quality": plain(state.quality)}


def check_files(texts: dict[str, str], bucket: str, ahead: bool) -> list[str]:
    """What is wrong with model files (key -> text) that are to be put beside those of the bucket; `ahead` lets them read tables
    that do not exist yet."""
    new, present = parse_models(texts.items()), read_models(bucket)
    others = ModelFiles([model for model in present.models if model.origin not in texts], {})
    ordered, problems = order_models([*_all_models(others, read_outcomes(bucket)[0]), *new.models])
    problems = [problem for problem in problems if any(key in problem for key in texts)]
    (tables, _), ours = open_tables(bucket, ordered), [model for model in ordered if model.origin in texts]
    known = {model.name for model in ordered} | set(tables)
    if not ahead:
        problems += [
            f"{model.place(line)}: there is no table {name}"
            for model in ours
            for name, line in model.reads.items()
            if name not in known
        ]
    problems += [
        f"{model.place()}: @primaryKey {KEY_OF_FULL_BUILD}" for model in ours if model.key and model.strategy == "full"
    ]
    refused = bind_models(ordered, tables)
    return [*new.problems.values(), *problems, *(refused[model.name] for model in ours if model.name in refused)]


def open_tables(bucket: str, models: Iterable[Model]) -> tuple[dict[TableName, LakeTable], list[str]]:
    """The tables that models make and read, as far as they exist, and what is wrong with those that cannot be opened.

    Raises StoreUnavailable where none can.
    """
    names = sorted({name for model in models for name in (model.name, *model.reads)})

    def opened(name: TableName) -> LakeTable | None:
        with store_errors(str(name)):
            return open_table(table_uri(bucket, name.layer, name.table))

    done, failed = each_alone_at_once(names, opened, CONNECTIONS)
    if failed and not done:
        raise failed[0].error
    problems = [f"{one.thing} cannot be opened: {one.cause}" for one in failed]
    return {name: table for name, table in done if table is not None}, problems


def _all_models(files: ModelFiles, outcomes: dict[str, ModelOutcome]) -> list[Model]:
    """The models of files, and those that came with jobs as they were when it was last their turn."""
    jobs = [record for record in outcomes.values() if record.origin == FROM_JOB]
    return [*files.models, *(_of_record(record) for record in jobs)]


def _of_record(record: ModelOutcome) -> Model:
    reads: dict[TableName, int | None] = {TableName(*name.split(".", 1)): None for name in record.reads}
    return Model(
        record.table, record.sql, reads, record.strategy, tuple(record.key), FROM_JOB, rules=tuple(record.rules)
    )


def _state(
    model: Model,
    tables: dict[TableName, LakeTable],
    record: ModelOutcome | None,
    refused: str | None,
    states: dict[TableName, ModelState],
) -> ModelState:
    target = tables.get(model.name)
    state, reason = _judge(model, tables, record, refused, states)
    return ModelState(
        table=model.table,
        origin=model.origin,
        strategy=model.strategy,
        key=list(model.key),
        reads=[str(name) for name in model.reads],
        state=state,
        reason=reason,
        rows=target.count() if target is not None else None,
        version=target.version() if target is not None else None,
        built_at=record.at if record is not None and record.outcome == "built" else None,
        quality=record.quality if record is not None else [],
    )


def _judge(
    model: Model,
    tables: dict[TableName, LakeTable],
    record: ModelOutcome | None,
    refused: str | None,
    states: dict[TableName, ModelState],
) -> tuple[State, str | None]:
    if refused is not None:
        return "refused", refused
    missing = [name for name in model.reads if name not in tables]
    if missing:
        return "waits", "; ".join(f"{model.place(model.reads[name])}: there is no table {name} yet" for name in missing)
    target, inputs = tables.get(model.name), {name: tables[name] for name in model.reads}
    upstream = [str(name) for name in model.reads if name in states and states[name].state != "current"]
    if target is not None and is_current(target, input_transactions(inputs), model.definition):
        return ("stale", f"{', '.join(upstream)} is not current") if upstream else ("current", None)
    if record is not None and record.outcome == "failed" and record.definition == model.definition:
        return "failed", record.reason
    _, apart = common_moment(inputs, tables.get)
    if apart:
        return "waits", apart
    if target is None:
        return "stale", "it was never built"
    if target.transaction_version(DEFINITION) != model.definition:
        return "stale", "its query or its rules changed"
    return "stale", "; ".join(_newer(target, inputs))


def _newer(target: LakeTable, inputs: dict[TableName, LakeTable]) -> Iterable[str]:
    for name, table in inputs.items():
        built = target.transaction_version(transaction_of(name, table))
        if built is None:
            yield f"{name} is another table than it was built from"
        elif built != (now := table.data_version()):
            yield f"{name} is at version {now}, it was built from {built}"
