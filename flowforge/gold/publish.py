"""Publishes the gold tables that follow from a batch: each is replaced as a whole, in one Delta commit.

Guarantees: a gold table's commit carries the version of every input and the query's fingerprint. It is skipped when none of
them changed, and never goes back to older inputs than it has. A model whose input does not exist yet is deferred; one that
fails leaves the old version in place and its siblings unharmed.
"""

import re
from dataclasses import dataclass, field

import duckdb
from deltalake import DeltaTable, write_deltalake

from flowforge.errors import RefineRefused
from flowforge.gold.models import Model, copy_of_silver, order_models
from flowforge.lake.sql import identifier
from flowforge.lake.storage import confine, duckdb_connection
from flowforge.lake.tables import (
    Moved,
    commit,
    create_view,
    once,
    open_or_create,
    open_table,
    relation,
    rows_query,
    table_uri,
)
from flowforge.lake.types import stored_column
from flowforge.silver.plan import INTERNAL
from flowforge.state.batch import Batch

DEFINITION = "flowforge/definition"  # application id whose version is the query's fingerprint
SQL_ERRORS = (
    duckdb.ParserException,
    duckdb.BinderException,
    duckdb.CatalogException,
)  # about the text, not about a row


@dataclass(frozen=True)
class PublishResult:
    """Gold table -> its rows, and the models that wait: "gold.x waits for silver.y"."""

    gold_tables: dict[str, int] = field(default_factory=dict)
    deferred: list[str] = field(default_factory=list)


def publish(batch: Batch, bucket: str) -> PublishResult:
    """Brings the gold tables of `batch`'s request up to date with silver in `bucket`.

    Raises RefineRefused, after all models had their turn, with each model that failed and DuckDB's reason; StoreUnavailable when
    S3 fails or a table is too busy.
    """
    gold, result = batch.command.gold, PublishResult()
    models, failures = order_models(gold)
    copy = [copy_of_silver(gold.table, batch.command.silver.table)] if gold.table else []
    for model in copy + models:
        try:
            built = _build(model, bucket)
        except RefineRefused as error:
            failures.append(str(error))
            continue
        if isinstance(built, str):
            result.deferred.append(f"gold.{model.table} waits for {built}")
        else:
            result.gold_tables[model.table] = built
    if failures:
        raise RefineRefused("; ".join(failures), "correct the model's SQL; the version before stays published")
    return result


def _build(model: Model, bucket: str) -> int | str:
    """Rows of the gold table, or the name of the input that is missing."""
    uri = table_uri(bucket, "gold", model.table)

    def attempt() -> int | str:
        inputs = {str(name): open_table(table_uri(bucket, name.layer, name.table)) for name in model.inputs}
        for name, table in inputs.items():
            if table is None:
                return name
        marks = {f"flowforge/input/{name}/{table.metadata().id}": table.version() for name, table in inputs.items()}
        target = open_table(uri)
        if target is not None and _is_current(target, marks, model.definition):
            return target.count()
        with duckdb_connection() as connection:
            rows = _rows(connection, model, inputs)
            if target is None:
                target = open_or_create(uri, rows, {})
            _refuse_older(target, marks)
            properties = once({**marks, DEFINITION: model.definition})
            write_deltalake(target, rows, mode="overwrite", schema_mode="overwrite", commit_properties=properties)
        return target.count()

    return commit(f"gold.{model.table}", attempt)


def _is_current(target: DeltaTable, marks: dict[str, int], definition: int) -> bool:
    _refuse_older(target, marks)
    stored = {mark: target.transaction_version(mark) for mark in marks}
    return stored == marks and target.transaction_version(DEFINITION) == definition


def _refuse_older(target: DeltaTable, marks: dict[str, int]) -> None:
    """A stored input newer than ours: somebody published since we looked, so look again."""
    if any((target.transaction_version(mark) or 0) > version for mark, version in marks.items()):
        raise Moved


def _rows(
    connection: duckdb.DuckDBPyConnection, model: Model, inputs: dict[str, DeltaTable | None]
) -> duckdb.DuckDBPyRelation:
    if model.sql is None:
        rows = relation(connection, *inputs.values())
        return rows.project(", ".join(identifier(name) for name in rows.columns if name not in INTERNAL))
    for name, table in zip(model.inputs, inputs.values(), strict=True):
        create_view(connection, name.layer, name.table, rows_query(connection, table))
    confine(connection, [uri for table in inputs.values() for uri in table.file_uris()])
    try:
        connection.execute(f"CREATE TABLE main.result AS\n{model.sql.strip().rstrip(';')}")
    except (duckdb.IOException, duckdb.OutOfMemoryException):
        raise
    except duckdb.Error as error:
        raise RefineRefused(f"gold.{model.table}: {_reason(error)}") from error
    made = connection.table("main.result")
    return made.project(", ".join(stored_column(n, str(t)) for n, t in zip(made.columns, made.types, strict=True)))


def _reason(error: duckdb.Error) -> str:
    """DuckDB's message; without the values that one about a row repeats."""
    text = str(error).strip()
    if isinstance(error, SQL_ERRORS):
        return text[:1000]
    return re.sub(r"'[^']*'|\"[^\"]*\"|\d[\d.,:\-]*", "…", text.splitlines()[0])[:500]
