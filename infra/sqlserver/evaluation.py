"""Expressions outside queries: the value of one, and variables that take one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowforge.domain.given import given

from .conversion import convert
from .dialect import parse_expression
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
