# ruff: noqa: S608 - SQL text of quoted names; a model's own text runs as it is, where nothing can be read
"""Models and their rules against the columns that there are: what DuckDB refuses, with file and line, before a row is read."""

from collections.abc import Iterator, Mapping, Sequence

from flowforge.domain.errors import TransformRejected
from flowforge.domain.names import TableName
from flowforge.engines.base import EngineError, OutOfMemory, Session
from flowforge.engines.duckdb.sql import identifier
from flowforge.engines.registry import ENGINE
from flowforge.gold.engine import refusal
from flowforge.gold.model_rules import subject
from flowforge.gold.models import Model
from flowforge.quality.judge import check_rule
from flowforge.quality.rules import BATCH, REFERENCED
from flowforge.runtime.bounded_work import bounded_memory, function_memory, within
from flowforge.tables.base import LakeTable
from flowforge.tables.rows import create_view, rows_query

BIND_SECONDS = 9.0  # a call of the API has 29: two tries, and what is around them
BIND_TRIES = 2
SHORTER = "write it with fewer steps that build on each other, and no calculation in LIMIT or in a table function"


def bind_models(
    models: Sequence[Model], tables: Mapping[TableName, LakeTable], seconds: float = BIND_SECONDS
) -> dict[TableName, str]:
    """What DuckDB finds wrong with models and their rules, from the columns alone: no row is read.

    `models` are in the order in which they are built; `tables` are those of the lake. A model that reads a refused one is
    bound to the columns that this one's table has now; where it has none, and where an input is missing, nothing can be said.
    DuckDB calculates what it must know of a query beforehand, and nothing interrupts it there: a model that is not bound within
    so many seconds, together with those before it, is refused, and the others are bound without it; once that has happened
    `BIND_TRIES` times, what was not bound is told of.
    """
    problems, unchecked = dict[TableName, str](), list(models)
    for _ in range(BIND_TRIES):
        binding = _Binding([model for model in models if model.name not in problems], tables)
        try:
            return problems | within(seconds, binding.run)
        except TimeoutError:
            problems |= binding.give_up(seconds)
            unchecked = [model for model in binding.left if model.name not in problems]
    return problems | {model.name: f"{model.place()} was not checked: others took the time" for model in unchecked}


class _Binding:
    """One try, for a thread of its own: `left` are the models that did not have their turn."""

    def __init__(self, models: Sequence[Model], tables: Mapping[TableName, LakeTable]) -> None:
        self.left, self._tables = list(models), tables
        self._at: Model | None = None
        self._problems: dict[TableName, str] = {}
        self._bound: set[TableName] = set()
        self._given_up = False

    def run(self) -> dict[TableName, str]:
        """What is wrong with each."""
        with ENGINE.session() as connection, bounded_memory(function_memory()):
            connection.confine([])
            while self.left and not self._given_up:
                self._at = self.left.pop(0)
                if found := self._problem(connection, self._at):
                    self._problems[self._at.name] = found
        return self._problems

    def give_up(self, seconds: float) -> dict[TableName, str]:
        """What is wrong with those that had their turn, the one included that takes so long."""
        self._given_up = True
        found = dict(self._problems)
        if slow := self._at:
            found[slow.name] = f"{slow.place()} was not bound within {seconds:g} s: {SHORTER}"
        return found

    def _problem(self, connection: Session, model: Model) -> str | None:
        for name in model.reads:
            if name not in self._bound and name in self._tables:
                create_view(connection, name.layer, name.table, rows_query(connection, self._tables[name], []))
                self._bound.add(name)
        if model.sql is None or not self._bound.issuperset(model.reads):
            return None
        try:
            create_view(connection, "gold", model.table, model.sql.strip().rstrip(";"))
            self._bound.add(model.name)
        except (MemoryError, OutOfMemory):
            return f"{model.place()} needs more memory to be bound than there is: {SHORTER}"
        except EngineError as error:
            return str(refusal(model, error))
        return "; ".join(_wrong_rules(connection, model))


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
