"""The rows of a gold table before its quality rules, where they were made: on the model's own, confined connection.

Guarantees: what is judged are all rows that the table will have, those that an incremental build leaves alone among them, so a
rule finds the same after every kind of build. Nothing is visible yet.
"""

from collections.abc import Mapping
from datetime import UTC, datetime

from events.quality import QualityFigure
from flowforge.domain.errors import RulesBroken
from flowforge.domain.figures import broken, figure_text
from flowforge.domain.names import TableName
from flowforge.engines.base import Rows, Session
from flowforge.gold.models import Model
from flowforge.quality.judge import Subject, judge
from flowforge.quality.rules import BATCH, REFERENCED
from flowforge.tables.base import LakeTable
from flowforge.tables.rows import create_view, rows_query

CORRECT = "correct the rule; the version before stays published"
MEND = "mend the rows that the model reads, the model, or the rule; the version before stays published"


def judge_table(
    connection: Session,
    model: Model,
    references: Mapping[TableName, LakeTable],
    rows: Rows,
) -> list[QualityFigure]:
    """What the rules of a model find in its rows; raises as `Engine.judge` does."""
    connection.execute(f"CREATE VIEW {BATCH} AS {rows.sql_query()}")
    for name, table in references.items():
        create_view(connection, REFERENCED, name.table, rows_query(connection, table))
    figures = judge(connection, subject(model), model.rules).figures
    if failing := broken(figures):
        lines = [(model.rule_lines.get(figure.rule), figure_text(figure)) for figure in failing]
        said = "; ".join(f"line {line}, {words}" if line else words for line, words in lines)
        raise RulesBroken(f"{model.place()} breaks quality rules: {said}", MEND, figures)
    return figures


def subject(model: Model) -> Subject:
    """How a model's rules are judged: over all its rows, at this moment."""
    now = datetime.now(UTC).replace(tzinfo=None)
    return Subject(model.rule_place, CORRECT, now.isoformat(sep=" "))
