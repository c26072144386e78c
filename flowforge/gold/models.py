"""Gold tables as queries: the published copy of a silver table, and the models of a request in the order they are built.

Guarantees: pure. A model that reads another one of the same request comes after it; a circle is refused.
"""

import hashlib
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter

from events.targets import GoldTarget
from flowforge.errors import RefineRefused
from flowforge.lake.statements import NotAllowed, TableName, tables_read


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


def plan_gold(target: GoldTarget, silver_table: str) -> list[Model]:
    """What to build for a batch of `silver_table`, in dependency order: the copy first, then the models.

    Raises RefineRefused for a model that is not a plain query, that makes the table of the copy, or that is part of a circle.
    """
    models = {model.table: _model(model.table, model.sql) for model in target.models}
    if target.table in models or len(models) != len(target.models):
        raise RefineRefused("two gold models have one table name", "give every model a tableName of its own")
    graph = {
        name: {read.table for read in model.inputs if read.layer == "gold" and read.table in models}
        for name, model in models.items()
    }
    try:
        order = list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        circle = " -> ".join(f"gold.{name}" for name in error.args[1])
        raise RefineRefused(f"gold models read each other in a circle: {circle}") from error
    copy = [Model(target.table, None, (TableName("silver", silver_table),))] if target.table else []
    return copy + [models[name] for name in order]


def _model(table: str, sql: str) -> Model:
    try:
        inputs = tuple(tables_read(sql, ("silver", "gold")))
    except NotAllowed as error:
        raise RefineRefused(
            f"gold.{table}: {error}", "a model is one SELECT over silver.<table> and gold.<table>"
        ) from error
    if TableName("gold", table) in inputs:
        raise RefineRefused(f"gold.{table} reads itself", "a model is built anew from its inputs each time")
    return Model(table, sql, inputs)
