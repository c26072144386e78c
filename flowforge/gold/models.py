"""Gold tables as queries: the published copy of a silver table, and the models of a request in the order they are built.

Guarantees: pure. A model that reads another one of the same request comes after it; a circle is refused. What is
wrong with one model does not keep the others from being built.
"""

import hashlib
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter

from events.targets import GoldTarget
from flowforge.errors import RefineRefused
from flowforge.lake.names import TableName


@dataclass(frozen=True)
class Model:
    """One gold table: its query (None for a copy of its only input) and the tables that it reads."""

    table: str
    sql: str | None
    inputs: tuple[TableName, ...]

    @property
    def definition(self) -> int:
        """A number that differs when the query does (62 bits, to fit a Delta transaction version)."""
        text = self.sql if self.sql is not None else f"copy of {self.inputs[0]}"
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) >> 2


def copy_of_silver(table: str, silver_table: str) -> Model:
    """The published copy of a silver table."""
    return Model(table, None, (TableName("silver", silver_table),))


def order_models(target: GoldTarget) -> tuple[list[Model], list[str]]:
    """The request's models, each after those that it reads, and what is wrong with the ones that are left out.

    Left out is a model that is not a plain query or reads itself; all are when two make one table or they read each other in a
    circle.
    """
    names = [model.table for model in target.models] + ([target.table] if target.table else [])
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        return [], [
            f"gold.{', gold.'.join(repeated)}: two definitions for one table; give every model its own tableName"
        ]
    models, problems = {}, []
    for given in target.models:
        try:
            models[given.table] = _model(given.table, given.sql)
        except RefineRefused as error:
            problems.append(str(error))
    graph = {
        name: {read.table for read in model.inputs if read.layer == "gold" and read.table in models}
        for name, model in models.items()
    }
    try:
        return [models[name] for name in TopologicalSorter(graph).static_order()], problems
    except CycleError as error:
        circle = " -> ".join(f"gold.{name}" for name in error.args[1])
        return [], [*problems, f"gold models read each other in a circle: {circle}"]


def _model(table: str, sql: str) -> Model:
    from flowforge.lake.statements import NotAllowed, tables_read  # sqlglot: a third of the import, for models only

    try:
        inputs = tuple(tables_read(sql, ("silver", "gold")))
    except NotAllowed as error:
        raise RefineRefused(
            f"gold.{table}: {error}", "a model is one SELECT over silver.<table> and gold.<table>"
        ) from error
    if TableName("gold", table) in inputs:
        raise RefineRefused(f"gold.{table} reads itself", "a model is built anew from its inputs each time")
    return Model(table, sql, inputs)
