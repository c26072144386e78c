"""Text that is no Unicode: half of a surrogate pair, which nvarchar takes and neither UTF-8 nor Parquet can hold.

The drivers put another character in its place, pymssql `?` with a remark (2403), mssql-python U+FFFD without one. Guarantees:
such a row is never landed. A remark, or a U+FFFD among the values, makes the server look for the row; U+FFFD that the source
itself holds is read as it is. The refusal names column, key and what to do.
"""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from events.targets import ConnectionReference
from flowforge.errors import FlowForgeError, UnsupportedSource
from flowforge.source.connection import connect
from flowforge.source.credentials import Credentials
from flowforge.source.failures import describe_reference
from flowforge.source.keys import is_printable, printed_key
from flowforge.source.selection import Selection
from flowforge.source.sql_text import Statement, interval_condition, quote_identifier, select_from
from flowforge.source.sql_types import parse_sql_type, select_expression
from flowforge.state.batch import SourceColumn

REPLACED = "\ufffd".encode()
TEXTS = ("char", "varchar", "nchar", "nvarchar", "ntext", "sql_variant")


def _pattern(text: str) -> str:
    """A LIKE pattern as the bytes of nvarchar: no driver carries half a pair in a statement's text."""
    return f"CONVERT(nvarchar(40), 0x{text.encode('utf-16le', 'surrogatepass').hex().upper()})"


# A first half with no second half behind it, or a second with no first before it; x stands for the text's ends.
_HALVES = (_pattern("%[\ud800-\udbff][^\udc00-\udfff]%"), _pattern("%[^\ud800-\udbff][\udc00-\udfff]%"))
REMEDY = "mend the text at the source, or leave the column out by a query that lists the others"


class TextCheck:
    """Looks at what arrives, for one reader."""

    def __init__(self, reference: ConnectionReference, credentials: Credentials, selection: Selection):
        self._reference, self._credentials, self._selection = reference, credentials, selection
        self._where = describe_reference(reference)
        self._cleared: set[str] = set()

    def check(self, batch: pa.RecordBatch, arrived: int) -> None:
        """Raises UnsupportedSource where a value of this batch is not what the source holds; `arrived` rows came before it."""
        doubtful = [
            column
            for column, values in zip(self._selection.columns, batch.columns, strict=True)
            if column.name not in self._cleared and _is_text(column) and _holds(values, REPLACED)
        ]
        if not doubtful:
            return
        if (found := self._find(doubtful)) is not None:
            raise self._refusal(found, arrived, batch.num_rows)
        self._cleared |= {column.name for column in doubtful}

    def refused(self, arrived: int, most: int) -> UnsupportedSource:
        """The error for a batch that the driver could not convert."""
        columns = [column for column in self._selection.columns if _is_text(column)]
        try:
            found = self._find(columns) or {}
        except FlowForgeError:
            found = {}  # the row is named by its place then
        return self._refusal(found, arrived, most)

    def _refusal(self, found: dict[str, Any], arrived: int, rows: int) -> UnsupportedSource:
        key = [str(found[name]) for name in found if name.startswith("k")]
        row = f"key {', '.join(key)}" if key else f"one of the rows {arrived + 1} to {arrived + rows} of the read"
        column = f"column {found['column_name']!r}" if found else "a text column"
        message = f"{self._where}: {column} holds text that is no Unicode (half of a surrogate pair)"
        return UnsupportedSource(f"{message}, in the row with {row}" if key else f"{message}, in {row}", REMEDY)

    def _find(self, columns: Sequence[SourceColumn]) -> dict[str, Any] | None:
        with connect(self._reference, self._credentials) as connection:
            rows = connection.rows(find_statement(self._selection, columns), about=self._where) if columns else []
        return rows[0] if rows else None


def find_statement(selection: Selection, columns: Sequence[SourceColumn]) -> Statement:
    """Asks for the first row that holds half a pair in one of the columns: its key as k0, k1, … and `column_name`."""
    key = _key(selection)
    printed = "".join(f"{printed_key(column)} AS k{n}, " for n, column in enumerate(key))
    broken = {column.name: _broken(column) for column in columns}
    cases = " ".join(f"WHEN {test} THEN N'{name.replace(chr(39), chr(39) * 2)}'" for name, test in broken.items())
    shown = f"TOP (1) {printed}CASE {cases} END AS column_name"
    any_broken = Statement((" OR ".join(broken.values()),))
    return select_from(selection.source, shown, interval_condition(selection.interval), selection.within, any_broken)


def _key(selection: Selection) -> list[SourceColumn]:
    names = getattr(selection.source, "primary_key", [])
    key = [column for name in names for column in selection.columns if column.name == name]
    return key if len(key) == len(names) and all(map(is_printable, key)) else []


def _broken(column: SourceColumn) -> str:
    shown = select_expression(quote_identifier(column.name), column.sql_type)
    text = f"(N'x' + {shown} + N'x') COLLATE Latin1_General_BIN2"
    return "(" + " OR ".join(f"{text} LIKE {pattern}" for pattern in _HALVES) + ")"


def _is_text(column: SourceColumn) -> bool:
    return parse_sql_type(column.sql_type).base in TEXTS


def _holds(values: pa.Array, wanted: bytes) -> bool:
    """Whether the text of an array holds these bytes: a search of its memory, many times faster than one of each value."""
    data = values.buffers()[-1]
    return data is not None and wanted in data.to_pybytes()
