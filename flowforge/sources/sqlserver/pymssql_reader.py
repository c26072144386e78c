"""Reads through pymssql, with nothing to install beside it: rows of few cells, most of them lines that hold many columns.

Guarantees: exact values, in a third of the time that a cell for each column takes (see `packing`). What has a cell of its own
comes as Python's int, float, str, bytes, Decimal or datetime, never as float where the column is not one; what pymssql would
cut is converted in the SELECT already (see `sql_types.select_expression`).
"""

import uuid
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pymssql

from events.targets import ConnectionReference
from flowforge.sources.sqlserver.arrow_types import arrow_type, canonical_array, check_columns
from flowforge.sources.sqlserver.driver_reader import DriverReader
from flowforge.sources.sqlserver.login import last_socket, open_pymssql
from flowforge.sources.sqlserver.packing import Cell
from flowforge.sources.sqlserver.proof import prints_lines
from flowforge.sources.sqlserver.selection import Selection
from flowforge.sources.sqlserver.sql_text import LINE
from flowforge.sources.sqlserver.sql_types import parse_sql_type
from flowforge.sources.sqlserver.statement import Statement
from flowforge.sources.sqlserver.unpacking import LineReader
from flowforge.sources.target import Credentials

CELL_BY_CELL = "this server joins columns to text otherwise than SQL Server, so rows are read cell by cell, more slowly"


class PymssqlReader(DriverReader):
    """A DriverReader over pymssql."""

    driver = "pymssql"
    failures = (pymssql.Error, UnicodeError)

    def _connect(self, reference: ConnectionReference, credentials: Credentials) -> Any:
        connection = open_pymssql(reference, credentials)
        self._read_deadline.hold([last_socket()])
        return connection

    def _prepare(self, reference: ConnectionReference, selection: Selection) -> tuple[Statement, list[Cell]]:
        if prints_lines(reference, self._asked):
            return selection.packed()
        self.notes.append(CELL_BY_CELL)
        return selection.singly()

    def _execute(self, statement: Statement, cells: list[Cell]) -> None:
        self._cells = cells
        lines = (cell for cell in cells if len(cell) > 1)
        self._lines: dict[Cell, LineReader] = {cell: LineReader([self.schema.field(n) for n in cell]) for cell in lines}
        self._cursor, self._ended = self._connection.cursor(), False
        self._cursor.execute(statement.inlined())
        asked = [self.schema.names[cell[0]] if len(cell) == 1 else LINE for cell in self._cells]
        check_columns([column[0] for column in self._cursor.description or ()], asked)

    def _fetch(self, most: int) -> pa.RecordBatch:
        rows = [] if self._ended else self._cursor.fetchmany(most)
        # A short batch ends the result set; asking again would run on into the next one.
        self._ended = len(rows) < most
        if not rows:
            return pa.RecordBatch.from_pylist([], self.schema)
        arrays: list[pa.Array] = [None] * len(self.schema)
        for cell, values in zip(self._cells, zip(*rows, strict=True), strict=True):
            for position, array in zip(cell, self._arrays(cell, values), strict=True):
                arrays[position] = array
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)

    def _arrays(self, cell: Cell, values: tuple[Any, ...]) -> list[pa.Array]:
        if len(cell) != 1:
            return self._lines[cell].arrays(values)
        field = self.schema.field(cell[0])
        return [canonical_array(_delivered(values, field.metadata[b"sql_type"].decode()), field)]

    def _next_result(self) -> tuple[str | None, Sequence[Any] | None]:
        found = self._cursor.nextset()
        name = self._cursor.description[0][0] if found and self._cursor.description else None
        return name, self._cursor.fetchone() if found else None


def _delivered(values: tuple[Any, ...], sql_type: str) -> pa.Array:
    kind = parse_sql_type(sql_type)
    if kind.base == "uniqueidentifier":
        return pa.array([str(v) if isinstance(v, uuid.UUID) else v for v in values], pa.string())
    return pa.array(values, pa.string() if kind.base == "time" and kind.scale == 7 else arrow_type(sql_type))
