"""Quality rules of a table, as users write them in `silverConfig.qualityRules` and with a gold model.

In silver a rule looks at the rows that a batch brings, in gold at all rows of the table that was built: there "the batch" is the
table. NULL passes every rule but `not_null`, as it does a CHECK constraint.
"""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Discriminator, Field, StrictFloat, StrictInt, StrictStr, Tag, field_validator

from events.model import Message, Request
from events.names import DESTINATION, strip_layer

Severity = Literal["warn", "quarantine", "fail"]
Scalar = StrictInt | StrictFloat | StrictStr
Column = Annotated[str, Field(min_length=1)]


class Rule(Request):
    """What all rules have: a name (default: what it checks) and what happens to rows that fail."""

    name: str | None = Field(None, min_length=1, max_length=100)
    severity: Severity = Field(
        "warn",
        description="warn: count; quarantine: keep the row out (silver only); fail: stop the batch, or the model",
    )

    @property
    def title(self) -> str:
        """The rule's name in figures and in quarantine."""
        return self.name or " ".join([getattr(self, "rule", "rule"), *self.about])

    @property
    def about(self) -> list[str]:
        """The columns that the rule is about."""
        columns = getattr(self, "columns", None) or [getattr(self, "column", None)]
        return [column for column in columns if column]

    @property
    def of_rows(self) -> bool:
        """Whether single rows fail, or the batch as a whole."""
        return True


class NotNull(Rule):
    """The column has a value."""

    rule: Literal["not_null"]
    column: Column


class Unique(Rule):
    """No other row of the batch or of the table (under another key) has these values."""

    rule: Literal["unique"]
    columns: list[Column] = Field(min_length=1)


class Range(Rule):
    """The value lies between `min` and `max`, both included; a date or time is written as text."""

    rule: Literal["range"]
    column: Column
    min: Scalar | None = None
    max: Scalar | None = None

    @classmethod
    def contradictions(cls, given: dict[str, Any]) -> Iterator[str | tuple[str, str]]:
        """A range has an end."""
        yield from _without_end(given, "a range")


class AllowedValues(Rule):
    """The value is one of these."""

    rule: Literal["allowed_values"]
    column: Column
    values: list[Scalar] = Field(min_length=1)


class Pattern(Rule):
    """The whole text matches a regular expression (RE2)."""

    rule: Literal["pattern"]
    column: Column
    pattern: str = Field(min_length=1)


class Reference(Rule):
    """The values are those of a row of another silver table."""

    rule: Literal["reference"]
    columns: list[Column] = Field(min_length=1)
    table: str
    references: list[Column] | None = Field(None, description="its columns; default: of the same names")

    @field_validator("table")
    @classmethod
    def _table(cls, value: str) -> str:
        name = strip_layer(value, "silver")
        if not DESTINATION.fullmatch(name):
            raise ValueError("expected the name of a silver table")
        return name

    @classmethod
    def contradictions(cls, given: dict[str, Any]) -> Iterator[str | tuple[str, str]]:
        """Columns are compared one to one."""
        ours, theirs = given.get("columns"), given.get("references")
        if isinstance(ours, list) and isinstance(theirs, list) and len(ours) != len(theirs):
            yield "references", "expected as many columns as in columns"


class Expression(Rule):
    """A condition in DuckDB's SQL over the row's columns; the row fails where it is false."""

    rule: Literal["expression"]
    sql: str = Field(min_length=1, max_length=4000)

    @classmethod
    def contradictions(cls, given: dict[str, Any]) -> Iterator[str | tuple[str, str]]:
        """Nobody could tell two expressions apart."""
        if not given.get("name"):
            yield "name", "missing; an expression needs a name"


class BatchRule(Rule):
    """A rule that a batch passes or fails as a whole."""

    severity: Literal["warn", "fail"] = "warn"

    @property
    def of_rows(self) -> bool:
        return False


class RowCount(BatchRule):
    """The batch has at least `min` and at most `max` rows."""

    rule: Literal["row_count"]
    min: int | None = Field(None, ge=0)
    max: int | None = Field(None, ge=0)

    @classmethod
    def contradictions(cls, given: dict[str, Any]) -> Iterator[str | tuple[str, str]]:
        """A count has an end, too."""
        yield from _without_end(given, "a row_count")


class Freshness(BatchRule):
    """The newest value of a date or time column is at most so many hours older than the batch (in UTC)."""

    rule: Literal["freshness"]
    column: Column
    maxAgeHours: float = Field(gt=0)


def _without_end(given: dict[str, Any], what: str) -> Iterator[str]:
    if given.get("min") is None and given.get("max") is None:
        yield f"{what} needs min, max or both"


def _kind(value: Any) -> str:
    return str(value.get("rule", "")) if isinstance(value, dict) else str(getattr(value, "rule", ""))


QualityRule = Annotated[
    Annotated[NotNull, Tag("not_null")]
    | Annotated[Unique, Tag("unique")]
    | Annotated[Range, Tag("range")]
    | Annotated[AllowedValues, Tag("allowed_values")]
    | Annotated[Pattern, Tag("pattern")]
    | Annotated[Reference, Tag("reference")]
    | Annotated[Expression, Tag("expression")]
    | Annotated[RowCount, Tag("row_count")]
    | Annotated[Freshness, Tag("freshness")],
    Discriminator(
        _kind,
        custom_error_type="unknown_rule",
        custom_error_message="rule: expected not_null, unique, range, allowed_values, pattern, reference, expression, "
        "row_count or freshness",
    ),
]


def _called_differently(rules: list[Rule]) -> list[Rule]:
    titles = [rule.title for rule in rules]
    repeated = sorted({title for title in titles if titles.count(title) > 1})
    if repeated:
        raise ValueError(f"two rules are called {', '.join(repeated)}: give each a name of its own")
    return rules


def _without_quarantine(rules: list[Rule]) -> list[Rule]:
    kept_out = [rule.title for rule in rules if rule.severity == "quarantine"]
    if kept_out:
        raise ValueError(
            f"{', '.join(kept_out)}: a gold table has no quarantine: it is made anew from its inputs. Leave rows out by the "
            "model's WHERE, keep them out of silver, or use warn or fail"
        )
    return rules


SilverRules = Annotated[list[QualityRule], AfterValidator(_called_differently)]
GoldRules = Annotated[list[QualityRule], AfterValidator(_called_differently), AfterValidator(_without_quarantine)]


class QualityFigure(Message):
    """What one rule found in a batch, or in a gold table: rows that it looked at and rows that failed (a batch rule: of one)."""

    rule: str
    severity: Severity
    checked: int
    failed: int
