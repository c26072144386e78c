"""The records of CSV and TSV under a stored dialect, as texts.

Guarantees: every record is in a portion's texts or among its rejects, with its number; nothing is guessed. NULL is what the
contract says, and never a quoted field.
"""

import re
from collections.abc import Iterator

from events.files import FileContract
from flowforge.domain.errors import UnsupportedSource
from flowforge.sources.files.clean_records import CleanReader
from flowforge.sources.files.container import Content
from flowforge.sources.files.dialect import SEPARATOR
from flowforge.sources.files.fields import Splitter
from flowforge.sources.files.framing import Framed
from flowforge.sources.files.pieces import PIECE
from flowforge.sources.files.quick_records import QuickRecords
from flowforge.sources.files.text_records import MOST_COLUMNS, Row, reason_of

DELIMITED_PIECE = 2 * PIECE  # what a piece costs besides its bytes is a tenth of the time from CSV to Parquet


class DelimitedRecords(QuickRecords):
    """See records.Records. Entering reads the header; without one a file has the contract's columns, else its first record's."""

    def __init__(
        self, content: Content, contract: FileContract, quick: bool = True, piece_bytes: int = DELIMITED_PIECE
    ):
        contract = _with_marks(content.name, contract)
        super().__init__(content, contract, contract.header, quick, piece_bytes)
        self._split = Splitter(contract)

    def _begin(self, records: Iterator[Framed]) -> Framed | None:
        name = self._content.name
        first = next(records, None)
        if first is None:
            raise UnsupportedSource(f"{name} has no header and no row", "deliver it again")
        self.fields = self._header(first)
        known = {column.field for column in self._contract.columns}
        self.extra = [field for field in self.fields if known and field not in known]
        return None if self._contract.header else first

    def _clean_reader(self) -> CleanReader | None:
        return CleanReader.of(self._contract, self._marks, self._codec, self.fields)

    def _values(self, text: str) -> Row:
        fields = self._split.values(text)
        if len(fields) != len(self.fields):
            raise ValueError(f"it has {len(fields):,} fields, where {len(self.fields):,} are expected")
        return fields

    def _header(self, record: Framed) -> list[str]:
        where = f"{self._content.name}: line {record.line:,}"
        try:
            text = record.raw.decode(self._codec)
            if "\0" in text and self._contract.header:
                raise ValueError("it has a NUL character: this is no text, or one of another encoding")
            fields = self._split.texts(text)
            _refuse_separator(where, text, record)
        except ValueError as error:
            if self._contract.header:
                raise UnsupportedSource(f"{where}: the header: {reason_of(error)}", "mend the header") from error
            fields = []
        if len(fields) > MOST_COLUMNS:
            raise UnsupportedSource(f"{where}: {len(fields):,} columns", f"a table has at most {MOST_COLUMNS:,}")
        if not self._contract.header:
            return self._places(len(fields))
        if fields and fields[0].startswith("\ufeff"):
            raise UnsupportedSource(f"{where}: the header begins with a second byte order mark", "take one of them out")
        seen: dict[str, str] = {}
        for place, name in enumerate(fields, start=1):
            if not name.strip():
                raise UnsupportedSource(
                    f"{where}: column {place:,} of the header has no name",
                    "name it; set skipRows where titles stand above the header",
                )
            if (other := seen.get(name.strip().casefold())) is not None:
                raise UnsupportedSource(f"{where}: two columns have one name: {other!r} and {name!r}", "rename one")
            seen[name.strip().casefold()] = name
        return fields

    def _places(self, found: int) -> list[str]:
        columns = self._contract.columns
        if bad := next((column.field for column in columns if not re.fullmatch(r"[1-9]\d{0,4}", column.field)), None):
            raise UnsupportedSource(
                f"{self._content.name}: without a header a field is its place from 1, not {bad!r}", "mend the contract"
            )
        width = max((int(column.field) for column in columns), default=found)
        if self._contract.unknown_columns != "refuse":
            width = max(width, found)
        if not width:
            raise UnsupportedSource(f"{self._content.name}: its first record cannot be read", "name the job's columns")
        return [str(place) for place in range(1, width + 1)]


def _refuse_separator(where: str, text: str, record: Framed) -> None:
    """Refuses the line that tells Excel the delimiter, which would be a header, or a row."""
    if record.line == 1 and (told := SEPARATOR.fullmatch(text)):
        raise UnsupportedSource(
            f"{where}: {text!r} tells Excel the delimiter, and is no record",
            f"set skipRows 1, and delimiter {told['sign']!r} if that is what splits the records",
        )


def _with_marks(where: str, contract: FileContract) -> FileContract:
    """The contract with the delimiter that is meant: a tab for TSV; for one column a sign that no record may have."""
    delimiter = "\t" if contract.format == "tsv" and contract.delimiter == "," else contract.delimiter or "\0"
    marks = [mark for mark in (delimiter, contract.quote, contract.escape) if mark]
    if len(set(marks)) < len(marks) or any("\r" in mark or "\n" in mark for mark in marks):
        raise UnsupportedSource(
            f"{where}: delimiter, quote and escape must differ, and none may be a line end", "mend the contract"
        )
    return contract.model_copy(update={"delimiter": delimiter})
