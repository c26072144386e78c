"""Reads through pymssql: fetchmany, turned into Arrow column by column. Slower than mssql-python, and with nothing to
install beside it.

Guarantees: exact values. What pymssql would cut is converted in the SELECT already (see
`sql_types.select_expression`); the rest comes as Decimal, datetime, UUID and bytes, never as float where the column
is not one.
"""

import uuid
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any, Self

import pyarrow as pa
import pymssql

from events.targets import ConnectionReference
from flowforge.source.arrow_types import arrow_schema, arrow_type, canonical_batch, check_columns
from flowforge.source.connection import open_pymssql
from flowforge.source.credentials import Credentials
from flowforge.source.failures import describe_reference, translate
from flowforge.source.reader import COUNTED, BatchRows, check_complete, counted_rows
from flowforge.source.sql_text import Statement
from flowforge.source.sql_types import parse_sql_type
from flowforge.state.batch import SourceColumn


class PymssqlReader:
    """An ArrowReader over pymssql; see `reader.open_reader`."""

    def __init__(
        self,
        reference: ConnectionReference,
        credentials: Credentials,
        statement: Statement,
        columns: Sequence[SourceColumn],
        batch_rows: BatchRows,
    ):
        self.schema = arrow_schema(columns)
        self._types = [_delivered_type(c.sql_type) for c in columns]
        self._batch_rows = batch_rows
        self._where = describe_reference(reference)
        self._secret = credentials.password.get_secret_value()
        self._connection = open_pymssql(reference, credentials)
        self._cursor = self._connection.cursor()
        try:
            self._cursor.execute((statement + COUNTED).inlined())
        except (pymssql.Error, UnicodeError) as error:
            self.close()
            raise translate(error, self._where, self._secret) from error

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        check_columns([column[0] for column in self._cursor.description or ()], self.schema)
        arrived, ended = 0, False
        while not ended:
            asked = self._batch_rows.rows
            rows = self._fetched(asked)
            # A short batch ends the result set; asking again would run on into the next one.
            ended = len(rows) < asked
            arrived += len(rows)
            if rows:
                batch = self._batch(rows)
                self._batch_rows.learn(batch)
                yield batch
        check_complete(arrived, self._server_count(), self._where)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connection; rows not read are given up."""
        with suppress(pymssql.Error):
            self._connection.close()

    def _fetched(self, most: int) -> list[tuple]:
        try:
            return self._cursor.fetchmany(most)
        except (pymssql.Error, UnicodeError) as error:
            raise translate(error, self._where, self._secret) from error

    def _server_count(self) -> int | None:
        try:
            found = self._cursor.nextset()
        except pymssql.Error as error:
            raise translate(error, self._where, self._secret) from error
        name = self._cursor.description[0][0] if found and self._cursor.description else None
        rows = self._fetched(1) if found else []
        return counted_rows(name, rows[0] if rows else None, self._where)

    def _batch(self, rows: list[tuple]) -> pa.RecordBatch:
        arrays = [
            _array(values, delivered) for values, delivered in zip(zip(*rows, strict=True), self._types, strict=True)
        ]
        return canonical_batch(pa.RecordBatch.from_arrays(arrays, names=self.schema.names), self.schema)


def _delivered_type(sql_type: str) -> pa.DataType:
    kind = parse_sql_type(sql_type)
    return pa.string() if kind.base == "time" and kind.scale == 7 else arrow_type(sql_type)


def _array(values: tuple[Any, ...], delivered: pa.DataType) -> pa.Array:
    if pa.types.is_string(delivered) and isinstance(next((v for v in values if v is not None), None), uuid.UUID):
        values = tuple(v if v is None else str(v) for v in values)
    return pa.array(values, type=delivered)
