"""T-SQL's predicates to DuckDB's booleans, and how values compare: collations, padding, the order of each type."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from sqlglot import exp

from flowforge.domain.given import given

from .conversion import convert
from .errors import SqlError, not_supported
from .patterns import like_expression
from .types import CHARACTERS, SqlType
from .values import BINARY, NOCASE, Typed, collation_of, common_type, quote_text

if TYPE_CHECKING:
    from .compiling import Values
    from .scopes import Scope

_COMPARISONS = {exp.EQ: "=", exp.NEQ: "<>", exp.GT: ">", exp.GTE: ">=", exp.LT: "<", exp.LTE: "<="}
_WORDS = {exp.EQ: "equal to", exp.NEQ: "not equal to", exp.GT: "greater than", exp.LT: "less than"}


class Predicates:
    """Compiles the conditions of one statement; `values` compiles what they compare."""

    def __init__(self, values: Values):
        self._values = values

    def predicate(self, node: exp.Expr, scope: Scope) -> str:
        """The DuckDB condition of a predicate. Raises SqlError 4145 for what is none."""
        if type(node) in _COMPARISONS:
            return self.compare(
                self._values.value(node.this, scope), type(node), self._values.value(node.expression, scope)
            )
        method = getattr(self, f"_predicate_{type(node).__name__.lower()}", None)
        if method is None:
            raise SqlError(
                4145,
                f"An expression of non-boolean type specified in a context where a "
                f"condition is expected, near '{node.sql('tsql')[:60]}'.",
            )
        return method(node, scope)

    def _predicate_paren(self, node, scope) -> str:
        return f"({self.predicate(node.this, scope)})"

    def _predicate_and(self, node, scope) -> str:
        return "(" + " AND ".join(self.predicate(part, scope) for part in _chain(node)) + ")"

    def _predicate_or(self, node, scope) -> str:
        return "(" + " OR ".join(self.predicate(part, scope) for part in _chain(node)) + ")"

    def _predicate_not(self, node, scope) -> str:
        return f"(NOT {self.predicate(node.this, scope)})"

    def _predicate_is(self, node, scope) -> str:
        if not isinstance(node.expression, exp.Null):
            raise not_supported(f"this condition: {node.sql('tsql')[:100]}")
        return f"({self._values.value(node.this, scope).sql} IS NULL)"

    def _predicate_exists(self, node, scope) -> str:
        return f"EXISTS ({self._values.compiler.query(node.this, scope).sql})"

    def _predicate_between(self, node, scope) -> str:
        value = self._values.value(node.this, scope)
        low = self.compare(value, exp.GTE, self._values.value(node.args["low"], scope))
        return f"({low} AND {self.compare(value, exp.LTE, self._values.value(node.args['high'], scope))})"

    def _predicate_in(self, node: exp.In, scope) -> str:
        value, query = self._values.value(node.this, scope), node.args.get("query")
        if query is None:
            tests = [self.compare(value, exp.EQ, self._values.value(item, scope)) for item in node.expressions]
            return "(" + " OR ".join(tests) + ")"
        compiled = self._values.compiler.query(query, scope)
        if len(compiled.outputs) != 1:
            raise SqlError(
                116,
                "Only one expression can be specified in the select list when the subquery is not introduced with EXISTS.",
            )
        kind = given(common_type(value.type, compiled.outputs[0].type))
        inner = Typed('"in_list"."v"', compiled.outputs[0].type)
        left, right = _comparable(convert(value, kind)), _comparable(convert(inner, kind))
        return f'({left} IN (SELECT {right} FROM ({compiled.sql}) AS "in_list"("v")))'

    def _predicate_like(self, node: exp.Like, scope, escape: str = "") -> str:
        value, pattern = self._values.value(node.this, scope), self._values.value(node.expression, scope)
        if pattern.constant is None and (written := re.fullmatch(r"'((?:[^']|\'\')*)'", pattern.sql)):
            pattern = replace(pattern, constant=written[1].replace("''", "'"))
        expression = f"like_pattern({_as_text(pattern)})"
        if pattern.constant is not None:
            expression = quote_text(like_expression(str(pattern.constant), escape))
        flags = "s" if value.kind.counts_case else "is"
        # sqlglot keeps the NOT of NOT LIKE with the LIKE.
        return f"({'NOT ' if node.args.get('negate') else ''}regexp_full_match({_as_text(value)}, {expression}, '{flags}'))"

    def _predicate_escape(self, node: exp.Escape, scope) -> str:
        if not isinstance(node.this, exp.Like) or not isinstance(node.expression, (exp.Literal, exp.National)):
            raise not_supported("ESCAPE with anything but a constant")
        return self._predicate_like(node.this, scope, node.expression.name)

    def _predicate_nullsafeeq(self, node, scope) -> str:
        left, right = self._values.unite(
            [self._values.value(node.this, scope), self._values.value(node.expression, scope)]
        )
        return f"({_comparable(left)} IS NOT DISTINCT FROM {_comparable(right)})"

    def _predicate_nullsafeneq(self, node, scope) -> str:
        return f"(NOT {self._predicate_nullsafeeq(node, scope)})"

    def compare(self, left: Typed, operator: type[exp.Expr], right: Typed) -> str:
        """A comparison in the operands' common type, with SQL Server's collation and padding rules."""
        if left.type is None or right.type is None:
            return "CAST(NULL AS BOOLEAN)"
        for item in (left, right):
            if item.kind.base in ("text", "ntext", "image", "xml", "geography", "geometry", "sql_variant"):
                raise SqlError(
                    402,
                    f"The data types {left.type} and {right.type} "
                    f"are incompatible in the {_WORDS.get(operator, 'equal to')} operator.",
                )
        first, second = self._values.unite([left, right])
        ordered = operator not in (exp.EQ, exp.NEQ)
        collation = collation_of(first) or collation_of(second)  # an explicit one counts for both, then a column's own
        collation = collation or (BINARY if left.type.counts_case or right.type.counts_case else "")
        shown = [_comparable(item, ordered, collation) for item in (first, second)]
        return f"({shown[0]} {_COMPARISONS[operator]} {shown[1]})"


def _chain(node: exp.Connector) -> list[exp.Expr]:
    """The operands of `a AND b AND c`, without recursion: long chains are common in generated SQL."""
    parts = []
    while isinstance(node.this, type(node)):
        parts.append(node.expression)
        node = node.this
    return [node.this, node.expression, *reversed(parts)]


def ordered(value: Typed, descending: bool) -> str:
    """ORDER BY item for a value; SQL Server sorts NULLs as the smallest values."""
    text = "NULL" if value.type is None else _comparable(value, True)
    return f"{text} {'DESC NULLS LAST' if descending else 'ASC NULLS FIRST'}"


def _comparable(value: Typed, ordered: bool = False, collation: str = "") -> str:
    """What DuckDB compares for a value of this type."""
    base = value.kind.base
    if base in CHARACTERS:
        if explicit := collation_of(value):  # blanks at the end do not count either
            return f"(rtrim({value.sql[1 : -len(explicit)]}){explicit}"
        text = f"rtrim({value.sql})" if value.constant is None or str(value.constant).endswith(" ") else value.sql
        return f"({text}{collation or (BINARY if value.kind.counts_case else NOCASE)}"
    if base == "datetimeoffset":
        return f"({value.sql}).ticks"
    if base in ("binary", "varbinary") and not ordered:  # zeros at the end do not count
        return f"regexp_replace(hex({value.sql}), '(00)+$', '')"
    if base == "uniqueidentifier" and ordered:
        return f"guid_order({value.sql})"
    if base == "hierarchyid" and ordered:
        raise not_supported("the order of hierarchyid values")
    return value.sql


def _as_text(value: Typed) -> str:
    return (
        convert(value, SqlType("nvarchar", -1)).sql if value.type and value.type.base not in CHARACTERS else value.sql
    )
