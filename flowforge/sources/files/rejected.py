"""A portion of a file's records as texts, and the records that could not be read."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pyarrow as pa

LONGEST_RAW = 65_536  # characters of a rejected record that are kept


@dataclass(frozen=True)
class Rejected:
    """A record that does not land. `row_number` counts data records from 1; `line` and `byte_offset` are where it begins, None
    where a format has none. `raw` is its text, cut to LONGEST_RAW, which it then says. `reason` shows no value of it.
    """

    row_number: int
    line: int | None
    byte_offset: int | None
    raw: str
    reason: str
    column: str = ""


@dataclass(frozen=True)
class Portion:
    """Some records in their order. `texts` has string columns, named as the contract's fields; where a format has types, its own.

    `row_numbers` (int64) are those of `texts`; the records of `rejected` have numbers between them. `lines` and `byte_offsets`
    (int64) tell where each of `texts` begins, where that is known; `locate` finds both, where it takes time.
    """

    texts: pa.RecordBatch
    row_numbers: pa.Array
    rejected: list[Rejected] = field(default_factory=list)
    lines: pa.Array | None = None
    byte_offsets: pa.Array | None = None
    locate: Callable[[], tuple[pa.Array, pa.Array]] | None = None

    def places(self) -> tuple[pa.Array | None, pa.Array | None]:
        """The lines and the byte offsets of `texts`."""
        return self.locate() if self.locate else (self.lines, self.byte_offsets)


def cut_raw(text: str) -> str:
    """The text of a record as a reject keeps it."""
    if len(text) <= LONGEST_RAW:
        return text
    return f"{text[:LONGEST_RAW]}… (cut: {len(text):,} characters)"
