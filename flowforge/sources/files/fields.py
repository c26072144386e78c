"""A record of a delimited text split into its fields.

Guarantees: what is NULL is decided here, by the contract and by whether a field is quoted; nothing is guessed.
"""

import csv
import re
from collections.abc import Iterable, Iterator

from events.files import FileContract
from flowforge.domain.given import given

LONGEST_PLAIN = 100_000  # characters; the csv module takes no field of more than 131,072


class Splitter:
    """Splits a record into fields. Raises ValueError with the reason where one cannot be told."""

    def __init__(self, contract: FileContract):
        self._delimiter, self._quote, self._escape = contract.delimiter, contract.quote, contract.escape
        self._nulls = frozenset(contract.null_words) | (frozenset({""}) if contract.empty_is_null else frozenset())
        self._quoted_nulls = [f"{self._quote}{null}{self._quote}" for null in self._nulls]
        ends, quote, escape = re.escape(self._delimiter), re.escape(self._quote), re.escape(self._escape)
        inner = _until((quote, escape), f"{escape}." if escape else quote * 2)
        self._quoted = re.compile(f"{quote}({inner}){quote}(?={ends}|\\Z)", re.DOTALL) if quote else None
        plain = _until((ends, escape), f"{escape}." if escape else "")
        self._plain = re.compile(f"({plain})(?={ends}|\\Z)", re.DOTALL)
        self._unescape = re.compile(f"{escape}(.)", re.DOTALL) if escape else None

    def values(self, text: str) -> list[str | None]:
        nulls = self._nulls
        if self._is_plain(text):
            return [None if field in nulls else field for field in text.split(self._delimiter)]
        if self._is_simple(text):
            try:
                found = next(csv.reader([text], delimiter=self._delimiter, quotechar=self._quote, strict=True))
                return [None if field in nulls else field for field in found]
            except csv.Error:
                pass  # the reason is told below
        return [None if not quoted and field in nulls else field for field, quoted in self._parts(text)]

    def texts(self, text: str) -> list[str]:
        return text.split(self._delimiter) if self._is_plain(text) else [field for field, _ in self._parts(text)]

    def _is_plain(self, text: str) -> bool:
        return not (self._quote and self._quote in text) and not (self._escape and self._escape in text)

    def _is_simple(self, text: str) -> bool:
        """Whether no quoted field could be taken for NULL: then the csv module, which forgets the quotes, reads it right."""
        if self._escape or len(self._delimiter) > 1 or len(self._quote) > 1 or len(text) > LONGEST_PLAIN:
            return False
        return not any(null in text for null in self._quoted_nulls)

    def _parts(self, text: str) -> Iterator[tuple[str, bool]]:
        place = 0
        while True:
            quoted = self._quoted if self._quote and text.startswith(self._quote, place) else None
            found = (quoted or self._plain).match(text, place)
            if not found:
                raise ValueError(
                    "there is text behind a closing quote" if quoted else "an escape sign has nothing behind it"
                )
            yield self._meant(found[1], quoted is not None), quoted is not None
            place = found.end()
            if place == len(text):
                return
            place += len(self._delimiter)

    def _meant(self, text: str, quoted: bool) -> str:
        if self._unescape:
            return self._unescaped(text) if self._escape in text else text
        return text.replace(self._quote * 2, self._quote) if quoted else text

    def _unescaped(self, text: str) -> str:
        """In steps, cut before an escape sign that none stands before: `sub` holds all that it has found at once."""
        pattern, found, start = given(self._unescape), [], 0
        while start < len(text):
            end = text.find(self._escape, start + LONGEST_PLAIN)
            while end > 0 and text.startswith(self._escape, end - len(self._escape)):
                end = text.find(self._escape, end + len(self._escape))
            end = end if end > 0 else len(text)
            found.append(pattern.sub(r"\1", text[start:end]))
            start = end
        return "".join(found)


def _until(marks: Iterable[str], pair: str) -> str:
    """The pattern of what stands before one of the marks, pairs included. It takes runs, since each step of a pattern's loop is
    kept in memory: a long field would take many times its size."""
    found = [mark for mark in marks if mark]
    single = all(len(mark.removeprefix("\\")) == 1 for mark in found)
    run = f"[^{''.join(found)}]" if single else f"(?:(?!{'|'.join(found)}).)"
    runs = f"{run}*+" if single else f"(?>{run}*)"
    return f"{runs}(?>(?:{pair}{runs})*)" if pair else runs
