# ruff: noqa: S608 - SQL text of quoted names
"""A silver batch before the quality rules, on a connection that can reach nothing else.

Guarantees: a user's expression runs where only the batch's objects, the table itself and the tables that rules name can be read.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from events.quality import Reference, Rule
from flowforge.domain.errors import RulesBroken, TransformRejected
from flowforge.domain.figures import broken, figure_text
from flowforge.domain.own_columns import SOURCE_FILE
from flowforge.engines.base import Session
from flowforge.engines.duckdb.folding import Fold
from flowforge.engines.registry import ENGINE
from flowforge.quality.judge import Subject, Verdict, judge
from flowforge.quality.rules import BATCH, PRESENT, REFERENCED
from flowforge.silver.bounded_rules import Begins, judge_within_bounds
from flowforge.silver.plan import CURRENT, DELETED
from flowforge.tables.lake import open_table, table_uri
from flowforge.tables.rows import create_view, rows_query

REPLAY = "then replay this batch (flowforge replay --run RUN)"
REMEDY = f"correct the rule in a new request, {REPLAY}"
BROKEN = (
    f"change the rule in a new request (severity quarantine keeps such rows out, and only them), {REPLAY}: its other rows come "
    "with no later load but a full one; rows that are mended in the source come with the next"
)


@dataclass(frozen=True)
class BatchRows:
    """What is judged: the batch's rows (a query, and the objects behind it), the expression of their content's hash, the silver
    table that they go to, its key, whether the table keeps any other row, the folds of columns whose equal values may look
    different, and a condition for rows of the table that go when these come."""

    rows: str
    objects: list[str]
    content: str
    bucket: str
    table: str
    key: list[str]
    batch_time: str
    replaces: bool
    folds: Mapping[str, Fold] = field(default_factory=dict)
    going: str = ""

    @property
    def name(self) -> str:
        """The silver table, as messages call it."""
        return f"silver.{self.table}"


def judge_batch(batch: BatchRows, rules: Sequence[Rule]) -> Verdict:
    """Applies the rules. Raises RulesBroken when one of severity `fail` is, TransformRejected when one cannot be evaluated, or
    not within the bounds that there are."""
    if not rules:
        return Verdict()
    verdict = judge_within_bounds(batch.name, rules, REPLAY, partial(_judge, batch))
    if failing := broken(verdict.figures):
        raise RulesBroken(
            f"{batch.name}: the batch breaks quality rules: {'; '.join(map(figure_text, failing))}",
            BROKEN,
            verdict.figures,
        )
    return verdict


def _judge(batch: BatchRows, rules: Sequence[Rule], seconds: float, begins: Begins, rows: int | None) -> Verdict:
    if rows is not None:
        batch = replace(batch, rows=f"SELECT * FROM ({batch.rows}) LIMIT {rows}")
    with ENGINE.session() as connection:
        paths, columns = _readable(connection, batch, rules)
        connection.confine([*batch.objects, *paths])
        subject = Subject(
            lambda _: batch.name, REMEDY, batch.batch_time, batch.key, columns, batch.content, batch.folds, begins
        )
        with connection.within(seconds):
            return judge(connection, subject, rules)


def _readable(connection: Session, batch: BatchRows, rules: Sequence[Rule]) -> tuple[list[str], list[str]]:
    """Makes the batch, the table and referenced tables readable; returns the objects behind these and the table's columns."""
    connection.execute(f"CREATE VIEW {BATCH} AS SELECT * FROM ({batch.rows}) WHERE _flowforge_applies")
    paths = _refer(connection, batch, rules)
    present = open_table(table_uri(batch.bucket, "silver", batch.table))
    if present is None or batch.replaces:
        return paths, []
    columns = list(present.column_words())
    standing = {CURRENT: CURRENT, DELETED: f"{DELETED} IS NOT TRUE"}
    kept = [condition for name, condition in standing.items() if name in columns] or ["true"]
    if batch.going and SOURCE_FILE in columns:
        kept.append(f"({batch.going}) IS NOT TRUE")
    rows = rows_query(connection, present)
    connection.execute(f"CREATE VIEW {PRESENT} AS SELECT * FROM ({rows}) WHERE {' AND '.join(kept)}")
    return paths + present.file_uris(), columns


def _refer(connection: Session, batch: BatchRows, rules: Sequence[Rule]) -> list[str]:
    wanted = {rule.table: rule.title for rule in rules if isinstance(rule, Reference)}
    paths: list[str] = []
    for name, rule in wanted.items():
        table = open_table(table_uri(batch.bucket, "silver", name))
        if table is None:
            raise TransformRejected(
                f"{batch.name}: rule {rule} refers to silver.{name}, which does not exist",
                f"load {name} first, {REPLAY}",
            )
        create_view(connection, REFERENCED, name, rows_query(connection, table))
        paths += table.file_uris()
    return paths
