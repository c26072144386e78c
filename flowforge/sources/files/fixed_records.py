"""The records of a text of fixed width: one a line, each column at its place.

Guarantees: a line that does not have exactly the contract's columns is a reject. The blanks around a value are no part of it.
"""

from collections.abc import Iterator

from events.files import FileContract
from flowforge.domain.errors import UnsupportedSource
from flowforge.sources.files.container import Content
from flowforge.sources.files.framing import Framed
from flowforge.sources.files.text_records import Row, TextRecords


class FixedRecords(TextRecords):
    """See records.Records. Where the contract has a header, it must have each column's name at the column's place."""

    def __init__(self, content: Content, contract: FileContract):
        super().__init__(content, contract.model_copy(update={"quote": "", "escape": ""}), contract.header)
        self._places = [_place(content.name, column.field, column.start, column.width) for column in contract.columns]
        if not self._places:
            raise UnsupportedSource(f"{content.name}: fixed width needs columns", "name each with start and width")
        self._width = max(end for _, end in self._places)
        self._nulls = frozenset(contract.null_words) | (frozenset({""}) if contract.empty_is_null else frozenset())
        self.fields = [column.field for column in contract.columns]

    def _begin(self, records: Iterator[Framed]) -> Framed | None:
        if self._contract.header:
            header = next(records, None)
            text = header.raw.decode(self._codec, errors="replace") if header else ""
            for field, (start, end) in zip(self.fields, self._places, strict=True):
                if text[start:end].strip(" ") != field:
                    raise UnsupportedSource(
                        f"{self._content.name}: the header has no {field} at character {start + 1:,}",
                        "mend the contract's columns, or say that there is no header",
                    )
        return None

    def _values(self, text: str) -> Row:
        if len(text) < self._width:
            raise ValueError(f"it has {len(text):,} characters, where {self._width:,} are expected")
        if text[self._width :].strip(" "):
            raise ValueError(f"it has text behind character {self._width:,}, where the last column ends")
        values = (text[start:end].strip(" ") for start, end in self._places)
        return [None if value in self._nulls else value for value in values]


def _place(where: str, field: str, start: int | None, width: int | None) -> tuple[int, int]:
    if start is None or width is None or start < 1 or width < 1:
        raise UnsupportedSource(f"{where}: column {field} has no place", "give it a start and a width, each from 1")
    return start - 1, start - 1 + width
