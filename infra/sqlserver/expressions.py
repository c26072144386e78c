"""T-SQL's values to DuckDB, with types: every value knows its SQL Server type.

T-SQL keeps values and predicates apart, so two methods do: `value` here, and `predicate`, which `predicates.py` compiles. Both
dispatch on the sqlglot node's class; a node without a method is refused.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sqlglot import exp

from . import functions
from .arithmetic import concatenated, decimal_operation, is_binary, is_text, result_type
from .conversion import cast, convert
from .dialect import sql_type_of
from .errors import SqlError, not_supported
from .predicates import Predicates, ordered
from .typed_constants import number_constant, text_constant
from .types import INTEGERS, SqlType
from .values import BINARY, INT, NOCASE, Typed, common_type

if TYPE_CHECKING:
    from .compiling import Compiling
    from .scopes import Scope

_ARITHMETIC = {exp.Add: "+", exp.Sub: "-", exp.Mul: "*", exp.Div: "/", exp.Mod: "%"}
_BITWISE = {exp.BitwiseAnd: "&", exp.BitwiseOr: "|", exp.BitwiseXor: "^"}


class Expressions:
    """Compiles the expressions of one statement; `compiler` serves subqueries, parameters and the session's facts."""

    def __init__(self, compiler: Compiling):
        self.compiler = compiler
        self._predicates = Predicates(self)

    # --- values

    def value(self, node: exp.Expr, scope: Scope) -> Typed:
        """The typed DuckDB expression of a value. Raises SqlError for what the stand-in does not know."""
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
        number = self.compiler.profile.style(value.type, target, number)
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
        """The DuckDB condition of a predicate; see `predicates.Predicates`."""
        return self._predicates.predicate(node, scope)

    def compare(self, left: Typed, operator: type[exp.Expr], right: Typed) -> str:
        """A comparison; see `predicates.Predicates`."""
        return self._predicates.compare(left, operator, right)

    def order_item(self, node: exp.Expr, descending: bool, scope: Scope) -> str:
        """One item of ORDER BY inside a window or an aggregate; NULLs are the smallest values."""
        return ordered(self.value(node, scope), descending)
