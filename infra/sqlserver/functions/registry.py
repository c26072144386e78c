"""The register of T-SQL functions: each takes its arguments' nodes and gives a typed DuckDB expression.

A function is registered under its T-SQL name. What is not registered does not exist (error 195).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from ..conversion import convert
from ..errors import SqlError
from ..types import CHARACTERS, SqlType
from ..values import Typed

if TYPE_CHECKING:
    from ..compiling import Values
    from ..scopes import Scope
    from ..session import Session

REGISTRY: dict[str, tuple[Callable, tuple[int, int]]] = {}


class Call:
    """One call while it is compiled: its argument nodes, and the values on demand."""

    def __init__(self, name: str, nodes: list[exp.Expr], expressions: Values, scope: Scope, order: str):
        self.name, self.nodes, self.expressions, self.scope, self.order = name, nodes, expressions, scope, order

    @property
    def session(self):
        """The session whose statement calls; the statement's text is not used again."""
        return self.expressions.compiler.session

    @property
    def profile(self):
        """The kind of server."""
        return self.expressions.compiler.profile

    def fact(self, question: Callable[[Session], Any]) -> Any:
        """What a session answers, asked again before the statement's text is used again."""
        return self.expressions.compiler.fact(question)

    @property
    def utc_ticks(self) -> int:
        """The statement's one reading of the clock, in UTC: ticks of 100 ns since 0001-01-01."""
        return self.expressions.compiler.now_ticks

    @property
    def offset_minutes(self) -> int:
        """The server's zone, as minutes that its local time is ahead of UTC."""
        return self.session.server.clock.offset_minutes

    @property
    def local_ticks(self) -> int:
        """The same in the server's zone."""
        return self.utc_ticks + self.offset_minutes * 600_000_000

    def value(self, index: int) -> Typed:
        """An argument as a typed value."""
        return self.expressions.value(self.nodes[index], self.scope)

    def values(self) -> list[Typed]:
        """All arguments as typed values."""
        return [self.value(i) for i in range(len(self.nodes))]

    def converted(self, index: int, kind: SqlType) -> str:
        """An argument's DuckDB text, converted to a type."""
        return convert(self.value(index), kind).sql

    def text(self, index: int) -> Typed:
        """The argument as text; numbers are converted."""
        value = self.value(index)
        return (
            value
            if value.type is not None and value.type.base in CHARACTERS
            else convert(value, SqlType("nvarchar", -1))
        )

    def word(self, index: int) -> str:
        """An argument that is a bare keyword, such as the part of DATEADD."""
        node = self.nodes[index]
        if not isinstance(node, (exp.Column, exp.Var, exp.Identifier)):
            raise SqlError(1023, f"Invalid parameter {index + 1} specified for {self.name.lower()}.")
        return node.name.lower()

    def constant(self, index: int) -> str | None:
        """The text of an argument that is known now; None when it is not."""
        if index >= len(self.nodes):
            return None
        value = self.value(index)
        return None if value.constant is None else str(value.constant)


def function(*names: str, arguments: tuple[int, int] = (0, 0)):
    """Registers a function under its names with the least and greatest count of arguments."""

    def register(build):
        for name in names:
            REGISTRY[name] = (build, arguments)
        return build

    return register


def call(name: str, nodes: list[exp.Expr], expressions: Values, scope: Scope, order: str = "") -> Typed:
    """Compiles a call. Raises 195 for an unknown function, 174 for a wrong count of arguments."""
    expressions.compiler.profile.check_function(name)
    found = REGISTRY.get(name.upper())
    if found is None:
        raise SqlError(195, f"'{name}' is not a recognized built-in function name.")
    build, (least, most) = found
    if not least <= len(nodes) <= most:
        raise SqlError(
            174, f"The {name} function requires {least if least == most else f'{least} to {most}'} argument(s)."
        )
    return build(Call(name.upper(), nodes, expressions, scope, order))
