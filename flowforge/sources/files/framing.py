"""The records of a delimited text as bytes, each with its line and its first byte's offset; quoted line ends are none.

A quote opens a field only at the field's start, as RFC 4180 has it; elsewhere it is a character. Lines end in CRLF, CR or LF,
mixed as they come; a blank line is no record. One pass; memory is that of a record, at most LONGEST_RECORD bytes.
"""

import codecs
import re
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from events.files import FileContract, codec_name
from flowforge.domain.errors import UnsupportedSource
from flowforge.sources.files.container import Content

LONGEST_RECORD = (
    2**24
)  # bytes; a record takes about twelve times its size, and an open quote makes one of all that follows
CHUNK = 2**20


class Framed(NamedTuple):
    """One record without its line end. `is_open`: the text ends inside of its quotes."""

    line: int
    offset: int
    raw: bytes
    is_open: bool = False


@dataclass(frozen=True)
class Marks:
    """What tells records and fields apart, in the bytes that are framed."""

    delimiter: bytes
    quote: bytes
    escape: bytes

    @classmethod
    def of(cls, contract: FileContract, codec: str) -> "Marks":
        return cls(*(text.encode(codec) for text in (contract.delimiter, contract.quote, contract.escape)))


def codec_of(encoding: str) -> tuple[str, bool]:
    """The codec of the bytes that are framed, and whether these are the content's own. Others are turned into UTF-8 first."""
    try:
        name = codec_name(encoding)
    except ValueError as error:
        raise UnsupportedSource(str(error), "name one, as utf-8, utf-16 or cp1252") from error
    if name in ("utf-8", "utf-8-sig", "ascii"):
        return ("ascii" if name == "ascii" else "utf-8"), True
    if re.fullmatch(r"cp125\d|iso8859-\d+", name):
        return name, True
    return "utf-8", False


def mark_of(content: Content, codec: str) -> bytes:
    """The byte order mark that `chunks_of` leaves out."""
    with content.open() as stream:
        head = stream.read(len(codecs.BOM_UTF8))
    return codecs.BOM_UTF8 if codec == "utf-8" and head.startswith(codecs.BOM_UTF8) else b""


def range_of(content: Content, start: int, end: int | None) -> Generator[bytes, None, None]:
    """The bytes of a file from `start` to `end` (None: its last), as they are."""
    with content.open_file() as stream:
        stream.seek(start)
        while chunk := stream.read(CHUNK if end is None else min(CHUNK, end - start)):
            start += len(chunk)
            yield chunk


def chunks_of(content: Content, encoding: str) -> Generator[bytes, None, None]:
    """The content's bytes, without a byte order mark; in UTF-8 where `codec_of` says so."""
    codec, own = codec_of(encoding)
    decoder = None if own else codecs.getincrementaldecoder(encoding)()
    first = True
    with content.open() as stream:
        while True:
            chunk = stream.read(CHUNK)
            ended = not chunk
            if decoder:
                try:
                    chunk = decoder.decode(chunk, final=ended).encode()
                except UnicodeError as error:
                    raise UnsupportedSource(f"{content.name} is no {encoding}: {error}", "deliver UTF-8") from error
            if first and chunk:
                chunk = chunk.removeprefix(codecs.BOM_UTF8) if codec == "utf-8" else chunk
                first = False
            if chunk:
                yield chunk
            if ended:
                return


def lines_of(chunks: Iterable[bytes], where: str) -> Iterator[bytes]:
    """Lines with their ends; blank ones, of which a file may have millions, come many at once (`ends_in` counts them). Raises
    UnsupportedSource for a line longer than LONGEST_RECORD."""
    held: list[bytes] = []
    size = 0
    for found in chunks:
        is_half = held == [b"\r"]
        chunk = b"\r" + found if is_half else found
        if is_half:
            held, size = [], 0
        blank = 0 if held else _blank_part(chunk)
        if blank:
            yield chunk[:blank]
        if blank == len(chunk):
            continue
        held.append(chunk[blank:])
        size += len(held[-1])
        if not held[:-1] or b"\n" in chunk or b"\r" in chunk or held[-2].endswith(b"\r"):
            lines = b"".join(held).splitlines(keepends=True)
            rest = b"" if lines[-1].endswith(b"\n") else lines.pop()  # a CR may be half of a CRLF
            yield from lines
            held, size = ([rest], len(rest)) if rest else ([], 0)
        if size > LONGEST_RECORD:
            raise too_long(where)
    yield from b"".join(held).splitlines(keepends=True)


def _blank_part(chunk: bytes) -> int:
    """How many bytes of blank lines it begins with, but for a CR at its very end, which may be half of a CRLF."""
    size = len(chunk) - len(chunk.lstrip(b"\r\n"))
    return size - (size == len(chunk) and chunk.endswith(b"\r"))


