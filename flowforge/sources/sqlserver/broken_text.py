"""Values that cannot be read as they are, and the row that holds them.

Half of a surrogate pair, which nvarchar takes and neither UTF-8 nor Parquet can hold: the drivers put another character in its
place, pymssql `?` with a remark (2403), mssql-python U+FFFD without one. Or long text of another code page in a sql_variant: the
server says that itself (see `variants`). Or a value that a cast of the request does not hold (see `casts`), which it says, too.

Guarantees: such a row is never landed. An error, a remark, or a U+FFFD among the values, makes the server look for the row;
U+FFFD that the source itself holds is read as it is. The refusal names column, key and what to do.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import pyarrow as pa

from events.targets import ConnectionReference
from flowforge.domain.errors import FlowForgeError, UnsupportedSource
from flowforge.domain.source_columns import SourceColumn
from flowforge.sources.sqlserver.casts import MISFIT, misfit_condition
from flowforge.sources.sqlserver.conditions import interval_condition
from flowforge.sources.sqlserver.connection import connect
from flowforge.sources.sqlserver.failures import NOT_UNICODE, describe_reference
from flowforge.sources.sqlserver.keys import is_printable, printed_key
from flowforge.sources.sqlserver.remedies import LEAVE_OUT
from flowforge.sources.sqlserver.selection import Selection
from flowforge.sources.sqlserver.sql_text import select_from
from flowforge.sources.sqlserver.sql_types import parse_sql_type, select_expression
from flowforge.sources.sqlserver.statement import Statement, quote_identifier
from flowforge.sources.sqlserver.variants import OTHER_PAGE, is_of_other_page
from flowforge.sources.target import Credentials

REPLACED = "\ufffd".encode()
TEXTS = ("char", "varchar", "nchar", "nvarchar", "ntext", "sql_variant")


def _pattern(text: str) -> str:
    """A LIKE pattern as the bytes of nvarchar: no driver carries half a pair in a statement's text."""
    return f"CONVERT(nvarchar(40), 0x{text.encode('utf-16le', 'surrogatepass').hex().upper()})"


# A first half with no second half behind it, or a second with no first before it; x stands for the text's ends.
_HALVES = (_pattern("%[\ud800-\udbff][^\udc00-\udfff]%"), _pattern("%[^\ud800-\udbff][\udc00-\udfff]%"))


class Unreadable(NamedTuple):
    """A kind of text that cannot be read: in columns of which types, the condition that finds it, and how it is told."""

    types: tuple[str, ...]
    condition: Callable[[SourceColumn], str]
    what: str
    remedy: str
    of_casts: bool = False

    def concerns(self, column: SourceColumn) -> bool:
        """Whether a column can hold such text."""
        if self.of_casts:
            return bool(column.cast_from)
        return parse_sql_type(column.cast_from or column.sql_type).base in self.types


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
            if column.name not in self._cleared and HALVES.concerns(column) and _holds(values, REPLACED)
        ]
        if not doubtful:
            return
        if (found := self._find(HALVES, doubtful)) is not None:
            raise self._refusal(HALVES, found, arrived, batch.num_rows)
        self._cleared |= {column.name for column in doubtful}

    def refused(self, error: UnsupportedSource, arrived: int, most: int) -> UnsupportedSource:
        """The error for a batch of at most so many rows that could not be converted, with the row where it is found; any other
        error as it is."""
        if MISFIT in str(error):
            kind = MISFITS
        else:
            kind = HALVES if error.number == NOT_UNICODE else LONG_TEXTS if OTHER_PAGE in str(error) else None
        if kind is None:
            return error
        columns = [column for column in self._selection.columns if kind.concerns(column)]
        try:
            found = self._find(kind, columns) or {}
        except FlowForgeError:
            found = {}  # the row is named by its place then
        return self._refusal(kind, found, arrived, most)

    def _refusal(self, kind: Unreadable, found: dict[str, Any], arrived: int, rows: int) -> UnsupportedSource:
        key = [str(found[name]) for name in found if name.startswith("k")]
        row = f"key {', '.join(key)}" if key else f"one of the rows {arrived + 1} to {arrived + rows} of the read"
        column = f"column {found['column_name']!r}" if found else "a text column"
        message = f"{self._where}: {column} holds {kind.what}"
        return UnsupportedSource(f"{message}, in the row with {row}" if key else f"{message}, in {row}", kind.remedy)

    def _find(self, kind: Unreadable, columns: Sequence[SourceColumn]) -> dict[str, Any] | None:
        with connect(self._reference, self._credentials) as connection:
            asked = find_statement(self._selection, kind, columns)
            rows = connection.rows(asked, about=self._where) if columns else []
        return rows[0] if rows else None


def find_statement(selection: Selection, kind: Unreadable, columns: Sequence[SourceColumn]) -> Statement:
    """Asks for the first row that holds such text in one of the columns: its key as k0, k1, … and `column_name`."""
    key = _key(selection)
    printed = "".join(f"{printed_key(column)} AS k{n}, " for n, column in enumerate(key))
    broken = {column.at_source: kind.condition(column) for column in columns}
    cases = " ".join(f"WHEN {test} THEN N'{name.replace(chr(39), chr(39) * 2)}'" for name, test in broken.items())
    shown = f"TOP (1) {printed}CASE {cases} END AS column_name"
    any_broken = Statement((" OR ".join(broken.values()),))
    return select_from(selection.source, shown, interval_condition(selection.interval), selection.within, any_broken)


def _key(selection: Selection) -> list[SourceColumn]:
    names = getattr(selection.source, "primary_key", [])
    key = [column for name in names for column in selection.columns if column.name == name]
    return key if len(key) == len(names) and all(map(is_printable, key)) else []


def _has_half(column: SourceColumn) -> str:
    shown = select_expression(quote_identifier(column.at_source), column.cast_from or column.sql_type)
    text = f"(N'x' + {shown} + N'x') COLLATE Latin1_General_BIN2"
    return "(" + " OR ".join(f"{text} LIKE {pattern}" for pattern in _HALVES) + ")"


def _holds(values: pa.Array, wanted: bytes) -> bool:
    """Whether the text of an array holds these bytes: a search of its memory, many times faster than one of each value."""
    data = values.buffers()[-1]
    return data is not None and wanted in data.to_pybytes()


HALVES = Unreadable(
    TEXTS,
    _has_half,
    "text that is no Unicode (half of a surrogate pair)",
    f"mend the text at the source, or {LEAVE_OUT}",
)
LONG_TEXTS = Unreadable(
    ("sql_variant",),
    lambda column: is_of_other_page(quote_identifier(column.at_source)),
    "a sql_variant with a varchar of more than 4,000 characters in another code page than the database's, which the server makes "
    "question marks of",
    f"store it as nvarchar, read its bytes by a query (CONVERT(varbinary(8000), …)), or {LEAVE_OUT}",
)
MISFITS = Unreadable(
    (),
    lambda column: misfit_condition(quote_identifier(column.at_source), column.cast_from, column.sql_type) or "1 = 0",
    "a value that the type of its cast (databaseConfig.cast) does not hold exactly",
    "choose a type that holds every value, mend the value at the source, or load a view that says what becomes of it",
    of_casts=True,
)
