"""Makes `sql_policy/function_names.py`: what the catalog of the pinned DuckDB says of its functions, for where no DuckDB is.

python -m flowforge.engines.duckdb.function_catalog            writes it
python -m flowforge.engines.duckdb.function_catalog --check    exits 1 where it is not up to date

A macro is what its definition calls: one over an aggregate is an aggregate, one over unnest gives several rows, one with a
subquery reads what a query does not name.
"""

import json
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb

from flowforge.domain.given import given
from flowforge.engines.duckdb.folding import key_of_macro

TARGET = Path(__file__).resolve().parents[2] / "sql_policy" / "function_names.py"
HEAD = f'''"""The functions of DuckDB {duckdb.__version__} by what they give, in lower case.

Made by `python -m flowforge.engines.duckdb.function_catalog`.

AGGREGATES: one value of many rows. SEVERAL_ROWS: several rows of one. TABLES: in FROM only. READING: macros that read the
engine's own tables. OF_A_ROW: one value for each row; FlowForge's own macros are among them.
"""

# fmt: off
'''
_EVERY = "SELECT lower(function_name), function_type, macro_definition FROM duckdb_functions()"


def names_by_kind(connection: duckdb.DuckDBPyConnection) -> dict[str, set[str]]:
    """The connection's functions that have a name, as the sets of `function_names`."""
    rows = connection.execute(_EVERY).fetchall()
    types: dict[str, set[str]] = {}
    for name, kind, _ in rows:
        types.setdefault(name, set()).add(kind)
    aggregates = {name for name, found in types.items() if "aggregate" in found}
    several, reading = {"unnest"}, set()
    bodies = [(name, _body(connection, text)) for name, kind, text in rows if kind == "macro"]
    for _ in range(len(bodies)):  # a macro may call another one
        before = len(aggregates) + len(several) + len(reading)
        for name, (called, reads) in bodies:
            aggregates |= {name} if called & aggregates else set()
            several |= {name} if called & several else set()
            reading |= {name} if reads or called & reading else set()
        if before == len(aggregates) + len(several) + len(reading):
            break
    named = {
        name for name in types if name.isidentifier() and not name.startswith("__")
    }  # others are operators and internal
    plain = {name for name in named if types[name] & {"scalar", "macro"}}
    special = aggregates | several | reading
    tables = {name for name in named if types[name] & {"table", "table_macro"}} - plain - special
    sets = {
        "AGGREGATES": aggregates,
        "SEVERAL_ROWS": several,
        "TABLES": tables,
        "READING": reading - aggregates - several,
    }
    return sets | {"OF_A_ROW": plain - special}


def text(kinds: dict[str, set[str]]) -> str:
    """The module's text."""
    parts = []
    for kind, names in kinds.items():
        lines = textwrap.wrap(", ".join(f'"{name}"' for name in sorted(names)), 116, break_on_hyphens=False)
        parts.append(f"{kind} = frozenset({{\n" + "".join(f"    {line}\n" for line in lines) + "})\n")
    return HEAD + "\n".join(parts)


def _body(connection: duckdb.DuckDBPyConnection, definition: str) -> tuple[set[str], bool]:
    """The functions that a macro calls, and whether it reads a table."""
    (tree,) = given(connection.execute("SELECT json_serialize_sql(?)", [f"SELECT {definition}"]).fetchone())
    nodes = list(_nodes(json.loads(tree)))
    called = {node["function_name"].lower() for node in nodes if node.get("function_name")}
    return called, any(node.get("type") in ("BASE_TABLE", "TABLE_FUNCTION") for node in nodes)


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    if isinstance(tree, dict):
        yield tree
    for inner in tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ():
        yield from _nodes(inner)


def main(arguments: list[str]) -> int:
    """Writes or checks the module."""
    with duckdb.connect() as connection:
        connection.execute(key_of_macro())
        made = text(names_by_kind(connection))
    if "--check" in arguments:
        if TARGET.exists() and TARGET.read_text() == made:
            return 0
        sys.stderr.write(f"not up to date: {TARGET.name} (run python -m flowforge.engines.duckdb.function_catalog)\n")
        return 1
    TARGET.write_text(made)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
