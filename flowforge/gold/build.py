"""Builds one gold table in one Delta commit: as a whole, or the rows of the keys that changed (`flowforge.gold.changes`).

Guarantees: the commit carries the version of every input and the fingerprint of query and rules, on the handle that was read.
Nothing is built when none of them changed, and a table never goes back to older inputs than it has. A build that fails, or whose
rows break a rule of severity `fail`, leaves the version before in place: rules are judged before the commit. Inputs that hold a
cut hold the same one, or nothing is built.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from events.quality import QualityFigure
from flowforge.domain.figures import to_metadata
from flowforge.domain.given import given
from flowforge.domain.names import TableName
from flowforge.gold.changes import build_changes
from flowforge.gold.engine import Engine
from flowforge.gold.models import Model
from flowforge.gold.moments import are_to_be_looked_at, common_moment
from flowforge.gold.transactions import (
    DEFINITION,
    input_transactions,
    is_current,
    published_quality,
    refuse_older,
    transaction_of,
)
from flowforge.tables.base import UPKEEP, LakeTable, Moved, once
from flowforge.tables.cuts import METADATA, HeldCut, held_cut, shown_cut
from flowforge.tables.lake import commit, create_table, open_table, table_uri, young


@dataclass(frozen=True)
class Built:
    """What became of a model: the gold table's rows, version and columns, how it got there, the versions and columns of what its
    query read, what its rules found in all its rows, and the version of the source's database that they are as of."""

    how: Literal["full", "incremental", "unchanged"]
    rows: int
    version: int
    inputs: dict[str, int]
    column_types: dict[str, str]
    input_columns: dict[str, list[str]]
    quality: list[QualityFigure] = field(default_factory=list)
    cut: int | None = None


@dataclass(frozen=True)
class Waits:
    """The model waits, and why: for an `input` that does not exist yet, or until its inputs are of one moment."""

    reason: str
    input: TableName | None = None


def build(
    model: Model,
    bucket: str,
    opened: dict[TableName, LakeTable] | None = None,
    near: Mapping[TableName, int] | None = None,
) -> Built | Waits:
    """Brings one gold table in `bucket` up to date with its inputs.

    `opened` are tables that were opened a moment ago, for a caller that builds several models: they are taken as they are, and
    opened anew when somebody else turns out to have been faster. `near` has versions that tables had a moment ago.

    Raises TransformRejected when its SQL fails or its key does not tell its rows apart, RulesBroken when its rows break a rule of
    severity `fail`, StoreUnavailable when S3 fails or the table is too busy.
    """
    handles = {} if opened is None else opened
    handles.pop(model.name, None)

    def opened_now(name: TableName) -> LakeTable | None:
        return open_table(table_uri(bucket, name.layer, name.table), near=(near or {}).get(name))

    def attempt() -> Built | Waits:
        for name in model.reads:
            if name not in handles:
                table = opened_now(name)
                if table is None or table.awaits_rows():
                    return Waits(f"waits for {name}", name)
                handles[name] = table
        for name in are_to_be_looked_at({name: handles[name] for name in model.reads}):
            handles[name] = given(opened_now(name))
        tables = {name: handles[name] for name in model.reads}
        cut, apart = common_moment(tables, opened_now)
        if apart:
            return Waits(f"waits: {apart}")
        try:
            return _build(model, tables, table_uri(bucket, "gold", model.table), cut)
        except Moved:
            handles.clear()
            raise

    return commit(f"gold.{model.table}", attempt)


def _build(model: Model, tables: dict[TableName, LakeTable], uri: str, cut: HeldCut | None) -> Built | Waits:
    marks = input_transactions(tables)
    inputs = {name: tables[name] for name in model.inputs}
    versions = {str(name): marks[transaction_of(name, table)] for name, table in inputs.items()}
    target = open_table(uri, near=young(max((table.version() for table in inputs.values()), default=0)))
    if target is not None:
        refuse_older(target, marks)
        if is_current(target, marks, model.definition):
            quality = published_quality(target) if model.rules else []
            if cut is not None and cut != held_cut(target):  # the same rows, as of a later moment
                target.swap([], [], once(cut.transactions, cut.told | {UPKEEP: METADATA}))
                target = given(open_table(uri))
            return _built("unchanged", target, inputs, versions, quality)
    transactions = {**marks, DEFINITION: model.definition, **(cut.transactions if cut else {})}
    if target is not None and model.strategy == "incremental":
        quality = build_changes(model, tables, target, transactions)
        if quality is not None:
            return _built("incremental", given(open_table(uri)), inputs, versions, quality)
    with Engine(model, tables) as engine:
        rows = engine.rows()
        engine.check_key(rows)
        quality = engine.judge(rows)
        if target is None:
            target = create_table(uri, rows, {})
            refuse_older(target, marks)
        told = to_metadata(quality) if model.rules else {}
        target = engine.replace(target, rows, once(transactions, told | (cut.told if cut else {})))
    return _built("full", target, inputs, versions, quality)


def _built(
    how: Literal["full", "incremental", "unchanged"],
    target: LakeTable,
    inputs: Mapping[TableName, LakeTable],
    versions: dict[str, int],
    quality: list[QualityFigure],
) -> Built:
    read = {str(name): list(table.column_words()) for name, table in inputs.items()}
    words = target.column_words()
    return Built(how, target.count(), target.version(), versions, words, read, quality, shown_cut(target))
