# ruff: noqa: S608 - SQL text of quoted names and checked expressions
"""What each rule finds in a batch's rows, on a connection that can reach nothing else.

Guarantees: the rows are looked at once for all rules; a user's expression runs where only the batch's objects and the tables that
rules name can be read. A rule that cannot be evaluated stops the batch and is named; DuckDB's reason is told without any value.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import duckdb
from arro3.core import RecordBatchReader, Table

from events.quality import QualityFigure, QualityRule, Reference, Rule
from flowforge.errors import RefineRefused
from flowforge.lake.sql import literal
from flowforge.lake.statements import NotAllowed
from flowforge.lake.storage import confine, duckdb_connection
from flowforge.lake.tables import create_view, open_table, rows_query, table_uri
from flowforge.quality.rules import BATCH, PRESENT, batch_condition, row_condition
from flowforge.silver.plan import CURRENT, DELETED

ABOUT_TEXT = (duckdb.ParserException, duckdb.BinderException, duckdb.CatalogException)  # not about a row


@dataclass(frozen=True)
class Subject:
    """What is judged: the batch's rows (a query, and the objects behind it), the expression of their content's hash, the silver
    table that they go to, its key, and whether the table keeps any other row."""

    rows: str
    objects: list[str]
    content: str
    bucket: str
    table: str
    key: list[str]
    batch_time: str
    replaces: bool


@dataclass(frozen=True)
class Verdict:
    """Figures of all rules, and the rows to keep out: `content` (hash) and `rules` (names of those that it fails); None: none."""

    figures: list[QualityFigure] = field(default_factory=list)
    failed: Table | None = None


def judge(subject: Subject, rules: Sequence[QualityRule]) -> Verdict:
    """Applies the rules. Raises RefineRefused when one of severity `fail` is broken, or one cannot be evaluated."""
    if not rules:
        return Verdict()
    with duckdb_connection() as connection:
        paths, columns = _readable(connection, subject, rules)
        confine(connection, [*subject.objects, *paths])
        figures = _row_figures(connection, subject, [rule for rule in rules if rule.of_rows], columns)
        figures += [_batch_figure(connection, subject, rule) for rule in rules if not rule.of_rows]
        failed = _failed_rows(connection, [rule for rule in rules if rule.of_rows])
    broken = [figure for figure in figures if figure.failed and figure.severity == "fail"]
    if broken:
        told = "; ".join(f"{f.rule}: {f.failed:,} of {f.checked:,} failed" for f in broken)
        raise RefineRefused(
            f"silver.{subject.table}: the batch breaks quality rules: {told}",
            "mend the rows in the source and load again, or change the rule in a new request; then replay this batch",
        )
    return Verdict(figures, failed)


def _readable(
    connection: duckdb.DuckDBPyConnection, subject: Subject, rules: Sequence[Rule]
) -> tuple[list[str], list[str]]:
    """Makes the batch, the table and referenced tables readable; returns the objects behind these and the table's columns."""
    connection.execute(f"CREATE VIEW {BATCH} AS SELECT * FROM ({subject.rows}) WHERE _flowforge_applies")
    wanted = {rule.table: rule.title for rule in rules if isinstance(rule, Reference)}
    paths: list[str] = []
    for name, rule in wanted.items():
        table = open_table(table_uri(subject.bucket, "silver", name))
        if table is None:
            raise RefineRefused(
                f"silver.{subject.table}: rule {rule} refers to silver.{name}, which does not exist",
                f"load {name} first, then replay this batch",
            )
        create_view(connection, "silver", name, rows_query(connection, table))
        paths += table.file_uris()
    present = open_table(table_uri(subject.bucket, "silver", subject.table))
    if present is None or subject.replaces:
        return paths, []
    columns = [column.name for column in present.schema().fields]
    standing = {CURRENT: CURRENT, DELETED: f"{DELETED} IS NOT TRUE"}
    kept = [condition for name, condition in standing.items() if name in columns] or ["true"]
    rows = rows_query(connection, present)
    connection.execute(f"CREATE VIEW {PRESENT} AS SELECT * FROM ({rows}) WHERE {' AND '.join(kept)}")
    return paths + present.file_uris(), columns


