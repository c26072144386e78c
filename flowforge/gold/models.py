"""Gold tables as queries: the published copy of a silver table and the SQL models, in the order in which they are built.

Guarantees: pure. A model that reads another one comes after it; models that read each other in a circle are left out, with
those that depend on them, and said to be; what is wrong with one model does not keep the others from being built. Every problem
names the gold table, where its SQL is kept and the line.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from typing import Literal

from flowforge.errors import RefineRefused
from flowforge.lake.names import TableName

Strategy = Literal["full", "incremental"]
FROM_JOB = "goldConfig"


@dataclass(frozen=True)
class Model:
    """One gold table: its query (None for a copy of its only input) and the tables that it reads, each with its line.

    `key` tells its rows apart (empty where nobody said); `origin` is where a person finds the query: models/x.sql or goldConfig.
    """

    table: str
    sql: str | None
    inputs: dict[TableName, int | None]
    strategy: Strategy = "full"
    key: tuple[str, ...] = ()
    origin: str = FROM_JOB

    @property
    def name(self) -> TableName:
        """The gold table's name."""
        return TableName("gold", self.table)

    @property
    def definition(self) -> int:
        """A number that differs when the query does (62 bits, to fit a Delta transaction version)."""
        text = self.sql if self.sql is not None else f"copy of {next(iter(self.inputs))}"
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) >> 2

    def place(self, line: int | None = None) -> str:
        """The model's name for a message, with its file and line: `gold.x (models/x.sql, line 3)`."""
        return place_of(self.table, self.origin, line)


def place_of(table: str, origin: str, line: int | None = None) -> str:
    """How messages name a model, or a line of it."""
    where = [] if origin == FROM_JOB else [origin]
    where += [] if line is None else [f"line {line}"]
    return f"gold.{table}" + (f" ({', '.join(where)})" if where else "")


def copy_of_silver(
    table: str, silver_table: str, strategy: Strategy = "full", key: Sequence[str] = (), origin: str = FROM_JOB
) -> Model:
    """The published copy of a silver table."""
    return Model(table, None, {TableName("silver", silver_table): None}, strategy, tuple(key), origin)


def read_model(
    table: str, sql: str, strategy: Strategy = "full", key: Sequence[str] = (), origin: str = FROM_JOB
) -> Model:
    """A model from its text. Raises RefineRefused when it is no plain query over silver and gold, reads itself, or asks to be
    built incrementally and is of a kind for which that could go wrong."""
    from flowforge.gold.incremental import driving_table
    from flowforge.lake.statements import NotAllowed, table_lines  # sqlglot: a third of the import, for models only

    try:
        inputs = table_lines(sql, ("silver", "gold"))
        if strategy == "incremental":
            driving_table(sql, key)
    except NotAllowed as error:
        remedy = "a model is one SELECT over silver.<table> and gold.<table>"
        raise RefineRefused(f"{place_of(table, origin, error.line)}: {error}", remedy) from error
    itself = TableName("gold", table)
    if itself in inputs:
        raise RefineRefused(
            f"{place_of(table, origin, inputs[itself])}: gold.{table} reads itself",
            "a model is built anew from its inputs each time",
        )
    return Model(table, sql, inputs, strategy, tuple(key), origin)


def order_models(models: Iterable[Model]) -> tuple[list[Model], list[str]]:
    """The models, each after those that it reads, and what is wrong with the ones that are left out."""
    kept, problems = _without_repeats(list(models))
    while True:
        graph = {
            model.name: [read for read in model.inputs if read.layer == "gold" and read in kept]
            for model in kept.values()
        }
        try:
            return [kept[name] for name in TopologicalSorter(graph).static_order()], problems
        except CycleError as error:
            circle = [kept[name] for name in reversed(error.args[1])]
            problems.append(_circle(circle))
            left_out = following(kept.values(), {model.name for model in circle}) | {model.name for model in circle}
            kept = {name: model for name, model in kept.items() if name not in left_out}


def following(models: Iterable[Model], changed: set[TableName]) -> set[TableName]:
    """The models that read any of the `changed` tables, directly or through other models."""
    known, found = list(models), set()
    reached = set(changed)
    while new := {m.name for m in known if m.name not in found and reached & set(m.inputs)}:
        found |= new
        reached |= new
    return found


def _without_repeats(models: list[Model]) -> tuple[dict[TableName, Model], list[str]]:
    """Two definitions of one table would take turns: the job's own one is kept where only one is the job's, else none."""
    kept, problems = {}, []
    for name in dict.fromkeys(model.name for model in models):
        same = [model for model in models if model.name == name]
        ours = [model for model in same if model.origin == FROM_JOB] if len(same) > 1 else same
        if len(ours) == 1:
            kept[name] = ours[0]
        if len(same) > 1:
            origins = " and ".join(sorted(model.origin for model in same))
            problems.append(f"{name}: two definitions for one table ({origins}); give every model its own tableName")
    return kept, problems


def _circle(circle: list[Model]) -> str:
    steps = [f"{reader.place(reader.inputs[read.name])} reads {read.name}" for reader, read in pairwise(circle)]
    return f"gold models read each other in a circle: {'; '.join(steps)}"
