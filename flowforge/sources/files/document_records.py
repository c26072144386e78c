"""The records of a JSON document: the objects of one array, at its root or at a path. Each is read as a line of NDJSON is.

Guarantees: an element that is no object is a reject; a document whose elements cannot be told apart is refused. `counted` shares
no step with what tells the elements apart.
"""

import json
import re
from collections.abc import Generator, Iterable, Iterator
from typing import Self

from events.files import FileContract
from flowforge.domain.errors import UnsupportedSource
from flowforge.sources.files.container import Content
from flowforge.sources.files.framing import Framed, chunks_of
from flowforge.sources.files.json_text import JsonText, elements, find_array, leave
from flowforge.sources.files.ndjson_records import NdjsonRecords
from flowforge.sources.files.pieces import PIECE
from flowforge.sources.files.quick_records import Reader

NEXT_OBJECT = re.compile(r"[}\]]\s*,\s*\{")
NESTED = re.compile(rb"\{[^{}\[\]]*+\}|\[[^{}\[\]]*+\]")
SHAPE = bytes(sign if sign in b"{}[]," else ord("v") for sign in range(256))


class JsonRecords(NdjsonRecords):
    """See records.Records and NdjsonRecords. Raises UnsupportedSource, also while it is read."""

    def __init__(self, content: Content, contract: FileContract, quick: bool = True, piece_bytes: int = PIECE):
        super().__init__(content, contract, quick, piece_bytes)
        self._path = contract.records_at.split(".") if contract.records_at else []

    def __enter__(self) -> Self:
        self._chunks = chunks_of(self._content, self._contract.encoding)
        try:
            self._records = self._elements(self._chunks)
            for _ in range(self._contract.skip_rows):
                next(self._records, None)
        except BaseException:
            self._chunks.close()
            raise
        return self

    def counted(self) -> int:
        """The number of records, by a pass of its own that sees brackets and commas only."""
        chunks = chunks_of(self._content, self._contract.encoding)
        try:
            text = JsonText(chunks, self._content.name)
            find_array(text, self._path)
            count = count_elements(text.rest())
        finally:
            chunks.close()
        return max(count - self._contract.skip_rows - self._contract.skip_footer_rows, 0)

    def _elements(self, chunks: Generator[bytes, None, None]) -> Iterator[Framed]:
        text = JsonText(chunks, self._content.name)
        find_array(text, self._path)
        yield from elements(text)
        leave(text, self._path)

    def _clean_reader(self) -> Reader | None:
        return None

    def _found(self, text: str) -> dict[str, str | None]:
        try:
            return super()._found(text)
        except ValueError:
            if NEXT_OBJECT.search(text) and not _is_json(text):
                raise UnsupportedSource(
                    f"{self._content.name}: an element is no JSON and seems to hold others: a quote or a bracket is open",
                    "mend the document; its elements cannot be told apart",
                ) from None
            raise


def count_elements(chunks: Iterable[bytes]) -> int:
    """The elements of an array from behind its bracket on: what nests is folded to one sign, the commas that stay are counted."""
    count, is_filled, quoted, held, shape = 0, False, 0, b"", b""
    for chunk in chunks:
        data = held + chunk
        whole = data.rstrip(b"\\")
        held = data[len(whole) :]  # a backslash and what it escapes stay together
        parts = whole.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')
        outside = b"v" * quoted + b"v".join(parts[quoted::2])
        quoted ^= 1 - len(parts) % 2
        shape += outside.translate(SHAPE, b" \t\r\n:")
        while (folded := NESTED.sub(b"v", shape)) != shape:
            shape = folded
        end = min((place for sign in b"{[]" if (place := shape.find(sign)) >= 0), default=len(shape))
        before, shape = shape[:end], shape[end:]
        count, is_filled = count + before.count(b","), is_filled or bool(before)
        if shape.startswith(b"]"):
            break
    return count + is_filled


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
