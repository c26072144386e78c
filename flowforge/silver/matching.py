# ruff: noqa: S608 - SQL text of quoted names and counted values; no cell or request text is pasted in
"""SQL by which keys are compared: as the source compares them, in columns beside those that it has.

Guarantees: pure text. A key column whose equal values may look different has a column of `RefinePlan.matches` beside it with
their common form; a key of other columns is compared as it is, as if there were none of this. NULL equals NULL in
those key columns in which it is a value.
"""

from collections.abc import Iterable, Mapping

from flowforge.engines.duckdb.sql import identifier
from flowforge.silver.plan import RefinePlan


def form(plan: RefinePlan, name: str, alias: str | None = None) -> str:
    """The expression of a column as it is compared."""
    column = identifier(name, alias)
    return plan.folds[name].sql(column) if name in plan.folds else column


def forms(plan: RefinePlan, types: Mapping[str, str]) -> dict[str, str]:
    """The columns of `RefinePlan.matches` that rows in columns of `types` (name -> DuckDB type) lack: name -> expression."""
    wanted = {match: name for name, match in plan.matches.items() if match != name}
    return {
        match: plan.folds[name].sql(identifier(name)) if types[name] == plan.folds[name].kind else identifier(name)
        for match, name in wanted.items()
        if name in types
    }


def with_forms(plan: RefinePlan, rows: str, types: Mapping[str, str]) -> str:
    """The query `rows` with those columns."""
    found = [f"{expression} AS {identifier(match)}" for match, expression in forms(plan, types).items()]
    return f"SELECT *, {', '.join(found)} FROM ({rows})" if found else rows


def keys_of(plan: RefinePlan, alias: str | None = None) -> str:
    """The columns that rows with forms are told apart by, separated by commas."""
    return ", ".join(identifier(match, alias) for match in plan.matches.values())


def same_key(plan: RefinePlan, one: str = "s", other: str = "t") -> str:
    """The condition for two rows of one key."""
    return " AND ".join(
        f"{identifier(match, one)} {'IS NOT DISTINCT FROM' if name in plan.nullable else '='} {identifier(match, other)}"
        for name, match in plan.matches.items()
    )


def missing_key(plan: RefinePlan) -> str:
    """The condition for a row without a key."""
    needed = [name for name in plan.key if name not in plan.nullable and name not in plan.digits]
    return any_null(needed) if needed else "false"


def any_null(columns: Iterable[str]) -> str:
    """The condition for a row that has NULL in one of these columns."""
    return " OR ".join(f"{identifier(name)} IS NULL" for name in columns)
