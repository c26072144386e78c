"""What DuckDB itself reads in a user's SQL: the second wall, over the syntax tree of the parser that will run the text.

Guarantees: nothing of the text is run. Whatever sqlglot took a text for, DuckDB runs it only where its own tree reads the
tables that were found, calls no function that reaches out, and, for a rule, gives one value for each row.
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any

import duckdb

from flowforge.domain.given import given
from flowforge.sql_policy.functions import OF_A_ROW as FUNCTIONS_OF_A_ROW
from flowforge.sql_policy.functions import OF_ONE_ROW, ROWS_REMEDY, check_of_a_row, check_reach
from flowforge.sql_policy.parsing import NotAllowed

HARMLESS_FUNCTIONS = ("generate_series", "range", "unnest")
OF_A_ROW = (
    "COLUMN_REF", "CONSTANT", "COMPARISON", "CONJUNCTION", "OPERATOR", "CAST", "CASE", "BETWEEN", "FUNCTION", "LAMBDA", "COLLATE",
)  # fmt: skip
SOURCES = ("JOIN", "SUBQUERY", "EMPTY", "EXPRESSION_LIST", "PIVOT", "BASE_TABLE", "TABLE_FUNCTION")


def check_query(connection: duckdb.DuckDBPyConnection, sql: str, tables: Iterable[tuple[str, str]]) -> None:
    """Raises NotAllowed unless DuckDB reads one query over these tables (layer, name) and its own common table expressions."""
    known = {(layer.lower(), name.lower()) for layer, name in tables}
    nodes = list(_nodes(_tree(connection, sql)))
    common = {entry["key"].lower() for node in nodes for entry in (node.get("cte_map") or {}).get("map", [])}
    for node in nodes:
        if node.get("class"):
            _check_function(node)
        elif "alias" in node and "sample" in node:
            _check_source(node, known, common)


def check_condition(connection: duckdb.DuckDBPyConnection, text: str) -> None:
    """Raises NotAllowed unless DuckDB reads one expression that gives one value for each row."""
    tree = _tree(connection, f"SELECT {text}")
    select = tree["node"]
    if (
        select.get("type") != "SELECT_NODE"
        or len(select["select_list"]) != 1
        or select["from_table"]["type"] != "EMPTY"
    ):
        raise NotAllowed("expected one condition over the row's columns")
    expressions = [node for node in _nodes(select["select_list"][0]) if node.get("class")]
    for node in expressions:
        if node["class"] not in OF_A_ROW or node["type"] == "GROUPING_FUNCTION":
            raise NotAllowed(f"{node['type'].lower()} is not allowed: {OF_ONE_ROW}", None, ROWS_REMEDY)
        _check_function(node)
    for name in sorted({node["function_name"] for node in expressions if node["class"] == "FUNCTION"}):
        check_of_a_row(name)
        if name.lower() not in FUNCTIONS_OF_A_ROW:  # an operator, or a function of another version
            _check_kind(connection, name)


def _check_kind(connection: duckdb.DuckDBPyConnection, name: str) -> None:
    found = connection.execute(
        "SELECT DISTINCT function_type FROM duckdb_functions() WHERE function_name = lower(?)", [name]
    ).fetchall()
    kinds = {kind for (kind,) in found}
    if kinds and not kinds & {"scalar", "macro"}:
        raise NotAllowed(f"{name} is not allowed: {OF_ONE_ROW}", None, ROWS_REMEDY)


def _tree(connection: duckdb.DuckDBPyConnection, sql: str) -> dict[str, Any]:
    (text,) = given(connection.execute("SELECT json_serialize_sql(?)", [sql]).fetchone())
    try:
        read = json.loads(text)
    except RecursionError:
        raise NotAllowed("it is nested too deep to be read: split it") from None
    if read["error"]:
        raise NotAllowed(f"it cannot be read as SQL: {read['error_message']}")
    if len(read["statements"]) != 1:
        raise NotAllowed(f"expected one query, found {len(read['statements'])} statements")
    return read["statements"][0]


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            yield node
            waiting += node.values()
        elif isinstance(node, list):
            waiting += node


def _check_function(node: dict[str, Any]) -> None:
    check_reach(node.get("function_name", ""))


def _check_source(node: dict[str, Any], known: set[tuple[str, str]], common: set[str]) -> None:
    kind = node["type"]
    if kind not in SOURCES:
        raise NotAllowed(f"{kind.lower()} is not allowed: a query reads tables only")
    if kind == "TABLE_FUNCTION" and node["function"].get("function_name", "").lower() not in HARMLESS_FUNCTIONS:
        name = node["function"].get("function_name", "?")
        raise NotAllowed(f"the table function {name.lower()} is not allowed: a query reads tables only")
    if kind != "BASE_TABLE":
        return
    written = [part for part in (node["catalog_name"], node["schema_name"], node["table_name"]) if part]
    is_common = len(written) == 1 and written[0].lower() in common
    if not is_common and tuple(part.lower() for part in written) not in known:
        raise NotAllowed(
            f"the table {'.'.join(written)!r} is read by DuckDB, and was not found before: write it plainly"
        )
