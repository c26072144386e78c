"""Builds one gold table in one Delta commit: as a whole, or the rows of the keys that changed.

Guarantees: the commit carries the version of every input and the query's fingerprint, on the handle that was read. Nothing is
built when none of them changed, and a table never goes back to older inputs than it has. A build that fails leaves the version
before in place. An incremental build leaves exactly the rows that a full one would: it takes the difference between the driving
table's version that the gold table was built from and the present one, and where that cannot be had (another input changed too,
the old version was vacuumed, the columns differ) it is a full one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import duckdb
from deltalake import CommitProperties, DeltaTable, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError

from flowforge.errors import RefineRefused
from flowforge.gold.engine import GONE, Engine
from flowforge.gold.models import Model
from flowforge.lake.names import TableName
from flowforge.lake.sql import identifier
from flowforge.lake.tables import (
    NO_CLEANUP,
    Moved,
    column_types,
    commit,
    commit_marks,
    create_table,
    data_version,
    delta_types,
    once,
    open_table,
    table_uri,
)

DEFINITION = "flowforge/definition"  # application id whose version is the query's fingerprint


@dataclass(frozen=True)
class Built:
    """What became of a model: the gold table's rows, version and columns, how it got there, and the versions and columns of
    what it was made from."""

    how: Literal["full", "incremental", "unchanged"]
    rows: int
    version: int
    inputs: dict[str, int]
    column_types: dict[str, str]
    input_columns: dict[str, list[str]]


@dataclass(frozen=True)
class Missing:
    """The model waits for an input that does not exist yet."""

    input: TableName


def build(model: Model, bucket: str, opened: dict[TableName, DeltaTable] | None = None) -> Built | Missing:
    """Brings one gold table in `bucket` up to date with its inputs.

    `opened` are tables that were opened a moment ago, for a caller that builds several models: they are taken as they are, and
    opened anew when somebody else turns out to have been faster.

    Raises RefineRefused when its SQL fails or its key does not tell its rows apart, StoreUnavailable when S3 fails or the table
    is too busy.
    """
    handles = {} if opened is None else opened
    handles.pop(model.name, None)

    def attempt() -> Built | Missing:
        for name in model.inputs:
            if name not in handles:
                table = open_table(table_uri(bucket, name.layer, name.table))  # type: ignore[arg-type]
                if table is None:
                    return Missing(name)
                handles[name] = table
        inputs = {name: handles[name] for name in model.inputs}
        try:
            return _build(model, inputs, table_uri(bucket, "gold", model.table))
        except (Moved, CommitFailedError):
            handles.clear()
            raise

    return commit(f"gold.{model.table}", attempt)


def marks_of(inputs: Mapping[TableName, DeltaTable]) -> dict[str, int]:
    """The application transactions that a build of these inputs leaves: id -> version."""
    return {mark_of(name, table): data_version(table) for name, table in inputs.items()}


def mark_of(name: TableName, table: DeltaTable) -> str:
    """The application id whose version is that of an input; a table made anew has another one."""
    return f"flowforge/input/{name}/{table.metadata().id}"


def is_current(target: DeltaTable, marks: Mapping[str, int], definition: int) -> bool:
    """Whether a gold table was built from just these inputs by just this query."""
    return _stored(target, marks) == dict(marks) and target.transaction_version(DEFINITION) == definition


def _build(model: Model, inputs: dict[TableName, DeltaTable], uri: str) -> Built:
    marks = marks_of(inputs)
    versions = {str(name): marks[mark_of(name, table)] for name, table in inputs.items()}
    target = open_table(uri)
    if target is not None:
        _refuse_older(target, marks)
        if is_current(target, marks, model.definition):
            return _built("unchanged", target, inputs, versions)
    properties = once({**marks, DEFINITION: model.definition})
    if target is not None and model.strategy == "incremental" and _build_changes(model, inputs, target, properties):
        return _built("incremental", target, inputs, versions)
    with Engine(model, inputs) as engine:
        rows = engine.rows()
        _check_key(engine, model, rows)
        if target is None:
            target = create_table(uri, rows, {})
            _refuse_older(target, marks)
        write_deltalake(
            target,
            rows,
            mode="overwrite",
            schema_mode="overwrite",
            commit_properties=properties,
            post_commithook_properties=NO_CLEANUP,
        )
    return _built("full", target, inputs, versions)


def _built(
    how: Literal["full", "incremental", "unchanged"],
    target: DeltaTable,
    inputs: Mapping[TableName, DeltaTable],
    versions: dict[str, int],
) -> Built:
    read = {str(name): list(delta_types(table)) for name, table in inputs.items()}
    return Built(how, target.count(), target.version(), versions, delta_types(target), read)


def _build_changes(
    model: Model, inputs: dict[TableName, DeltaTable], target: DeltaTable, properties: CommitProperties
) -> bool:
    """Replaces the rows of the changed keys; False when only a full build will do."""
    with Engine(model, inputs) as engine:
        driving, key, columns = _driving(engine, model)
        before = _version_before(model, inputs, target, driving)
        if before is None:
            return False
        try:
            rows = engine.changed_rows(driving, key, columns, before)
        except duckdb.IOException:
            return False  # files of the old version were vacuumed; were it S3 itself, the full build fails as well
        stored = {name: kind for name, kind in zip(rows.columns, map(str, rows.types), strict=True) if name != GONE}
        if stored != column_types(engine.connection, target):
            return False
        _check_key(engine, model, rows)
        _merge(target, rows, tuple(key), properties)
    return True


def _driving(engine: Engine, model: Model) -> tuple[TableName, dict[str, str], frozenset[str] | None]:
    if model.sql is None:
        return next(iter(model.inputs)), {name: name for name in model.key}, None
    from flowforge.gold.incremental import driving_table

    found = driving_table(model.sql, model.key)
    return found.table, found.key, found.columns


def _version_before(
    model: Model, inputs: dict[TableName, DeltaTable], target: DeltaTable, driving: TableName
) -> DeltaTable | None:
    """The driving table as the gold table was built from, if nothing else changed since."""
    others = marks_of({name: table for name, table in inputs.items() if name != driving})
    version = target.transaction_version(mark_of(driving, inputs[driving]))
    if version is None or not is_current(target, others, model.definition):
        return None
    try:
        return open_table(inputs[driving].table_uri, version)
    except DeltaError:
        return None  # its log was cleaned up


def _check_key(engine: Engine, model: Model, rows: duckdb.DuckDBPyRelation) -> None:
    if model.strategy != "incremental":
        return
    missing = [name for name in model.key if name not in rows.columns]
    if missing:
        raise RefineRefused(f"{model.place()}: key column {', '.join(missing)} is not among its columns")
    if engine.repeated_key(rows, model.key):
        raise RefineRefused(
            f"{model.place()}: several rows have the same {', '.join(model.key)}",
            "name all columns in primaryKey that tell its rows apart, or use buildStrategy full",
        )


def _merge(
    target: DeltaTable, rows: duckdb.DuckDBPyRelation, key: tuple[str, ...], properties: CommitProperties
) -> None:
    before = target.version()
    values = {identifier(name, "t"): identifier(name, "s") for name in rows.columns if name != GONE}
    null = rows.filter(" OR ".join(f"{identifier(name)} IS NULL" for name in key)).limit(1).fetchall()
    (
        target.merge(
            rows,
            " AND ".join(_same(name, bool(null)) for name in key),
            source_alias="s",
            target_alias="t",
            streamed_exec=False,
            commit_properties=properties,
        )
        .when_matched_delete(predicate=f"s.{GONE}")
        .when_matched_update(values, predicate=f"NOT s.{GONE}")
        .when_not_matched_insert(values, predicate=f"NOT s.{GONE}")
        .execute()
    )
    if target.version() == before:
        commit_marks(target, properties)  # nothing to change: delta-rs then commits nothing of its own accord


def _same(name: str, may_be_null: bool) -> str:
    ours, theirs = identifier(name, "s"), identifier(name, "t")
    return f"({theirs} = {ours} OR ({theirs} IS NULL AND {ours} IS NULL))" if may_be_null else f"{theirs} = {ours}"


def _stored(target: DeltaTable, marks: Mapping[str, int]) -> dict[str, int | None]:
    return {mark: target.transaction_version(mark) for mark in marks}


def _refuse_older(target: DeltaTable, marks: Mapping[str, int]) -> None:
    """A stored input newer than ours: somebody published since we looked, so look again."""
    if any((target.transaction_version(mark) or 0) > version for mark, version in marks.items()):
        raise Moved
