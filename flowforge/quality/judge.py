# ruff: noqa: S608 - SQL text of quoted names and checked expressions
"""What each rule finds in rows, on a connection that was made ready and confined for it.

Guarantees: the rows are looked at once for all rules of rows. A rule that cannot be evaluated is an error that names it; DuckDB's
reason is told without any value. What becomes of rows that fail is the caller's to say.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from arro3.core import RecordBatchReader, Table

from events.quality import Expression, QualityFigure, Rule
from flowforge.domain.errors import TransformRejected
from flowforge.domain.given import given
from flowforge.domain.near import meant
from flowforge.engines.base import EngineError, ObjectUnreadable, OutOfMemory, Session, TimedOut
from flowforge.engines.duckdb.folding import Fold
from flowforge.engines.duckdb.sql import literal
from flowforge.quality.rules import BATCH, batch_condition, row_condition
from flowforge.sql_policy.parsing import NotAllowed


@dataclass(frozen=True)
class Subject:
    """What is judged: the relation `rules.BATCH`.

    `place` names the table, or where one of its rules is written, for messages. `moment` is the batch's time, UTC without zone.
    `key` tells the table's rows apart; `present` are the columns of the relation `rules.PRESENT`, none where no other row of the
    table counts. `content` is the expression of a row's hash, by which rows that fail are told; None where nobody asks for them.
    `folds` are those of columns whose equal values may look different. `begins` is told which rules are evaluated next.
    """

    place: Callable[[Rule | None], str]
    remedy: str
    moment: str
    key: list[str] = field(default_factory=list)
    present: list[str] = field(default_factory=list)
    content: str | None = None
    folds: Mapping[str, Fold] = field(default_factory=dict)
    begins: Callable[[Sequence[Rule]], None] = lambda _: None


@dataclass(frozen=True)
class Verdict:
    """Figures of all rules, and the rows to keep out: `content` (hash) and `rules` (names of those that it fails); None: none."""

    figures: list[QualityFigure] = field(default_factory=list)
    failed: Table | None = None


def judge(connection: Session, subject: Subject, rules: Sequence[Rule]) -> Verdict:
    """Applies the rules. Raises TransformRejected when one cannot be evaluated."""
    of_rows = [rule for rule in rules if rule.of_rows]
    figures = _row_figures(connection, subject, of_rows) if of_rows else []
    figures += [_batch_figure(connection, subject, rule) for rule in rules if not rule.of_rows]
    return Verdict(figures, _failed_rows(connection, of_rows) if subject.content else None)


def check_rule(connection: Session, subject: Subject, rule: Rule) -> str:
    """The rule's condition, once DuckDB takes it for the columns of `BATCH`; no row is read. Raises TransformRejected."""
    try:
        of_rows = rule.of_rows
        text = (
            row_condition(rule, subject.key, subject.present, subject.folds)
            if of_rows
            else batch_condition(rule, subject.moment)
        )
        if isinstance(rule, Expression):
            connection.check_condition(text)
    except NotAllowed as error:
        raise TransformRejected(f"{subject.place(rule)}: rule {rule.title}: {error}", error.remedy) from error
    subject.begins([rule])
    with _refusals(subject, rule, lambda: _meant_by(connection, rule)):
        kinds = [str(kind) for kind in connection.sql(f"SELECT ({text}) AS passes FROM {BATCH} r LIMIT 0").types]
    if kinds != ["BOOLEAN"]:
        raise TransformRejected(
            f"{subject.place(rule)}: rule {rule.title} is no condition but a {', '.join(kinds)}", subject.remedy
        )
    return text


def _row_figures(connection: Session, subject: Subject, rules: Sequence[Rule]) -> list[QualityFigure]:
    """Leaves the table `judged`: for each rule whether the row passes, and the content's hash."""
    items = [f"{subject.content} AS content"] if subject.content else []
    items += [f"coalesce({check_rule(connection, subject, rule)}, true) AS q{n}" for n, rule in enumerate(rules)]
    counts = ", ".join(["count(*)", *(f"count(*) FILTER (NOT q{n})" for n in range(len(rules)))])
    subject.begins(rules)
    with _refusals(subject, rules[0] if len(rules) == 1 else None):
        connection.execute(f"CREATE TEMP TABLE judged AS SELECT {', '.join(items)} FROM {BATCH} r")
        checked, *failed = given(connection.execute(f"SELECT {counts} FROM judged").fetchone())
        _compare(connection, subject, rules, checked)
    return [
        QualityFigure(rule=rule.title, severity=rule.severity, checked=checked, failed=count)
        for rule, count in zip(rules, failed, strict=True)
    ]


def _compare(connection: Session, subject: Subject, rules: Sequence[Rule], checked: int) -> None:
    """Raises TransformRejected unless every row was judged once."""
    written = [rule for rule in rules if isinstance(rule, Expression)]
    if not written:
        return
    (rows,) = given(connection.execute(f"SELECT count(*) FROM {BATCH}").fetchone())
    if rows != checked:
        names = ", ".join(rule.title for rule in written)
        raise TransformRejected(
            f"{subject.place(written[0])}: of {rows:,} rows {checked:,} were judged: not one answer for each row by {names}",
            subject.remedy,
        )


def _batch_figure(connection: Session, subject: Subject, rule: Rule) -> QualityFigure:
    text = check_rule(connection, subject, rule)
    with _refusals(subject, rule):
        (passes,) = given(connection.execute(f"SELECT coalesce({text}, true) FROM {BATCH} r").fetchone())
    return QualityFigure(rule=rule.title, severity=rule.severity, checked=1, failed=int(not passes))


def _failed_rows(connection: Session, rules: Sequence[Rule]) -> Table | None:
    kept_out = [(n, rule.title) for n, rule in enumerate(rules) if rule.severity == "quarantine"]
    if not kept_out:
        return None
    names = ", ".join(f"CASE WHEN NOT q{number} THEN {literal(title)} END" for number, title in kept_out)
    broken = " OR ".join(f"NOT q{number}" for number, _ in kept_out)
    found = f"SELECT content, any_value(concat_ws(', ', {names})) AS rules FROM judged WHERE {broken} GROUP BY content"
    return RecordBatchReader.from_arrow(connection.sql(found)).read_all()


@contextmanager
def _refusals(subject: Subject, rule: Rule | None, hint: Callable[[], str] = str) -> Iterator[None]:
    """Translates what DuckDB says of a rule; of several at once it does not say which one it was. `hint` ends the sentence."""
    try:
        yield
    except (ObjectUnreadable, OutOfMemory, TimedOut):
        raise
    except EngineError as error:
        which = "a quality rule" if rule is None else f"rule {rule.title}"
        raise TransformRejected(
            f"{subject.place(rule)}: {which} cannot be evaluated: {error.reason}{hint()}", subject.remedy
        ) from error


def _meant_by(connection: Session, rule: Rule) -> str:
    """Of the first column of a rule that the rows have not, what may have been meant; nothing where they have all."""
    there = connection.sql(f"SELECT * FROM {BATCH} LIMIT 0").columns
    named = [getattr(rule, "column", None), *getattr(rule, "columns", ())]
    lower = {name.lower() for name in there}
    missing = next((name for name in named if name and name.lower() not in lower), None)
    return f" ({meant(missing, there, 'the rows have no columns')})" if missing else ""
