"""Where two documents, or two texts, differ. Pure."""

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

LINES_SHOWN = 20  # of a text that changes


@dataclass(frozen=True)
class Field:
    """A field that changes; None where it is not there."""

    name: str
    before: Any
    after: Any


def fields_of(before: Any, after: Any, path: str = "") -> Iterator[Field]:
    """The fields of two documents that differ, the innermost."""
    if isinstance(before, dict) and isinstance(after, dict):
        for name in [*after, *(name for name in before if name not in after)]:
            yield from fields_of(before.get(name), after.get(name), f"{path}.{name}" if path else name)
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for place, (old, new) in enumerate(zip(before, after, strict=True)):
            yield from fields_of(old, new, f"{path}[{place}]")
    elif before != after:
        yield Field(path, before, after)


def lines_of(before: str, after: str) -> Iterator[Field]:
    """The first lines of a text that differ."""
    old, new = before.splitlines(), after.splitlines()
    shown = 0
    for kind, a, b, c, d in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        for place in range(max(b - a, d - c) if kind != "equal" else 0):
            was = old[a + place] if a + place < b else None
            now = new[c + place] if c + place < d else None
            if shown == LINES_SHOWN:
                yield Field("…", None, "and more lines")
                return
            shown += 1
            yield Field(f"line {min(c + place, d) + 1}", was, now)
    if not shown:
        yield Field("end of lines", None, "differ")
