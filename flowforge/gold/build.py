"""Builds one gold table in one Delta commit: as a whole, or the rows of the keys that changed (`flowforge.gold.changes`).

Guarantees: the commit carries the version of every input and the fingerprint of query and rules, on the handle that was read.
Nothing is built when none of them changed, and a table never goes back to older inputs than it has. A build that fails, or whose
rows break a rule of severity `fail`, leaves the version before in place: rules are judged before the commit.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from events.quality import QualityFigure
from flowforge.domain.figures import to_metadata
from flowforge.domain.names import TableName
from flowforge.gold.changes import build_changes
from flowforge.gold.engine import Engine
from flowforge.gold.models import Model
from flowforge.gold.transactions import (
    DEFINITION,
    input_transactions,
    is_current,
    published_quality,
    refuse_older,
    transaction_of,
)
from flowforge.tables.base import LakeTable, Moved, once
from flowforge.tables.lake import commit, create_table, open_table, table_uri


@dataclass(frozen=True)
class Built:
    """What became of a model: the gold table's rows, version and columns, how it got there, the versions and columns of what its
    query read, and what its rules found in all its rows."""

    how: Literal["full", "incremental", "unchanged"]
    rows: int
    version: int
    inputs: dict[str, int]
    column_types: dict[str, str]
    input_columns: dict[str, list[str]]
    quality: list[QualityFigure] = field(default_factory=list)


@dataclass(frozen=True)
class Missing:
    """The model waits for an input that does not exist yet."""

    input: TableName


def build(model: Model, bucket: str, opened: dict[TableName, LakeTable] | None = None) -> Built | Missing:
    """Brings one gold table in `bucket` up to date with its inputs.

    `opened` are tables that were opened a moment ago, for a caller that builds several models: they are taken as they are, and
    opened anew when somebody else turns out to have been faster.

    Raises TransformRejected when its SQL fails or its key does not tell its rows apart, RulesBroken when its rows break a rule of
    severity `fail`, StoreUnavailable when S3 fails or the table is too busy.
    """
    handles = {} if opened is None else opened
    handles.pop(model.name, None)

    def attempt() -> Built | Missing:
        for name in model.reads:
            if name not in handles:
                table = open_table(table_uri(bucket, name.layer, name.table))
                if table is None:
                    return Missing(name)
                handles[name] = table
        tables = {name: handles[name] for name in model.reads}
        try:
            return _build(model, tables, table_uri(bucket, "gold", model.table))
        except Moved:
            handles.clear()
            raise

    return commit(f"gold.{model.table}", attempt)


def _build(model: Model, tables: dict[TableName, LakeTable], uri: str) -> Built:
    marks = input_transactions(tables)
    inputs = {name: tables[name] for name in model.inputs}
    versions = {str(name): marks[transaction_of(name, table)] for name, table in inputs.items()}
    target = open_table(uri)
    if target is not None:
        refuse_older(target, marks)
        if is_current(target, marks, model.definition):
            quality = published_quality(target) if model.rules else []
            return _built("unchanged", target, inputs, versions, quality)
    transactions = {**marks, DEFINITION: model.definition}
    if target is not None and model.strategy == "incremental":
        quality = build_changes(model, tables, target, transactions)
        if quality is not None:
            return _built("incremental", target, inputs, versions, quality)
    with Engine(model, tables) as engine:
        rows = engine.rows()
        engine.check_key(rows)
        quality = engine.judge(rows)
        if target is None:
            target = create_table(uri, rows, {})
            refuse_older(target, marks)
        target.overwrite(rows, once(transactions, to_metadata(quality) if model.rules else None))
    return _built("full", target, inputs, versions, quality)


def _built(
    how: Literal["full", "incremental", "unchanged"],
    target: LakeTable,
    inputs: Mapping[TableName, LakeTable],
    versions: dict[str, int],
    quality: list[QualityFigure],
) -> Built:
    read = {str(name): list(table.column_words()) for name, table in inputs.items()}
    return Built(how, target.count(), target.version(), versions, target.column_words(), read, quality)
