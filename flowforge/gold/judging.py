"""The rows of a gold table before its quality rules, where they were made: on the model's own, confined connection.

Guarantees: what is judged are all rows that the table will have, those that an incremental build leaves alone among them, so a
rule finds the same after every kind of build. Nothing is visible yet.
"""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import duckdb

from events.quality import QualityFigure
from flowforge.errors import RulesBroken
from flowforge.gold.models import Model
from flowforge.lake.tables import create_view, rows_query
from flowforge.quality.figures import broken, told
from flowforge.quality.judge import Subject, judge
from flowforge.quality.rules import BATCH, REFERENCED

if TYPE_CHECKING:
    from flowforge.gold.engine import Engine

CORRECT = "correct the rule; the version before stays published"
MEND = "mend the rows that the model reads, the model, or the rule; the version before stays published"


def judge_table(engine: "Engine", rows: duckdb.DuckDBPyRelation) -> list[QualityFigure]:
    """What the rules of the engine's model find; raises as `Engine.judge` does."""
    model = engine.model
    engine.connection.execute(f"CREATE VIEW {BATCH} AS {rows.sql_query()}")
    for name, table in engine.references.items():
        create_view(engine.connection, REFERENCED, name.table, rows_query(engine.connection, table))
    figures = judge(engine.connection, subject(model), model.rules).figures
    if failing := broken(figures):
        lines = [(model.rule_lines.get(figure.rule), told(figure)) for figure in failing]
        said = "; ".join(f"line {line}, {words}" if line else words for line, words in lines)
        raise RulesBroken(f"{model.place()} breaks quality rules: {said}", MEND, figures)
    return figures


def subject(model: Model) -> Subject:
    """How a model's rules are judged: over all its rows, at this moment."""
    now = datetime.now(UTC).replace(tzinfo=None)
    return Subject(model.rule_place, CORRECT, now.isoformat(sep=" "))
