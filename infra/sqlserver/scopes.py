"""Names in a query: which columns a FROM clause offers, and what an identifier in it means."""

from dataclasses import dataclass, field

from .errors import SqlError, invalid_column
from .tables import quote
from .types import SqlType
from .values import Typed


@dataclass(frozen=True)
class Output:
    """A column that a query gives: its name ('' when it has none), type and nullability."""

    name: str
    type: SqlType
    nullable: bool = True
    is_identity: bool = False
    mask: str | None = None  # what stands in place of its values for this session
    is_hidden: bool = False  # left out of *


@dataclass(frozen=True)
class Query:
    """A compiled query: DuckDB text and its columns in order."""

    sql: str
    outputs: tuple[Output, ...]


@dataclass(frozen=True)
class Source:
    """One item of FROM: the name by which columns are qualified, the schema if it is a table, its columns."""

    alias: str
    outputs: tuple[Output, ...]
    schema: str = ""
    sql_alias: str = ""

    def reference(self, output: Output) -> Typed:
        """How a statement's DuckDB text names one of the source's columns."""
        return Typed(f"{quote(self.sql_alias or self.alias)}.{quote(output.name)}", output.type, output.nullable)


@dataclass
class Scope:
    """The sources of one SELECT, the CTEs it sees, and the SELECT around it."""

    parent: "Scope | None" = None
    sources: list[Source] = field(default_factory=list)
    ctes: dict[str, tuple[Output, ...]] = field(default_factory=dict)

    def cte(self, name: str) -> tuple[Output, ...] | None:
        """The common table expression of this name, here or outside; None where there is none."""
        found = self.ctes.get(name.lower())
        return found if found is not None or self.parent is None else self.parent.cte(name)

    def resolve(self, name: str, qualifier: str = "", schema: str = "") -> Typed:
        """The column that this name means. Raises 207, 209 or 4104 as SQL Server would."""
        source, output = self.find(name, qualifier, schema)
        return source.reference(output)

    def find(self, name: str, qualifier: str = "", schema: str = "") -> tuple[Source, Output]:
        """The source and the column of it that this name means."""
        known = not qualifier
        scope: Scope | None = self
        while scope is not None:
            sources = [item for item in scope.sources if _matches(item, qualifier, schema)]
            known = known or bool(sources)
            found = [(item, output) for item in sources for output in item.outputs if _is_named(output.name, name)]
            if len(found) > 1:
                raise SqlError(209, f"Ambiguous column name '{name}'.")
            if found:
                return found[0]
            if qualifier and sources:
                break
            scope = scope.parent
        if not known:
            raise SqlError(4104, f'The multi-part identifier "{qualifier}.{name}" could not be bound.')
        raise invalid_column(name)

    def has_source(self, qualifier: str) -> bool:
        """Whether a table or alias in sight has this name."""
        scope: Scope | None = self
        while scope is not None and not any(_matches(item, qualifier, "") for item in scope.sources):
            scope = scope.parent
        return scope is not None

    def star(self, qualifier: str = "") -> list[tuple[Output, Typed]]:
        """Every column of the sources, or of one of them."""
        sources = [item for item in self.sources if _matches(item, qualifier, "")]
        if not sources:
            raise SqlError(
                107,
                f"The column prefix '{qualifier}' does not match with a table name or alias name used in the query.",
            )
        return [(output, item.reference(output)) for item in sources for output in item.outputs if not output.is_hidden]


def _is_named(column: str, name: str) -> bool:
    """Whether a column goes by that name; the pseudo columns of a graph table ($node_id) are written without their suffix."""
    return column.lower() == name.lower() or (name.startswith("$") and column.lower().startswith(f"{name.lower()}_"))


def _matches(source: Source, qualifier: str, schema: str) -> bool:
    if not qualifier:
        return True
    return source.alias.lower() == qualifier.lower() and (
        not schema or not source.schema or source.schema.lower() == schema.lower()
    )
