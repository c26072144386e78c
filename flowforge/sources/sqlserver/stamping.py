"""Which clock stamps a timestamp cursor: as the request says, unless the column's own default says otherwise.

A bound by a clock that is ahead of the one that stamps is above rows that are yet to come: they would never be read. Where
request and default disagree the bound stays below both, which loses none, and the run says so.
"""

import re
from typing import Literal

from flowforge.domain.source_columns import SourceColumn

Clock = Literal["unknown", "utc", "local"]

_UTC = re.compile(r"\b(?:sysutcdatetime|getutcdate)\s*\(", re.IGNORECASE)
_LOCAL = re.compile(r"\b(?:sysdatetime|getdate)\s*\(|\bcurrent_timestamp\b", re.IGNORECASE)
_MOVED = re.compile(r"\b(?:dateadd|switchoffset|todatetimeoffset)\s*\(|\bat\s+time\s+zone\b", re.IGNORECASE)
DISAGREES = (
    "{name}: cursorClock is {wanted}, and its default {default} stamps {stamps}: the bound stays below both clocks; "
    "set cursorClock to {stamps}, if what updates the column stamps it so, too"
)


def clock_of(column: SourceColumn, wanted: Clock) -> tuple[Clock, str]:
    """The clock by which a cursor is bounded, and what a person should know of it."""
    stamps = _stamps(column.default or "")
    if stamps is None or wanted in ("unknown", stamps):
        return wanted, ""
    return "unknown", DISAGREES.format(name=column.name, wanted=wanted, default=column.default, stamps=stamps)


def _stamps(default: str) -> Clock | None:
    """The clock that a default names; None where it names none, both, or moves what it takes."""
    utc, local = _UTC.search(default), _LOCAL.search(default)
    if bool(utc) == bool(local) or _MOVED.search(default):
        return None
    return "utc" if utc else "local"
