"""Functions that stand in FROM: the description of a query's result, generated series, split strings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from .captured_changes import ALL, NET, captured_changes
from .change_table import changes
from .conversion import convert
from .errors import SqlError, invalid_object, translate_error
from .scopes import Output, Query
from .types import SqlType, parse_type
from .values import BIGINT, quote_text

if TYPE_CHECKING:
    from .compiling import Compiling
    from .scopes import Scope

_DESCRIPTION = [
    ("is_hidden", "bit"), ("column_ordinal", "int"), ("name", "sysname"), ("is_nullable", "bit"), ("system_type_id", "int"),
    ("system_type_name", "nvarchar(256)"), ("max_length", "smallint"), ("precision", "tinyint"), ("scale", "tinyint"),
    ("collation_name", "sysname"), ("user_type_id", "int"), ("user_type_database", "sysname"), ("user_type_schema", "sysname"),
    ("user_type_name", "sysname"), ("assembly_qualified_type_name", "nvarchar(4000)"), ("xml_collection_id", "int"),
    ("xml_collection_database", "sysname"), ("xml_collection_schema", "sysname"), ("xml_collection_name", "sysname"),
    ("is_xml_document", "bit"), ("is_case_sensitive", "bit"), ("is_fixed_length_clr_type", "bit"), ("source_server", "sysname"),
    ("source_database", "sysname"), ("source_schema", "sysname"), ("source_table", "sysname"), ("source_column", "sysname"),
    ("is_identity_column", "bit"), ("is_part_of_unique_key", "bit"), ("is_updateable", "bit"), ("is_computed_column", "bit"),
    ("is_sparse_column_set", "bit"), ("ordinal_in_order_by_list", "smallint"), ("order_by_list_length", "smallint"),
    ("order_by_is_descending", "smallint"), ("error_number", "int"), ("error_severity", "int"), ("error_state", "int"),
    ("error_message", "nvarchar(4000)"), ("error_type", "int"), ("error_type_desc", "nvarchar(60)"),
]  # fmt: skip


def call(name: str, arguments: list[exp.Expr], compiler: Compiling, scope: Scope) -> Query:
    """Compiles a table-valued function. Raises 208 for one that the stand-in does not have."""
    compiler.profile.check_function(name)
    if name.lower() == "dm_exec_describe_first_result_set":
        return _describe(arguments, compiler, scope)
    if name.lower().startswith((ALL, NET)):
        return captured_changes(name, arguments, compiler, scope)
    if name.lower() == "changetable":
        return changes(arguments, compiler, scope)
    if name.lower() == "generate_series":
        return _series(arguments, compiler, scope)
    if name.lower() == "string_split":
        return _split(arguments, compiler, scope)
    raise invalid_object(name)


def _series(arguments: list[exp.Expr], compiler: Compiling, scope: Scope) -> Query:
    values = [compiler.expressions.value(item, scope) for item in arguments]
    kind = values[0].type or BIGINT
    bounds = ", ".join(convert(item, BIGINT).sql for item in values)
    return Query(f"SELECT CAST(unnest(generate_series({bounds})) AS {kind.duckdb})", (Output("value", kind, False),))


def _split(arguments: list[exp.Expr], compiler: Compiling, scope: Scope) -> Query:
    text, separator = (compiler.expressions.value(item, scope) for item in arguments[:2])
    return Query(f"SELECT unnest(string_split({text.sql}, {separator.sql}))", (Output("value", text.kind, False),))


def _describe(arguments: list[exp.Expr], compiler: Compiling, scope: Scope) -> Query:
    constant = compiler.expressions.value(arguments[0], scope).constant
    if constant is None:
        raise SqlError(214, "Procedure expects parameter '@tsql' of type 'nvarchar(max)'.")
    declared = compiler.expressions.value(arguments[1], scope).constant if len(arguments) > 1 else None
    return description(compiler, str(constant), str(declared or ""))


def description(compiler: Compiling, sql: str, parameters: str = "") -> Query:
    """The columns of the first result set of `sql`, as sys.dm_exec_describe_first_result_set gives them."""
    try:
        rows = [_described(i, output) for i, output in enumerate(compiler.describe(sql, parameters), 1)]
    except Exception as error:
        failure = translate_error(error)
        rows = [{"column_ordinal": 0, "error_number": failure.number, "error_severity": failure.severity,
                 "error_state": failure.state, "error_message": failure.text, "error_type": 0, "is_hidden": False,
                 "error_type_desc": "MISC"}]  # fmt: skip
    kinds = [(name, parse_type(kind)) for name, kind in _DESCRIPTION]
    selects = []
    for row in rows:
        cells = [f"CAST({_literal(row.get(name))} AS {kind.duckdb}) AS c{i}" for i, (name, kind) in enumerate(kinds)]
        selects.append("SELECT " + ", ".join(cells))
    if not selects:
        selects = ["SELECT " + ", ".join(f"CAST(NULL AS {kind.duckdb})" for _, kind in kinds) + " WHERE false"]
    return Query(" UNION ALL ".join(selects), tuple(Output(name, kind) for name, kind in kinds))


def _literal(value: object) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int) else quote_text(str(value))


def _described(position: int, output: Output) -> dict[str, object]:
    kind: SqlType = output.type
    return {
        "is_hidden": False, "column_ordinal": position, "name": output.name or None, "is_nullable": output.nullable,
        "system_type_id": kind.system_type_id, "system_type_name": str(kind), "max_length": kind.max_length,
        "precision": kind.catalog_precision, "scale": kind.catalog_scale, "collation_name": kind.collation_name,
        "user_type_id": kind.user_type_id if kind.user_type_id != kind.system_type_id else None,
        "is_xml_document": False, "is_case_sensitive": False, "is_fixed_length_clr_type": False, "is_updateable": True,
        "is_identity_column": output.is_identity, "is_computed_column": False, "is_sparse_column_set": False,
    }  # fmt: skip
