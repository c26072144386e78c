"""T-SQL expressions to DuckDB, with types: every value knows its SQL Server type, every predicate is a DuckDB boolean.

T-SQL keeps values and predicates apart, so two methods do: `value` and `predicate`. Both dispatch on the sqlglot node's
class; a node without a method is refused.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from sqlglot import exp

from flowforge.domain.given import given

from . import functions
from .arithmetic import concatenated, decimal_operation, is_binary, is_text, result_type
from .conversion import cast, convert
from .dialect import sql_type_of
from .errors import SqlError, not_supported
from .patterns import like_expression
from .types import CHARACTERS, INTEGERS, SqlType
from .values import BINARY, INT, NOCASE, Typed, collation_of, common_type, decimal_of, quote_text

if TYPE_CHECKING:
    from .compiling import Compiling
    from .scopes import Scope

_COMPARISONS = {exp.EQ: "=", exp.NEQ: "<>", exp.GT: ">", exp.GTE: ">=", exp.LT: "<", exp.LTE: "<="}
_ARITHMETIC = {exp.Add: "+", exp.Sub: "-", exp.Mul: "*", exp.Div: "/", exp.Mod: "%"}
_BITWISE = {exp.BitwiseAnd: "&", exp.BitwiseOr: "|", exp.BitwiseXor: "^"}
_WORDS = {exp.EQ: "equal to", exp.NEQ: "not equal to", exp.GT: "greater than", exp.LT: "less than"}


def text_constant(text: str, national: bool) -> Typed:
    kind = SqlType(
        "nvarchar" if national else "varchar", max(1, len(text)) if len(text) <= (4000 if national else 8000) else -1
    )
    if not national:
        text = text.encode("cp1252", "replace").decode("cp1252")
    return Typed(quote_text(text), kind, False, text)


def number_constant(text: str) -> Typed:
    if "e" in text.lower():
        return Typed(f"CAST({text} AS DOUBLE)", SqlType("float"), False)
    if "." not in text:
        if int(text) <= 2**31 - 1:
            return Typed(text, INT, False)
        kind = SqlType("decimal", 0, len(text.lstrip("0")), 0)
        return Typed(f"CAST({text} AS {kind.duckdb})", kind, False)
    whole, _, fraction = text.partition(".")
    kind = decimal_of(max(1 if not fraction else 0, len(whole.lstrip("0"))), len(fraction))
    return Typed(f"CAST('{text}' AS {kind.duckdb})", kind, False)


class Expressions:
    """Compiles the expressions of one statement; `compiler` serves subqueries, parameters and the session's facts."""

    def __init__(self, compiler: Compiling):
        self.compiler = compiler

    # --- values

    def value(self, node: exp.Expr, scope: Scope) -> Typed:
        method = getattr(self, f"_value_{type(node).__name__.lower()}", None)
        if method is None:
            for classes, build in ((_ARITHMETIC, self._arithmetic), (_BITWISE, self._bitwise)):
                if type(node) in classes and isinstance(node, exp.Binary):
                    return build(node, classes[type(node)], scope)
            raise not_supported(f"this expression: {node.sql('tsql')[:120]}")
        return method(node, scope)

    def _value_paren(self, node: exp.Paren, scope: Scope) -> Typed:
        inner = self.value(node.this, scope)
        return Typed(f"({inner.sql})", inner.type, inner.nullable, inner.constant)

    def _value_null(self, node: exp.Null, scope: Scope) -> Typed:
        return Typed("NULL", None)

    def _value_literal(self, node: exp.Literal, scope: Scope) -> Typed:
        return text_constant(node.this, False) if node.is_string else number_constant(node.this)

    def _value_national(self, node: exp.National, scope: Scope) -> Typed:
        return text_constant(node.name, True)

    def _value_hexstring(self, node: exp.HexString, scope: Scope) -> Typed:
        digits = node.name if len(node.name) % 2 == 0 else "0" + node.name
        return Typed(f"unhex('{digits}')", SqlType("varbinary", max(1, len(digits) // 2)), False)

    def _value_column(self, node: exp.Column, scope: Scope) -> Typed:
        if node.name.upper() == "CURRENT_TIMESTAMP" and not node.this.quoted and not node.table:
            return functions.call("GETDATE", [], self, scope)
        if node.name == "0x" and not node.table:
            return Typed("''::BLOB", SqlType("varbinary", 1), False)
        if node.name.lower() == "stsrid" and node.table and not node.text("db") and not scope.has_source(node.table):
            return functions.method(exp.Dot(this=exp.column(node.table), expression=exp.column(node.name)), self, scope)
        return scope.resolve(node.name, node.table, node.text("db"))

    def _value_parameter(self, node: exp.Parameter, scope: Scope) -> Typed:
        inner = node.this
        if isinstance(inner, exp.Parameter):
            return self.compiler.server_variable(inner.name.lower())
        return self.compiler.parameter(node.name)

    def _value_cast(self, node: exp.Cast, scope: Scope) -> Typed:
        return self._cast(node, scope, False)

    def _value_trycast(self, node: exp.TryCast, scope: Scope) -> Typed:
        return self._cast(node, scope, True)

    def _cast(self, node: exp.Expr, scope: Scope, attempt: bool) -> Typed:
        return cast(self.value(node.this, scope), sql_type_of(node.args["to"]), attempt=attempt)

    def _value_convert(self, node: exp.Convert, scope: Scope) -> Typed:
        style = node.args.get("style")
        if style is not None and not (isinstance(style, exp.Literal) and not style.is_string):
            raise not_supported("CONVERT with a style that is not a number")
        number = int(style.name) if style is not None else None
        value, target = self.value(node.expression, scope), sql_type_of(node.this)
        number = self.compiler.session.server.profile.style(value.type, target, number)
        return cast(value, target, number, attempt=bool(node.args.get("safe")))

    def _value_case(self, node: exp.Case, scope: Scope) -> Typed:
        branches = [self.value(branch.args["true"], scope) for branch in node.args["ifs"]]
        default = node.args.get("default")
        last = self.value(default, scope) if default is not None else Typed("NULL", None)
        conditions = []
        for branch in node.args["ifs"]:
            if node.this is None:
                conditions.append(self.predicate(branch.this, scope))
            else:
                conditions.append(self.compare(self.value(node.this, scope), exp.EQ, self.value(branch.this, scope)))
        return self.choose(conditions, branches, last)

    def choose(self, conditions: list[str], branches: list[Typed], last: Typed) -> Typed:
        """CASE with DuckDB conditions and typed results."""
        united = self.unite([*branches, last])
        parts = " ".join(f"WHEN {test} THEN {value.sql}" for test, value in zip(conditions, united, strict=False))
        nullable = any(item.nullable for item in united)
        return Typed(f"CASE {parts} ELSE {united[-1].sql} END", united[0].type, nullable)

    def unite(self, values: list[Typed]) -> list[Typed]:
        """The values converted to the type they have in common."""
        kind = None
        for item in values:
            kind = common_type(kind, item.type)
        if kind is None:
            kind = INT
        return [convert(item, kind) for item in values]

    def _value_neg(self, node: exp.Neg, scope: Scope) -> Typed:
        inner = self.value(node.this, scope)
        if isinstance(node.this, exp.Literal) and node.this.name == "2147483648":
            return Typed("-2147483648", INT, False)
        if inner.type is None or not inner.type.is_numeric or inner.type.base == "bit":
            raise SqlError(8117, f"Operand data type {inner.type} is invalid for minus operator.")
        if inner.type.base == "tinyint":
            inner = convert(inner, SqlType("smallint"))
        return Typed(f"(-{inner.sql})", inner.type, inner.nullable)

    def _value_bitwisenot(self, node: exp.BitwiseNot, scope: Scope) -> Typed:
        inner = self.value(node.this, scope)
        if inner.type == SqlType("bit"):
            return Typed(f"(NOT {inner.sql})", inner.type, inner.nullable)
        return Typed(f"(~{inner.sql})", inner.type, inner.nullable)

    def _value_subquery(self, node: exp.Subquery, scope: Scope) -> Typed:
        query = self.compiler.query(node.this, scope)
        if len(query.outputs) != 1:
            raise SqlError(
                116,
                "Only one expression can be specified in the select list when the subquery is not introduced with EXISTS.",
            )
        return Typed(f"({query.sql})", query.outputs[0].type, True)

    def _value_collate(self, node: exp.Collate, scope: Scope) -> Typed:
        inner = self.value(node.this, scope)
        binary = "BIN" in node.expression.name.upper() or "_CS" in node.expression.name.upper()
        kind = replace(inner.type, collation=node.expression.name) if inner.type else None
        return Typed(f"({inner.sql}{BINARY if binary else NOCASE}", kind, inner.nullable)

    def _value_anonymous(self, node: exp.Anonymous, scope: Scope) -> Typed:
        return functions.call(node.name, node.expressions, self, scope)

    def _value_window(self, node: exp.Window, scope: Scope) -> Typed:
        return functions.window(node, self, scope)

    def _value_withingroup(self, node: exp.WithinGroup, scope: Scope) -> Typed:
        order = ", ".join(
            self.order_item(item.this, bool(item.args.get("desc")), scope) for item in node.expression.expressions
        )
        return functions.call(node.this.name, node.this.expressions, self, scope, order=order)

    def _value_dot(self, node: exp.Dot, scope: Scope) -> Typed:
        return functions.method(node, self, scope)

    def _value_scoperesolution(self, node: exp.ScopeResolution, scope: Scope) -> Typed:
        return functions.static_method(node, self, scope)

    # --- arithmetic

    def _arithmetic(self, node: exp.Binary, operator: str, scope: Scope) -> Typed:
        left, right = self.value(node.this, scope), self.value(node.expression, scope)
        if operator == "+" and is_text(left) and is_text(right):
            return concatenated(left, right)
        if operator == "+" and is_binary(left) and is_binary(right):
            return Typed(f"({left.sql} || {right.sql})", SqlType("varbinary", -1), left.nullable or right.nullable)
        if operator in "+-" and any(
            item.type and item.type.base in ("datetime", "smalldatetime") for item in (left, right)
        ):
            return self._datetime_plus_days(left, operator, right)
        kind = result_type(left, operator, right)
        nullable = left.nullable or right.nullable
        if kind.base == "decimal":
            return Typed(decimal_operation(left, operator, right, kind), kind, nullable)
        first, second = convert(left, kind).sql, convert(right, kind).sql
        if kind.base in ("money", "smallmoney") and operator in "*/":
            exact = SqlType("decimal", 0, 19, 4)
            text = decimal_operation(Typed(first, exact), operator, Typed(second, exact), SqlType("decimal", 0, 38, 8))
            return Typed(f"CAST({text} AS {kind.duckdb})", kind, nullable)
        if operator == "/":
            text = f"{'divided' if kind.base in ('real', 'float') else 'int_divided'}({first}, {second})"
        elif operator == "%":
            text = f"remainder({first}, {second})"
        else:
            text = f"({first} {operator} {second})"
        return Typed(f"CAST({text} AS {kind.duckdb})", kind, nullable)

    def _datetime_plus_days(self, left: Typed, operator: str, right: Typed) -> Typed:
        if left.kind.base not in ("datetime", "smalldatetime") or right.type is None or right.type.base not in INTEGERS:
            raise not_supported(
                "arithmetic on dates other than datetime plus or minus whole days; use DATEADD or DATEDIFF"
            )
        return Typed(
            f"({left.sql} {operator} to_days(CAST({right.sql} AS INTEGER)))", left.type, left.nullable or right.nullable
        )

    def _bitwise(self, node: exp.Binary, operator: str, scope: Scope) -> Typed:
        left, right = self.value(node.this, scope), self.value(node.expression, scope)
        kind = common_type(left.type, right.type)
        if kind is None or kind.base not in INTEGERS:
            raise SqlError(
                402, f"The data types {left.type} and {right.type} are incompatible in the '{operator}' operator."
            )
        first, second = convert(left, kind).sql, convert(right, kind).sql
        text = f"xor({first}, {second})" if operator == "^" else f"({first} {operator} {second})"
        return Typed(text, kind, left.nullable or right.nullable)

    # --- predicates

    def predicate(self, node: exp.Expr, scope: Scope) -> str:
        if type(node) in _COMPARISONS:
            return self.compare(self.value(node.this, scope), type(node), self.value(node.expression, scope))
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
        return f"({self.value(node.this, scope).sql} IS NULL)"

    def _predicate_exists(self, node, scope) -> str:
        return f"EXISTS ({self.compiler.query(node.this, scope).sql})"

    def _predicate_between(self, node, scope) -> str:
        value = self.value(node.this, scope)
        low = self.compare(value, exp.GTE, self.value(node.args["low"], scope))
        return f"({low} AND {self.compare(value, exp.LTE, self.value(node.args['high'], scope))})"

    def _predicate_in(self, node: exp.In, scope) -> str:
        value, query = self.value(node.this, scope), node.args.get("query")
        if query is None:
            tests = [self.compare(value, exp.EQ, self.value(item, scope)) for item in node.expressions]
            return "(" + " OR ".join(tests) + ")"
        compiled = self.compiler.query(query, scope)
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
        value, pattern = self.value(node.this, scope), self.value(node.expression, scope)
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
        left, right = self.unite([self.value(node.this, scope), self.value(node.expression, scope)])
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
        first, second = self.unite([left, right])
        ordered = operator not in (exp.EQ, exp.NEQ)
        collation = collation_of(first) or collation_of(second)  # an explicit one counts for both, then a column's own
        collation = collation or (BINARY if left.type.counts_case or right.type.counts_case else "")
        shown = [_comparable(item, ordered, collation) for item in (first, second)]
        return f"({shown[0]} {_COMPARISONS[operator]} {shown[1]})"

    def order_item(self, node: exp.Expr, descending: bool, scope: Scope) -> str:
        """One item of ORDER BY inside a window or an aggregate; NULLs are the smallest values."""
        value = self.value(node, scope)
        return ordered(value, descending)


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
        if collation_of(value):
            return value.sql
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