def ends_in(text: bytes) -> int:
    """How many line ends a text of `lines_of` has."""
    if not text.startswith((b"\r", b"\n")):
        return 1
    return text.count(b"\n") + text.count(b"\r") - text.count(b"\r\n")


class Taken:
    """Lines, counted as they are taken: `frame` takes no line before it needs it."""

    def __init__(self, lines: Iterator[bytes]):
        self._lines = lines
        self.lines = self.bytes = 0

    def __iter__(self) -> Iterator[bytes]:
        for line in self._lines:
            self.lines += ends_in(line)
            self.bytes += len(line)
            yield line


def frame(lines: Iterable[bytes], marks: Marks, where: str) -> Iterator[Framed]:
    """The records of lines. Raises UnsupportedSource for one longer than LONGEST_RECORD."""
    held = bytearray()  # as lines, a long record of short ones would take many times its size
    line = first = 1
    offset = start = 0
    whole = _whole_line(marks)
    for text in lines:
        if not held:
            first, start = line, offset
        line, offset = line + ends_in(text), offset + len(text)
        if not held and (not marks.quote or marks.quote not in text):
            if raw := text.rstrip(b"\r\n"):
                yield Framed(first, start, raw)
            continue
        is_open = not (not held and whole and whole.fullmatch(text)) and _ends_open(text, marks, bool(held))
        held += text
        if len(held) > LONGEST_RECORD:
            raise too_long(where)
        if not is_open:
            while held.endswith((b"\r", b"\n")):  # rstrip would copy a long record
                held.pop()
            yield Framed(first, start, bytes(held))
            held = bytearray()
    if held:
        yield Framed(first, start, bytes(held), is_open=True)


def _whole_line(marks: Marks) -> re.Pattern[bytes] | None:
    """A line whose quotes are all closed, as most are; None: the marks are too special for one quick look."""
    if marks.escape or len(marks.delimiter) != 1 or len(marks.quote) != 1:
        return None
    ends, quote = re.escape(marks.delimiter), re.escape(marks.quote)
    field = b"(?:Q[^Q]*+(?>(?:QQ[^Q]*+)*)Q|[^DQ\r\n]*+)".replace(b"Q", quote).replace(b"D", ends)
    return re.compile(field + b"(?>(?:" + ends + field + b")*)[\r\n]*+")


def _ends_open(text: bytes, marks: Marks, is_open: bool) -> bool:
    """Whether a line ends inside of quotes, where it begins inside of them or not."""
    place = 0
    while True:
        if is_open:
            place = _closed(text, marks, place)
            if place < 0:
                return True
        elif text.startswith(marks.quote, place):
            is_open, place = True, place + len(marks.quote)
            continue
        place = _delimiter(text, marks, place)
        if place < 0:
            return False
        is_open, place = False, place + len(marks.delimiter)


def _closed(text: bytes, marks: Marks, place: int) -> int:
    """Where the quotes are closed again: behind the closing one; -1: not in this line."""
    if not marks.escape:
        closed = _to_closing(marks.quote).match(text, place)
        return closed.end() if closed else -1
    while (found := text.find(marks.quote, place)) >= 0:
        behind = found + len(marks.quote)
        if not _is_escaped(text, marks.escape, place, found):
            return behind
        place = behind
    return -1


@cache
def _to_closing(quote: bytes) -> re.Pattern[bytes]:
    """The rest of a quoted field, inner quotes doubled, with its closing quote."""
    mark = re.escape(quote)
    inner = b"[^" + mark + b"]*+" if len(quote) == 1 else b"(?>(?:(?!" + mark + b").)*)"
    return re.compile(inner + b"(?>(?:" + mark * 2 + inner + b")*)" + mark, re.DOTALL)


def _delimiter(text: bytes, marks: Marks, place: int) -> int:
    start = place
    while (found := text.find(marks.delimiter, start)) >= 0:
        if not marks.escape or not _is_escaped(text, marks.escape, place, found):
            return found
        start = found + len(marks.delimiter)
    return -1


def _is_escaped(text: bytes, escape: bytes, first: int, place: int) -> bool:
    count = 0
    while place - len(escape) >= first and text.startswith(escape, place - len(escape)):
        place, count = place - len(escape), count + 1
    return count % 2 == 1


def too_long(where: str) -> UnsupportedSource:
    """The error for a record that is longer than any may be."""
    return UnsupportedSource(
        f"{where}: a record of more than {LONGEST_RECORD:,} bytes",
        "look for a quote that is never closed; deliver larger values as Parquet, or as files of their own",
    )