def _row_figures(
    connection: duckdb.DuckDBPyConnection, subject: Subject, rules: Sequence[Rule], columns: list[str]
) -> list[QualityFigure]:
    """Leaves the table `judged`: the content's hash and, for each rule, whether the row passes."""
    conditions = []
    for number, rule in enumerate(rules):
        text = _text(rule, subject, partial(row_condition, rule, subject.key, columns))
        _try(connection, rule, subject, f"SELECT ({text}) AS passes FROM {BATCH} r LIMIT 0")
        conditions.append(f"coalesce({text}, true) AS q{number}")
    judged = ", ".join([f"{subject.content} AS content", *conditions])
    try:
        connection.execute(f"CREATE TEMP TABLE judged AS SELECT {judged} FROM {BATCH} r")
        counts = ", ".join(["count(*)", *(f"count(*) FILTER (NOT q{number})" for number in range(len(rules)))])
        checked, *failed = connection.execute(f"SELECT {counts} FROM judged").fetchone()
    except (duckdb.IOException, duckdb.OutOfMemoryException):
        raise
    except duckdb.Error as error:
        raise RefineRefused(f"silver.{subject.table}: a quality rule cannot be evaluated: {_reason(error)}") from error
    return [
        QualityFigure(rule=rule.title, severity=rule.severity, checked=checked, failed=count)
        for rule, count in zip(rules, failed, strict=True)
    ]


def _batch_figure(connection: duckdb.DuckDBPyConnection, subject: Subject, rule: Rule) -> QualityFigure:
    text = _text(rule, subject, partial(batch_condition, rule, subject.batch_time))
    passes = _try(connection, rule, subject, f"SELECT coalesce({text}, true) FROM {BATCH} r")
    return QualityFigure(rule=rule.title, severity=rule.severity, checked=1, failed=int(not passes[0]))


def _failed_rows(connection: duckdb.DuckDBPyConnection, rules: Sequence[Rule]) -> Table | None:
    kept_out = [(n, rule.title) for n, rule in enumerate(rules) if rule.severity == "quarantine"]
    if not kept_out:
        return None
    names = ", ".join(f"CASE WHEN NOT q{number} THEN {literal(title)} END" for number, title in kept_out)
    broken = " OR ".join(f"NOT q{number}" for number, _ in kept_out)
    found = f"SELECT content, any_value(concat_ws(', ', {names})) AS rules FROM judged WHERE {broken} GROUP BY content"
    return RecordBatchReader.from_arrow(connection.sql(found)).read_all()


def _text(rule: Rule, subject: Subject, make: Callable[[], str]) -> str:
    try:
        return make()
    except NotAllowed as error:
        raise RefineRefused(f"silver.{subject.table}: rule {rule.title}: {error}") from error


def _try(connection: duckdb.DuckDBPyConnection, rule: Rule, subject: Subject, sql: str) -> tuple | None:
    try:
        answer = connection.sql(sql)
        if str(answer.types[0]) != "BOOLEAN":
            raise RefineRefused(f"silver.{subject.table}: rule {rule.title} is no condition but a {answer.types[0]}")
        return answer.fetchone()
    except (duckdb.IOException, duckdb.OutOfMemoryException):
        raise
    except duckdb.Error as error:
        raise RefineRefused(
            f"silver.{subject.table}: rule {rule.title} cannot be evaluated: {_reason(error)}",
            "correct the rule in a new request, then replay this batch",
        ) from error


def _reason(error: duckdb.Error) -> str:
    """DuckDB's message; without the values that one about a row repeats."""
    text = str(error).strip()
    if isinstance(error, ABOUT_TEXT):
        return text[:500]
    return re.sub(r"'[^']*'|\"[^\"]*\"|\d[\d.,:\-]*", "…", text.splitlines()[0])[:300]
