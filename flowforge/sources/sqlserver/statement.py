"""A statement of T-SQL with its parameters, and how names and values are written in one.

A statement keeps its text in parts between parameters, so that each driver can be given its own form: markers for
mssql-python, quoted literals for pymssql, whose own substitution trips over a percent sign in a name.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol


class Statement(NamedTuple):
    """SQL text cut at its parameters: there is one part more than parameters."""

    parts: tuple[str, ...]
    parameters: tuple[str | int, ...] = ()

    @property
    def text(self) -> str:
        """The text with a `?` for each parameter."""
        return "?".join(self.parts)

    def inlined(self) -> str:
        """The text with each parameter as a quoted T-SQL literal."""
        values = [quote_literal(value) for value in self.parameters]
        return "".join(piece for pair in zip(self.parts, [*values, ""], strict=True) for piece in pair)

    def __add__(self, other: "Statement | str") -> "Statement":
        """This statement followed by another."""
        parts, parameters = (other.parts, other.parameters) if isinstance(other, Statement) else ((other,), ())
        joined = (*self.parts[:-1], self.parts[-1] + parts[0], *parts[1:])
        return Statement(joined, (*self.parameters, *parameters))


class Relation(Protocol):
    """A table or view as the catalog names it."""

    @property
    def schema_name(self) -> str:
        """The schema, as the catalog spells it."""
        ...

    @property
    def name(self) -> str:
        """The name in that schema."""
        ...


def quote_identifier(name: str) -> str:
    """`[name]` with ] doubled. Raises ValueError for what can never be an identifier: empty, a NUL, above 128
    characters."""
    if not name or "\x00" in name or len(name) > 128:
        raise ValueError(f"{name[:40]!r} cannot be an identifier: expected 1 to 128 characters without NUL")
    return "[" + name.replace("]", "]]") + "]"


def quote_literal(value: str | int | None) -> str:
    """A value as a T-SQL literal: text as N'…' with ' doubled, NULL for None.

    A backslash before a line break would join the lines, so such a text is cut there.
    """
    if value is None:
        return "NULL"
    if isinstance(value, int):
        return str(int(value))
    text = value.replace("'", "''")
    joined = text.replace("\\\r", "\\' + N'\r").replace("\\\n", "\\' + N'\n")
    return f"N'{text}'" if joined == text else f"(N'{joined}')"


def parametrised(text: str, parameters: Sequence[Any] = ()) -> Statement:
    """A statement from text with `%s` for each parameter. Raises ValueError when their numbers differ."""
    if not parameters:
        return Statement((text,))
    parts = tuple(text.split("%s"))
    if len(parts) != len(parameters) + 1:
        raise ValueError(f"{len(parts) - 1} markers for {len(parameters)} parameters")
    return Statement(parts, tuple(parameters))


def qualified(relation: Relation) -> str:
    """`[schema].[name]`."""
    return f"{quote_identifier(relation.schema_name)}.{quote_identifier(relation.name)}"


# READPAST alone is refused where READ_COMMITTED_SNAPSHOT is on and the session reads at READ COMMITTED, as ours do.
PASSING_LOCKED = " WITH (READPAST, READCOMMITTEDLOCK)"


def passing_locked(relation: Relation) -> str:
    """The hint that passes over rows which somebody is changing; none for memory-optimized and external tables, which have no
    locks and refuse it."""
    facts = getattr(relation, "facts", {})
    return "" if facts.get("is_memory_optimized") or facts.get("is_external") else PASSING_LOCKED
