# ruff: noqa: S608 - SQL text of quoted names and quoted values; expressions were checked
"""Rules as SQL. Pure text.

A rule of rows becomes a condition over `r`, a row of the batch, that is false where the row fails; NULL passes. A rule of a batch
becomes one over all its rows. `BATCH` is the relation of the batch's rows, `PRESENT` the table's, both with the key columns;
tables that rules refer to are in the schema `REFERENCED`.
"""

from collections.abc import Mapping
from types import MappingProxyType

from events.quality import (
    AllowedValues,
    Expression,
    Freshness,
    NotNull,
    Pattern,
    Range,
    Reference,
    RowCount,
    Rule,
    Unique,
)
from flowforge.engines.duckdb.folding import Fold
from flowforge.engines.duckdb.sql import identifier, literal
from flowforge.quality.expressions import check_expression

BATCH, PRESENT, REFERENCED = "batch", "present", "referenced"
NO_FOLDS: Mapping[str, Fold] = MappingProxyType({})


def row_condition(rule: Rule, key: list[str], present: list[str], folds: Mapping[str, Fold] = NO_FOLDS) -> str:
    """The condition of a rule of rows. `key` tells the table's rows apart, `present` are its columns (empty: no row counts);
    values of columns that have `folds` are compared by these."""
    match rule:
        case NotNull():
            return f"{_column(rule.column)} IS NOT NULL"
        case Range():
            return " AND ".join(
                f"{_column(rule.column)} {sign} {_value(end)}"
                for sign, end in ((">=", rule.min), ("<=", rule.max))
                if end is not None
            )
        case AllowedValues():
            return f"{_column(rule.column)} IN ({', '.join(map(_value, rule.values))})"
        case Pattern():
            return f"regexp_full_match(CAST({_column(rule.column)} AS VARCHAR), {literal(rule.pattern)})"
        case Reference():
            pairs = zip(rule.columns, rule.references or rule.columns, strict=True)
            same = " AND ".join(
                _equal(folds.get(ours), identifier(theirs, "t"), _column(ours)) for ours, theirs in pairs
            )
            return f"{_any_null(rule.columns)} OR EXISTS (SELECT 1 FROM {REFERENCED}.{identifier(rule.table)} t WHERE {same})"
        case Unique():
            return f"{_any_null(rule.columns)} OR ({_alone_in_batch(rule, folds)}{_alone_in_table(rule, key, present, folds)})"
        case Expression():
            return check_expression(rule.sql)
    raise TypeError(f"{type(rule).__name__} is no rule of rows")


def batch_condition(rule: Rule, batch_time: str) -> str:
    """The condition of a rule of a batch, over all rows of `BATCH`; `batch_time` is a timestamp without zone, in UTC."""
    match rule:
        case RowCount():
            ends = ((">=", rule.min), ("<=", rule.max))
            return " AND ".join(f"count(*) {sign} {end}" for sign, end in ends if end is not None)
        case Freshness():
            oldest = f"TIMESTAMP {literal(batch_time)} - to_microseconds({round(rule.maxAgeHours * 3_600_000_000)})"
            return f"max(CAST({_column(rule.column)} AS TIMESTAMP)) >= {oldest}"
    raise TypeError(f"{type(rule).__name__} is no rule of a batch")


def _alone_in_batch(rule: Unique, folds: Mapping[str, Fold]) -> str:
    columns = ", ".join(_form(folds.get(name), _column(name)) for name in rule.columns)
    return f"count(*) OVER (PARTITION BY {columns}) = 1"


def _alone_in_table(rule: Unique, key: list[str], present: list[str], folds: Mapping[str, Fold]) -> str:
    """Rows that the batch replaces do not count: two rows may swap their values."""
    if not key or not {*rule.columns, *key} <= set(present):
        return ""
    same = " AND ".join(_equal(folds.get(name), identifier(name, "p"), _column(name)) for name in rule.columns)
    replaced = " AND ".join(
        _equal(folds.get(name), identifier(name, "b"), identifier(name, "p"), "IS NOT DISTINCT FROM") for name in key
    )
    others = f"SELECT p.* FROM {PRESENT} p ANTI JOIN {BATCH} b ON {replaced}"
    return f" AND NOT EXISTS (SELECT 1 FROM ({others}) p WHERE {same})"


def _equal(fold: Fold | None, one: str, other: str, sign: str = "=") -> str:
    return f"{_form(fold, one)} {sign} {_form(fold, other)}"


def _form(fold: Fold | None, value: str) -> str:
    return fold.sql(value) if fold else value


def _any_null(columns: list[str]) -> str:
    return " OR ".join(f"{_column(name)} IS NULL" for name in columns)


def _column(name: str) -> str:
    return identifier(name, "r")


def _value(value: object) -> str:
    return literal(value) if isinstance(value, str) else repr(value)
