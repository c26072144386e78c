"""The views that tell how large tables are: rows of partitions, pages of allocation units.

Both are counted when a view is asked, of the tables that the statement asks for.
"""

# ruff: noqa: E501 - SQL text and data read best unbroken; composing SQL is what this module does

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from flowforge.domain.given import given

from .tables import Column, quote, storage_name
from .view_text import SystemView, view

if TYPE_CHECKING:
    from .session import Session

_PARTITION_ID = "CAST(t.object_id AS BIGINT) * 65536 + coalesce(i.index_id, 0)"


def _asked_tables(session: Session) -> list[tuple[int, str, str]]:
    """All tables, or the one that the statement asks for: among thousands of tables counting the others takes seconds."""
    asked = set(re.findall(r"(?i)\bobject_id\s*=\s*N?'?(\d+)\b", session.statement))
    alone = len(asked) == 1 and not re.search(
        r"(?i)\b(or|not|in|union)\b", re.sub(r"(?i)\bin \(0, 1\)", "", session.statement)
    )
    return [found for found in session.catalog.tables() if not alone or str(found[0]) in asked]


def _row_counts(session: Session, figures: str) -> str:
    """One row per table with its live row count, then the figures that a view adds."""
    parts = [
        f"SELECT {number}, count(*) FROM {storage_name(schema, name)}"
        for number, schema, name in _asked_tables(session)
    ]
    counted = session.cursor.execute(" UNION ALL ".join(parts)).fetchall() if parts else []
    rows = ", ".join(map(str, counted)) or "(CAST(NULL AS INTEGER), CAST(NULL AS BIGINT))"
    return (
        f"SELECT {figures} FROM (VALUES {rows}) t(object_id, row_count) LEFT JOIN (SELECT DISTINCT object_id, index_id"
        " FROM meta.indexes) i ON i.object_id = t.object_id WHERE t.object_id IS NOT NULL"
    )


def _allocation_units(session: Session) -> str:
    """Two units per table: its rows at their declared widths, and what variable columns hold, as large objects' pages."""
    parts = []
    for number, schema, name in _asked_tables(session):
        columns = given(session.catalog.find(schema, name)).columns
        fixed = sum(max(1, column.type.max_length) for column in columns if not _varies(column)) + 9 * len(columns)
        held = " + ".join(_bytes_held(column) for column in columns if _varies(column)) or "0"
        parts.append(
            f"SELECT {number} AS object_id, count(*) * {fixed} AS fixed, {held} AS held FROM {storage_name(schema, name)}"
        )
    tables = " UNION ALL ".join(parts) or "SELECT 0 AS object_id, 0 AS fixed, 0 AS held WHERE false"
    units = (("1, 'IN_ROW_DATA'", "t.object_id", "fixed"), ("2, 'LOB_DATA'", _PARTITION_ID, "held"))
    return " UNION ALL ".join(
        f"SELECT {_PARTITION_ID} * 4 + {kind[0]}, {kind}, CAST({container} AS BIGINT), 1, {bytes_} // 8192 + 9,"
        f" {bytes_} // 8192 + 2, {bytes_} // 8192 + 1 FROM ({tables}) t LEFT JOIN (SELECT DISTINCT object_id, index_id"
        f" FROM meta.indexes) i ON i.object_id = t.object_id"
        for kind, container, bytes_ in units
    )


def _varies(column: Column) -> bool:
    return column.type.base in ("varchar", "nvarchar", "varbinary", "text", "ntext", "image", "xml")


def _bytes_held(column: Column) -> str:
    is_binary = column.type.base in ("varbinary", "image")
    length = f"octet_length({quote(column.name)})" if is_binary else f"strlen(CAST({quote(column.name)} AS VARCHAR))"
    return f"coalesce(sum({length}), 0)"


SIZE_VIEWS: dict[str, SystemView] = {
    "sys.partitions": view(
        "partition_id bigint;object_id int;index_id int;partition_number int;hobt_id bigint;rows bigint",
        lambda session: _row_counts(
            session,
            f"{_PARTITION_ID}, t.object_id, coalesce(i.index_id, 0), 1, t.object_id, t.row_count",
        ),
    ),
    "sys.allocation_units": view(
        "allocation_unit_id bigint;type tinyint;type_desc nvarchar(60);container_id bigint;data_space_id int;"
        "total_pages bigint;used_pages bigint;data_pages bigint",
        _allocation_units,
    ),
    "sys.dm_db_partition_stats": view(
        "partition_id bigint;object_id int;index_id int;partition_number int;in_row_data_page_count bigint;used_page_count bigint;"
        "reserved_page_count bigint;row_count bigint",
        lambda session: _row_counts(
            session,
            f"{_PARTITION_ID}, t.object_id, coalesce(i.index_id, 0), 1, t.row_count // 64 + 1,"
            " t.row_count // 64 + 2, t.row_count // 64 + 9, t.row_count",
        ),
    ),
}
