"""How the columns of a batch differ from those of its silver table, and what follows from that.

Guarantees: pure. A new column is added, one that the source no longer has stays (NULL from then on), and a type grows where every
value it had stays exact and means the same:

    SMALLINT → INTEGER → BIGINT      REAL → DOUBLE      DECIMAL(p,s) → DECIMAL(more than p,s)

Text has no length in silver, so varchar(20) → varchar(50) is no change. date → datetime is refused: a day becomes a moment, and
whoever groups by it gets other groups. So is everything else, until a person has decided on the column's type.
A batch that comes late, from before a change that the table has made already, is taken in as it is.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from flowforge.silver.type_names import shown

WIDER = {
    "SMALLINT": ("INTEGER", "BIGINT"),
    "INTEGER": ("BIGINT",),
    "FLOAT": ("DOUBLE",),
}
_DECIMAL = re.compile(r"DECIMAL\((\d+),(\d+)\)")


@dataclass
class Drift:
    """Differences by kind. `types` are the table's types after the change; `refused` are sentences."""

    types: dict[str, str] = field(default_factory=dict)
    added: dict[str, str] = field(default_factory=dict)
    retyped: dict[str, str] = field(default_factory=dict)
    dropped: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    def changes(self, before: dict[str, str], told: Mapping[str, str] | None = None) -> list[str]:
        """What the batch changes in the table, in sentences; `before` are the table's types, `told` what is known better of an
        added column."""
        own = told or {}
        return [
            *(own.get(name, f"column {name} is new ({shown(kind)})") for name, kind in self.added.items()),
            *(retold(name, before[name], kind) for name, kind in self.retyped.items()),
        ]


def retold(name: str, before: str, after: str) -> str:
    """A change of type, in a sentence."""
    return f"column {name} was {shown(before)} and is {shown(after)} now"


def widens(narrow: str, wide: str) -> bool:
    """Whether every value of `narrow` is exactly a value of `wide`, with the same meaning."""
    if wide in WIDER.get(narrow, ()):
        return True
    ours, theirs = _DECIMAL.fullmatch(narrow), _DECIMAL.fullmatch(wide)
    return bool(ours and theirs and ours[2] == theirs[2] and int(ours[1]) < int(theirs[1]))


def compare(
    ours: dict[str, str], theirs: dict[str, str], decided: dict[str, str], late: bool, own: Collection[str] = ()
) -> Drift:
    """Compares a batch's columns with the table's (name -> DuckDB type both); `late`: a later batch has been applied already;
    `own` are names that are none of the source's."""
    drift = Drift(types=dict(theirs))
    folded = {name.lower(): name for name in theirs}
    for name, kind in ours.items():
        wanted = decided.get(name, kind)
        if name not in theirs and name.lower() in folded:
            drift.refused.append(f"column {folded[name.lower()]} is called {name} now")
        elif name not in theirs:
            drift.added[name] = wanted
        elif name in decided:
            if wanted != theirs[name]:
                drift.retyped[name] = wanted
        elif kind != theirs[name] and widens(theirs[name], kind):
            drift.retyped[name] = kind
        elif kind != theirs[name] and not (late and widens(kind, theirs[name])):
            drift.refused.append(retold(name, theirs[name], kind))
    if not late:
        drift.dropped = [name for name in theirs if name not in ours and name not in own]
    drift.types |= drift.added | drift.retyped
    return drift
