"""Expressions outside queries: the value of one, and variables that take one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sqlglot import exp

from flowforge.domain.given import given

from .conversion import convert
from .dialect import parse_expression, parse_one
from .errors import syntax_error
from .queries import Compiler
from .scopes import Scope
from .types import SqlType
from .values import Typed
from .variables import wire_value

if TYPE_CHECKING:
    from .session import Session


def evaluate(session: Session, text: str, kind: SqlType) -> object:
    """The value of an expression, converted to `kind`."""
    compiler = Compiler(session)
    return _computed(compiler, compiler.expressions.value(parse_expression(text), Scope()), kind)


def arguments(session: Session, texts: Sequence[str], kinds: Sequence[SqlType]) -> list[object]:
    """The values of a procedure's arguments, each as its kind. Raises 102 for what is neither a constant nor a variable."""
    compiler = Compiler(session)
    nodes = [node for tree in [parse_one(f"SELECT {', '.join(texts)}")] for node in tree.args["expressions"]]
    for node in nodes:
        inner = node.this if isinstance(node, exp.Neg) else node
        if not isinstance(inner, (exp.Literal, exp.National, exp.HexString, exp.Null, exp.Parameter)):
            raise syntax_error(node.sql("tsql")[:30])
    values = [compiler.expressions.value(node, Scope()) for node in nodes]
    sql = "SELECT " + ", ".join(convert(value, kind).sql for value, kind in zip(values, kinds, strict=True))
    found = given(compiler.session.cursor.execute(sql, compiler.used_binds(sql)).fetchone())
    return [wire_value(kind, value) for kind, value in zip(kinds, found, strict=True)]


def assign_text(session: Session, name: str, text: str) -> None:
    """Sets a variable to the value of an expression."""
    compiler = Compiler(session)
    assign(compiler, name, compiler.expressions.value(parse_expression(text), Scope()))


def assign(compiler: Compiler, name: str, value: Typed) -> None:
    """Sets a variable of the compiler's session, as its type."""
    kind = compiler.session.variables[name][0]
    compiler.session.variables[name] = (kind, _computed(compiler, value, kind))


def _computed(compiler: Compiler, value: Typed, kind: SqlType) -> object:
    sql = f"SELECT {convert(value, kind).sql}"
    (found,) = given(compiler.session.cursor.execute(sql, compiler.used_binds(sql)).fetchone())
    return wire_value(kind, found)
