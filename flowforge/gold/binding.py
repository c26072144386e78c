# ruff: noqa: S608 - SQL text of quoted names; a model's own text runs as it is, where nothing can be read
"""Models and their rules against the columns that there are: what DuckDB refuses, with file and line, before a row is read."""

from collections.abc import Iterator, Mapping, Sequence

from flowforge.domain.errors import TransformRejected
from flowforge.domain.names import TableName
from flowforge.engines.base import EngineError, Session
from flowforge.engines.duckdb.sql import identifier
from flowforge.engines.registry import ENGINE
from flowforge.gold.engine import refusal
from flowforge.gold.model_rules import subject
from flowforge.gold.models import Model
from flowforge.quality.judge import check_rule
from flowforge.quality.rules import BATCH, REFERENCED
from flowforge.tables.base import LakeTable
from flowforge.tables.rows import create_view, rows_query


def bind_models(models: Sequence[Model], tables: Mapping[TableName, LakeTable]) -> dict[TableName, str]:
    """What DuckDB finds wrong with models and their rules, from the columns alone: no row is read.

    `models` are in the order in which they are built; `tables` are those of the lake. A model that reads a refused one is
    bound to the columns that this one's table has now; where it has none, and where an input is missing, nothing can be said.
    """
    problems: dict[TableName, str] = {}
    bound: set[TableName] = set()
    with ENGINE.session() as connection:
        connection.execute("SET enable_external_access = false")
        for model in models:
            for name in model.reads:
                if name not in bound and name in tables:
                    create_view(connection, name.layer, name.table, rows_query(connection, tables[name], []))
                    bound.add(name)
            if model.sql is None or not bound.issuperset(model.reads):
                continue
            try:
                create_view(connection, "gold", model.table, model.sql.strip().rstrip(";"))
                bound.add(model.name)
            except EngineError as error:
                problems[model.name] = str(refusal(model, error))
                continue
            if found := "; ".join(_wrong_rules(connection, model)):
                problems[model.name] = found
    return problems


def _wrong_rules(connection: Session, model: Model) -> Iterator[str]:
    if not model.rules:
        return
    connection.execute(f"CREATE SCHEMA IF NOT EXISTS {REFERENCED}")
    for name in model.references:
        table = f"{identifier(name.layer)}.{identifier(name.table)}"
        connection.execute(f"CREATE OR REPLACE VIEW {REFERENCED}.{identifier(name.table)} AS SELECT * FROM {table}")
    connection.execute(f"CREATE OR REPLACE VIEW {BATCH} AS SELECT * FROM gold.{identifier(model.table)}")
    judged = subject(model)
    for rule in model.rules:
        try:
            check_rule(connection, judged, rule)
        except TransformRejected as error:
            yield str(error)
