"""A JSON document as bytes: where its array of records is, and each element with its line and its first byte's offset.

Elements are told apart by quotes and brackets alone, and their texts are not looked into. One pass; memory is that of an element,
at most LONGEST_RECORD bytes; what stands beside the array is passed over.
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence

from flowforge.domain.errors import UnsupportedSource
from flowforge.sources.files.framing import CHUNK, LONGEST_RECORD, Framed

BLANKS = re.compile(rb"[ \t\r\n]*+")
STRING = rb'"(?>(?:[^"\\]++|\\.)*)"'
SCALAR = rb'[^ \t\r\n,:"{}\[\]]++'
TOKENS = re.compile(STRING + rb'|[{}\[\]"]', re.DOTALL)
DEPTH = 4  # of what one pattern takes at once; what is nested deeper is gone through by its tokens
CLOSING = {ord("{"): ord("}"), ord("["): ord("]")}


def _whole(depth: int) -> bytes:
    """The pattern of a value whose brackets are nested so deeply at most."""
    if not depth:
        return STRING
    inner = rb'(?>(?:[^"{}\[\]]++|' + _whole(depth - 1) + (rb"|" + STRING if depth > 1 else b"") + rb")*)"
    return rb"\{" + inner + rb"\}|\[" + inner + rb"\]"


VALUE = re.compile(_whole(DEPTH) + b"|" + STRING + b"|" + SCALAR, re.DOTALL)

OR_LINES = "set format ndjson if it has one object a line"


class JsonText:
    """The text from a place on. All of it raises UnsupportedSource, with the line, where it is not what JSON is."""

    def __init__(self, chunks: Iterable[bytes], where: str):
        self._chunks, self._where = iter(chunks), where
        self._buffer, self._place, self._ended = b"", 0, False
        self._offset = 0  # of the buffer's first byte
        self._line, self._counted = 1, 0  # the line of the byte `_counted` of the buffer

    def next_sign(self) -> bytes:
        """The byte behind any blanks; empty at the end."""
        while True:
            found = BLANKS.match(self._buffer, self._place)
            self._place = found.end() if found else self._place
            if self._place < len(self._buffer) or self._ended:
                return self._buffer[self._place : self._place + 1]
            self._more()

    def take(self, *signs: bytes) -> bytes:
        """Goes behind the next sign, which must be one of these."""
        if (found := self.next_sign()) not in signs:
            shown = " or ".join(sign.decode() for sign in signs)
            raise self.refused(f"{shown} is expected" if found else f"the document ends, where {shown} is expected")
        self._place += 1
        return found

    def value(self) -> Framed:
        """The next value, whole."""
        self.next_sign()
        line, offset = self._here(), self._offset + self._place
        while True:
            found = VALUE.match(self._buffer, self._place)
            end = found.end() if found else self._end_by_tokens()
            if end == self._place:
                raise self.refused("a value is expected")
            if end - self._place > LONGEST_RECORD:
                raise self.refused(f"a value of more than {LONGEST_RECORD:,} bytes")
            if 0 < end < len(self._buffer) or (end > 0 and self._ended):
                raw, self._place = self._buffer[self._place : end], end
                return Framed(line, offset, raw)
            if self._ended:
                raise self.refused(
                    "a value begins that does not end: the file is cut off, or a quote or a bracket is open"
                )
            if len(self._buffer) - self._place > LONGEST_RECORD:
                raise self.refused(f"a value of more than {LONGEST_RECORD:,} bytes")
            self._more()

    def skip(self) -> None:
        """Goes behind the next value, however large it is."""
        if self.next_sign() not in (b"{", b"["):
            self.value()
            return
        depth = 0
        while True:
            for token in TOKENS.finditer(self._buffer, self._place):
                sign = token[0]
                if sign == b'"':
                    break  # a string that goes on
                self._place = token.end()
                depth += (sign in (b"{", b"[")) - (sign in (b"}", b"]"))
                if not depth:
                    return
            else:
                self._place = len(self._buffer)
            if self._ended:
                raise self.refused("the document ends within a value")
            if len(self._buffer) - self._place > LONGEST_RECORD:
                raise self.refused(f"a text of more than {LONGEST_RECORD:,} bytes")
            self._more()

    def rest(self) -> Iterator[bytes]:
        """The bytes from here on."""
        yield self._buffer[self._place :]
        yield from self._chunks

    def refused(
        self, problem: str, remedy: str = "deliver it again, as JSON; NDJSON has one object a line"
    ) -> UnsupportedSource:
        return UnsupportedSource(f"{self._where}: line {self._here():,}: {problem}", remedy)

    def _here(self) -> int:
        self._line += self._buffer.count(b"\n", self._counted, self._place)
        self._counted = self._place
        return self._line

    def _more(self) -> None:
        """As much again as is held, so that a long value is tried a few times only."""
        self._here()
        kept = self._buffer[self._place :]
        parts, size = [kept], 0
        while size < max(CHUNK, len(kept)):
            chunk = next(self._chunks, b"")
            if not chunk:
                self._ended = True
                break
            parts.append(chunk)
            size += len(chunk)
        self._offset += self._place
        self._buffer, self._place, self._counted = b"".join(parts), 0, 0

    def _end_by_tokens(self) -> int:
        """Behind the value, whose brackets must fit each other; -1 where it goes on, its own place where there is none."""
        if self._buffer[self._place : self._place + 1] not in (b"{", b"[", b'"'):
            return self._place
        open_ones: list[int] = []
        for token in TOKENS.finditer(self._buffer, self._place):
            sign = token[0]
            if sign in (b"{", b"["):
                open_ones.append(CLOSING[sign[0]])
            elif sign in (b"}", b"]"):
                if open_ones.pop() != sign[0]:
                    raise self.refused(f"in the value that begins here, {sign.decode()} closes what it did not open")
                if not open_ones:
                    return token.end()
            elif sign == b'"':
                return -1
        return -1


def find_array(text: JsonText, path: Sequence[str]) -> None:
    """Goes into the array at a path of names; behind it, `leave` goes to the document's end."""
    for name in path:
        if text.next_sign() not in (b"{", b""):
            raise _no_array(text, path)
        text.take(b"{")
        if text.next_sign() == b"}":
            raise _no_array(text, path)
        while _name(text) != name:
            text.skip()
            if text.take(b",", b"}") == b"}":
                raise _no_array(text, path)
    if text.next_sign() != b"[":
        if path:
            raise _no_array(text, path)
        raise text.refused(
            "the document is no array of records", f"name the path of the array in recordsAt; {OR_LINES}"
        )
    text.take(b"[")


