"""A large text that is not compressed, cut into splits by byte range: each is read alone, and together they are the file.

Guarantees: a split begins where a record begins, and has the records that begin in it, whole. Where that is, is not guessed from
the middle of a file, since a quoted field may look like records: one pass over the bytes finds it, with the number and the line
of each split's first record, by the count that checks the parser. So numbers, lines and offsets are those of the whole file.
"""

import re
from collections.abc import Iterator, Sequence

from flowforge.domain.errors import UnsupportedSource
from flowforge.domain.slice_plan import ByteRange
from flowforge.sources.files.container import Content
from flowforge.sources.files.framing import Marks, chunks_of, codec_of, mark_of
from flowforge.sources.files.record_count import STEP, RecordCounter

SPLIT_BYTES = 256 * 2**20
LONE_CR = re.compile(rb"\r(?!\n)")


def find_splits(content: Content, encoding: str, marks: Marks, above: int, below: int, size: int) -> list[ByteRange]:
    """The splits of a text, each of `size` bytes or little more. `above` and `below` are records that are none of the data.
    Raises UnsupportedSource for a content that cannot be read from its middle."""
    codec, own = codec_of(encoding)
    if content.compression != "none" or not own:
        raise UnsupportedSource(
            f"{content.name} is not read in splits: it is compressed, or of an encoding that is not read as it stands",
            "read it at once",
        )
    mark, total = len(mark_of(content, codec)), 0
    found = [part(mark, 0, 1, 1)]
    for at, line, total in _record_starts(content, encoding, marks, min(size, STEP)):
        if total - above >= found[-1].row_number and mark + at - found[-1].start >= size:
            found.append(part(mark + at, at, line, total - above + 1))
    rows = max(total - above - below, 0)
    found = [one for one in found if one.is_first or one.row_number <= rows]
    return with_ends(found, rows)


def part(start: int, offset: int, line: int, row_number: int) -> ByteRange:
    """A part whose end and records are not known yet."""
    return ByteRange(start=start, end=None, offset=offset, line=line, row_number=row_number, records=0)


def with_ends(parts: Sequence[ByteRange], rows: int) -> list[ByteRange]:
    """Parts of so many rows together, each up to the one behind it."""
    behind = [*((one.start, one.row_number) for one in parts[1:]), (None, rows + 1)]
    return [
        one.model_copy(update={"end": end, "records": first - one.row_number})
        for one, (end, first) in zip(parts, behind, strict=True)
    ]


def _record_starts(content: Content, encoding: str, marks: Marks, bytes_at_once: int) -> Iterator[tuple[int, int, int]]:
    """Places behind a line's end where a record begins, with the line and the number of records before; at last the end."""
    counter = RecordCounter(marks)
    held, at, line = b"", 0, 1
    for chunk in chunks_of(content, encoding):
        for start in range(0, len(chunk), bytes_at_once):
            step = chunk[start : start + bytes_at_once]
            counter.add(step)
            held += step
            place, count = counter.begun or (at, 0)
            if place > at and held.endswith(b"\n", 0, place - at):
                line += held.count(b"\n", 0, place - at) + len(LONE_CR.findall(held, 0, place - at))
                held, at = held[place - at :], place
                yield at, line, count
    yield at + len(held), line, counter.total()
