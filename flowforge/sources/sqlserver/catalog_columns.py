"""Columns as sys.columns has them, whatever of it this server has.

The statement asks for `c.*`: a release shows the columns of its own catalog (is_masked, is_hidden, encryption_type and
generated_always_type from 2016, graph_type from 2017, is_dropped_ledger_column from 2022), and naming one that is missing would
fail. What is missing says nothing: that server has no such feature.

Guarantees: a type goes by its own name unless a person defined it (a vector is kept as varbinary, and is none); a column that
no read can carry is no error here, but an `UnreadableColumn` with the reason, so that a load can be refused before it begins, or
the column left out.
"""

from typing import Any

from flowforge.domain.errors import UnsupportedSource
from flowforge.sources.sqlserver.description import CatalogColumn, UnreadableColumn
from flowforge.sources.sqlserver.neutral_types import neutral_fields
from flowforge.sources.sqlserver.sql_types import MAX, SIZED, TIMES, parse_sql_type

GRAPH_INTERNAL = (1, 3, 4, 6, 7)  # sys.columns.graph_type of what the engine keeps for itself and no statement may name
ENCRYPTION = {1: "deterministic", 2: "randomized"}


def readable_columns(rows: list[dict[str, Any]]) -> tuple[list[CatalogColumn], list[UnreadableColumn]]:
    """The columns of an object, in order, and those that cannot be read."""
    columns, unreadable = [], []
    for row in rows:
        if row.get("graph_type") in GRAPH_INTERNAL or row.get("is_dropped_ledger_column"):
            continue
        try:
            columns.append(_column(row))
        except UnsupportedSource as error:
            reason = {"problem": str(error), "remedy": error.remedy}
            unreadable.append(UnreadableColumn(name=row["name"], sql_type=_type_name(row), **reason))
    return columns, unreadable


def _column(row: dict[str, Any]) -> CatalogColumn:
    if row.get("encryption_type"):
        kind = ENCRYPTION.get(row["encryption_type"], "with a type of its own")
        raise UnsupportedSource(
            f"it is encrypted by Always Encrypted ({kind}): the server knows its ciphertext only",
            "leave the column out",
        )
    declaration = _declaration(row)
    parsed = parse_sql_type(declaration)
    declared = declaration if declaration.startswith("numeric") else parsed.declaration
    return CatalogColumn(
        name=row["name"],
        sql_type=declared,
        **neutral_fields(declared, row.get("default_definition")),
        nullable=bool(row["is_nullable"]),
        column_id=row["column_id"],
        identity=bool(row["is_identity"]),
        computed=bool(row["is_computed"]),
        collation=row["collation_name"],
        default=row.get("default_definition"),
        masked=bool(row.get("is_masked")),
        hidden=bool(row.get("is_hidden")),
        sparse=bool(row.get("is_sparse")),
        column_set=bool(row.get("is_column_set")),
        generated_always=row.get("generated_always_type") or 0,
        graph_type=row.get("graph_type"),
    )


def _type_name(row: dict[str, Any]) -> str:
    """The type's own name; an alias type goes by the type that it stands for."""
    own = row["type_name"].lower()
    defined = row["is_user_defined"] or own == "sysname"
    if row["is_assembly_type"] and row["is_user_defined"]:
        return f"{own} (a CLR type)"
    return (row["base_name"] or own).lower() if defined else own


def _declaration(row: dict[str, Any]) -> str:
    base, length = _type_name(row), row["max_length"]
    if base in ("decimal", "numeric"):
        return f"{base}({row['precision']},{row['scale']})"
    if base in TIMES:
        return f"{base}({row['scale']})"
    if base in SIZED:
        size = "max" if length == MAX else length // 2 if base.startswith("n") else length
        return f"{base}({size})"
    return "rowversion" if base == "timestamp" else base
