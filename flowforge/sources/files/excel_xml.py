"""The elements of a workbook's part, one after the other: by a pattern where it reads all of a stretch, else by their events.

Guarantees: every byte passes expat, which refuses what is not well-formed, and a DTD is refused. A pattern is used between two
elements only, on UTF-8, and where it reads each character of the stretch: so it says what the events would. Memory is that of
a stretch, and of one element, at most LONGEST bytes of XML.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import suppress
from typing import IO, Any, Generic, TypeVar
from xml.parsers import expat

from openpyxl.xml.constants import SHEET_MAIN_NS

from flowforge.domain.errors import UnsupportedSource

LONGEST = 2**27
FIRST, STRETCH, MOST_HELD = 2**14, 2**18, 2**22  # bytes: of the first read, of others, behind an element's end
REFERENCE = re.compile("&(?:#x([0-9A-Fa-f]+)|#([0-9]+)|([a-z]+));")
NAMED = {"lt": "<", "gt": ">", "amp": "&", "quot": '"', "apos": "'"}  # without a DTD there are no others
UTF_8 = ("utf-8", "us-ascii")
MOST_DEEP = 256
Item = TypeVar("Item")


class Elements(ABC, Generic[Item]):
    """Iterated once, it gives what `NAME` elements below `WITHIN` hold. Raises ExpatError and ValueError for what is damaged."""

    NAME: str
    WITHIN: str

    def __init__(self, stream: IO[bytes], where: str):
        self._stream, self._where = stream, where
        self._found: list[Item] = []
        self._fed = self._ended_at = 0  # bytes that expat has, and those before the end tag that it saw last
        self._is_between = False  # the next byte is between two elements, and in no comment
        self._is_done = False  # what is behind does not count
        self._ended = False  # an element has, since it was looked at
        self._path: list[str] = []  # local names of the open elements; "" of other namespaces
        self._base = 0  # how many are open with the element that is read; 0: none
        self._text: list[str] | None = None  # where characters go
        self._inside = 0  # how many are open directly in WITHIN
        self._end: bytes | None = None  # the element's end tag, where a pattern may be used
        self._names = dict[str, str]()
        self._parser = expat.ParserCreate(namespace_separator=" ")
        self._parser.namespace_prefixes = self._parser.buffer_text = True
        self._parser.StartDoctypeDeclHandler = self._refuse_dtd
        self._parser.XmlDeclHandler = self._declared
        self._is_utf8 = True

    @abstractmethod
    def _prepare(self, prefix: str) -> None:
        """Makes the patterns, of elements whose names have a prefix."""

    @abstractmethod
    def _by_pattern(self, text: str) -> list[Item] | None:
        """What a stretch of whole elements holds; None where the pattern does not read each character of it."""

    @abstractmethod
    def _opened(self, path: list[str], attributes: dict[str, str]) -> list[str] | None:
        """Takes the start of an element. `path` is that below WITHIN. Returns where its text goes, up to its first child."""

    @abstractmethod
    def _closed(self, path: list[str]) -> None:
        """Takes the end of an element."""

    def _beside(self, name: str) -> None:
        """Takes the start of an element that is in no `NAME`."""

    def __iter__(self) -> Iterator[Item]:
        held, since = b"", 0
        while (chunk := self._stream.read(STRETCH if self._fed > FIRST else FIRST)) and not self._is_done:
            if not self._fed:
                self._is_utf8 = chunk[:2] not in (b"\xff\xfe", b"\xfe\xff") and b"\0" not in chunk[:2]
            held += chunk
            end = held.rfind(self._end) + len(self._end) if self._end and self._end in held else 0
            if not end and self._end and len(held) < MOST_HELD:
                continue
            end = end or len(held)
            stretch, held = held[:end], held[end:]
            yield from self._read(stretch)
            since, self._ended = 0 if self._ended else since + end, False
            if since > LONGEST:
                raise too_long(self._where)
        if not self._is_done:
            yield from self._read(held, is_last=True)

    def _read(self, stretch: bytes, is_last: bool = False) -> list[Item]:
        """What the stretch holds, and what expat, from 2.6 on, put off: a long comment's end, with what stands behind it."""
        found = None
        if self._end and self._is_between and b"xmlns" not in stretch:
            text = stretch.decode(errors="replace")  # expat refuses what is none
            text = text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text
            with suppress(ValueError, KeyError, OverflowError):  # the events tell what is wrong, and where
                found = self._by_pattern(text)
            self._is_done = self._is_done and found is not None
        parser, self._found = self._parser, []
        is_read = found is not None
        parser.StartElementHandler = None if is_read else self._on_start
        parser.EndElementHandler = None if is_read else self._on_end
        parser.CharacterDataHandler = None if is_read else self._on_text
        self._fed += len(stretch)
        parser.Parse(stretch, is_last)
        ends = bool(self._end) and self._fed == self._ended_at + len(self._end or b"")
        self._is_between = is_read or (ends and len(self._path) == self._inside)
        self._ended = self._ended or found is not None
        return self._found if found is None else found

    def _on_start(self, name: str, attributes: dict[str, str]) -> None:
        local = self._names.get(name)
        if local is None:
            local = self._local(name)
        path = self._path
        path.append(local)
        if len(path) > MOST_DEEP:
            raise ValueError(f"more than {MOST_DEEP} elements within each other")
        if not self._base:
            if local != self.NAME:
                self._text = None
                self._beside(local)
                return
            self._base = len(path)
        elif local == self.NAME:
            raise ValueError(f"an element {local} within another")
        self._text = self._opened(path[self._base - 1 : self._base + 5], attributes)

    def _on_end(self, _: str) -> None:
        path, self._text = self._path, None
        if self._base:
            self._closed(path[self._base - 1 : self._base + 5])
            if len(path) == self._base:
                self._base, self._ended, self._ended_at = 0, True, self._parser.CurrentByteIndex
        elif len(path) == self._inside:
            self._inside, self._end = 0, None
        path.pop()

    def _on_text(self, text: str) -> None:
        if self._text is not None:
            self._text.append(text)

    def _local(self, name: str) -> str:
        """An element's name without its namespace, if that is a workbook's."""
        space, _, rest = name.partition(" ")
        local, _, prefix = rest.partition(" ")
        if space != SHEET_MAIN_NS:
            return ""
        if local == self.WITHIN and not self._base and not self._inside and self._is_utf8:
            prefix = f"{prefix}:" if prefix else ""
            self._inside, self._end = len(self._path) + 1, f"</{prefix}{self.NAME}>".encode()
            self._prepare(re.escape(prefix))
        elif len(self._names) < 100:
            self._names[name] = local
        return local

    def _declared(self, _: str, encoding: str | None, __: int) -> None:
        self._is_utf8 = self._is_utf8 and (encoding or UTF_8[0]).lower() in UTF_8

    def _refuse_dtd(self, *_: Any) -> None:
        raise UnsupportedSource(f"{self._where} has a part with a DTD, which no workbook has", "save it with Excel")


def too_long(where: str) -> UnsupportedSource:
    """The refusal of an element that would not fit in memory."""
    return UnsupportedSource(f"{where}: a row of more than {LONGEST:,} bytes", "look for a cell of much text")


def characters(text: str) -> str:
    """A text without references, which expat has seen to be right."""
    return REFERENCE.sub(_character, text) if "&" in text else text


def _character(found: re.Match[str]) -> str:
    return NAMED[found[3]] if found[3] else chr(int(found[1], 16) if found[1] else int(found[2]))