def elements(text: JsonText) -> Iterator[Framed]:
    """The elements of the array that the text is in."""
    if text.next_sign() == b"]":
        text.take(b"]")
        return
    while True:
        yield text.value()
        if text.take(b",", b"]") == b"]":
            return


def leave(text: JsonText, path: Sequence[str]) -> None:
    """Goes through what is behind the array. A second one at the path, or a second document, is refused: it would be lost."""
    for name in reversed(path):
        while text.take(b",", b"}") == b",":
            if _name(text) == name:
                raise text.refused(f"a second {name!r} in one object")
            text.skip()
    if text.next_sign():
        raise text.refused("text stands behind the document's end")


def arrays_in(text: JsonText) -> Iterator[str]:
    """The paths of the arrays of objects in the document, which is an object."""
    text.take(b"{")
    if text.next_sign() == b"}":
        text.take(b"}")
        return
    while True:
        name = _name(text)
        if text.next_sign() == b"{":
            yield from (f"{name}.{inner}" for inner in arrays_in(text))
        elif text.next_sign() == b"[":
            text.take(b"[")
            if text.next_sign() == b"{":
                yield name
            for _ in elements(text):
                pass
        else:
            text.skip()
        if text.take(b",", b"}") == b"}":
            return


def _name(text: JsonText) -> str:
    framed = text.value()
    try:
        name = json.loads(framed.raw)
    except ValueError:
        name = None
    if not isinstance(name, str):
        raise text.refused("a field's name is expected")
    text.take(b":")
    return name


def _no_array(text: JsonText, path: Sequence[str]) -> UnsupportedSource:
    return text.refused(
        f"there is no array at {'.'.join(path)}, which recordsAt names",
        f"name the path that it has, without one where the document is the array; {OR_LINES}",
    )
