"""Gold tables as queries: the published copy of a silver table, and the SQL models.

Guarantees: pure. Every problem names the gold table, where its SQL is kept and the line.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from events.quality import Expression, Reference, Rule
from events.targets import GoldModelTarget
from flowforge.domain.errors import TransformRejected
from flowforge.domain.names import TableName

Strategy = Literal["full", "incremental"]
FROM_JOB = "goldConfig"


@dataclass(frozen=True)
class Model:
    """One gold table: its query (None for a copy of its only input) and the tables that the query reads, each with its line.

    `key` tells its rows apart (empty where nobody said); `origin` is where a person finds the query: models/x.sql or goldConfig.
    `rules` are what all its rows must fulfil; `rule_lines` tells where in a file they are, by their titles.
    """

    table: str
    sql: str | None
    inputs: dict[TableName, int | None]
    strategy: Strategy = "full"
    key: tuple[str, ...] = ()
    origin: str = FROM_JOB
    rules: tuple[Rule, ...] = ()
    rule_lines: Mapping[str, int] = field(default_factory=dict)

    @property
    def name(self) -> TableName:
        """The gold table's name."""
        return TableName("gold", self.table)

    @property
    def references(self) -> dict[TableName, int | None]:
        """The silver tables that its rules refer to, each with the line of such a rule."""
        named = [rule for rule in self.rules if isinstance(rule, Reference)]
        return {TableName("silver", rule.table): self.rule_lines.get(rule.title) for rule in named}

    @property
    def reads(self) -> dict[TableName, int | None]:
        """All tables that it waits for and follows: those of its query, and those that its rules refer to."""
        return {**self.references, **self.inputs}

    @property
    def definition(self) -> int:
        """A number that differs when the query or a rule does (62 bits, to fit a Delta transaction version)."""
        text = self.sql if self.sql is not None else f"copy of {next(iter(self.inputs))}"
        if self.rules:
            text += json.dumps([rule.model_dump(exclude_defaults=True) for rule in self.rules], sort_keys=True)
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) >> 2

    def place(self, line: int | None = None) -> str:
        """The model's name for a message, with its file and line: `gold.x (models/x.sql, line 3)`."""
        return place_of(self.table, self.origin, line)

    def rule_place(self, rule: Rule | None = None) -> str:
        """The same of a rule, with the line of the file in which it is."""
        return self.place(self.rule_lines.get(rule.title) if rule else None)


def place_of(table: str, origin: str, line: int | None = None) -> str:
    """How messages name a model, or a line of it."""
    where = [] if origin == FROM_JOB else [origin]
    where += [] if line is None else [f"line {line}"]
    return f"gold.{table}" + (f" ({', '.join(where)})" if where else "")


def copy_of_silver(
    table: str,
    silver_table: str,
    strategy: Strategy = "full",
    key: Sequence[str] = (),
    origin: str = FROM_JOB,
    rules: Sequence[Rule] = (),
) -> Model:
    """The published copy of a silver table."""
    model = Model(table, None, {TableName("silver", silver_table): None}, strategy, tuple(key), origin, tuple(rules))
    _check_rules(model)
    return model


def read_model(
    table: str,
    sql: str,
    strategy: Strategy = "full",
    key: Sequence[str] = (),
    origin: str = FROM_JOB,
    rules: Sequence[Rule] = (),
    rule_lines: Mapping[str, int] | None = None,
) -> Model:
    """A model from its text. Raises TransformRejected when it is no plain query over silver and gold, reads itself, asks to be
    built incrementally and is of a kind for which that could go wrong, or has a rule whose SQL reaches beyond its row."""
    from flowforge.gold.incremental import driving_table
    from flowforge.sql_policy.statements import (  # sqlglot: a third of the import, for models only
        NotAllowed,
        table_lines,
    )

    try:
        inputs = table_lines(sql, ("silver", "gold"))
        if strategy == "incremental":
            driving_table(sql, key)
    except NotAllowed as error:
        remedy = error.remedy or "a model is one SELECT over silver.<table> and gold.<table>"
        raise TransformRejected(f"{place_of(table, origin, error.line)}: {error}", remedy) from error
    itself = TableName("gold", table)
    if itself in inputs:
        raise TransformRejected(
            f"{place_of(table, origin, inputs[itself])}: gold.{table} reads itself",
            "a model is built anew from its inputs each time: read the silver table or another gold table",
        )
    model = Model(table, sql, inputs, strategy, tuple(key), origin, tuple(rules), rule_lines or {})
    _check_rules(model)
    return model


def model_of(given: GoldModelTarget) -> Model:
    """A job's model; raises as `read_model` does."""
    return read_model(given.table, given.sql, given.build_strategy, given.primary_key, rules=given.quality_rules)


def _check_rules(model: Model) -> None:
    expressions = [rule for rule in model.rules if isinstance(rule, Expression)]
    if not expressions:
        return
    from flowforge.quality.expressions import check_expression
    from flowforge.sql_policy.statements import NotAllowed

    for rule in expressions:
        try:
            check_expression(rule.sql)
        except NotAllowed as error:
            raise TransformRejected(f"{model.rule_place(rule)}: rule {rule.title}: {error}", error.remedy) from error
