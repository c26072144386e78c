"""Where a column comes from, and how: the words of OpenLineage's columnLineage facet.

    DIRECT      IDENTITY          the value as it is
                TRANSFORMATION    computed from it, row by row
                AGGREGATION       computed from it over rows
    INDIRECT    CONDITIONAL, WINDOW               decides about the value of this column
                JOIN, FILTER, GROUP_BY, SORT      decides about the rows, so about all columns

Guarantees: pure. Along a path of several steps the strongest word holds: what only decides somewhere never becomes a value again.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

DIRECT, INDIRECT = "DIRECT", "INDIRECT"
STRENGTH = {"IDENTITY": 0, "TRANSFORMATION": 1, "AGGREGATION": 2}


@dataclass(frozen=True, order=True)
class Role:
    """How a column takes part; `masking` tells that its value cannot be seen any more."""

    kind: str = DIRECT
    how: str = "IDENTITY"
    masking: bool = False

    def within(self, outer: "Role") -> "Role":
        """The role of a column that has this one inside an expression which has `outer`."""
        masking = self.masking or outer.masking
        if INDIRECT in (self.kind, outer.kind):
            decided = outer if outer.kind == INDIRECT else self
            return replace(decided, masking=masking)
        return Role(DIRECT, max(self.how, outer.how, key=STRENGTH.__getitem__), masking)


IDENTITY = Role()
TRANSFORMATION = Role(DIRECT, "TRANSFORMATION")
AGGREGATION = Role(DIRECT, "AGGREGATION")


@dataclass(frozen=True, order=True)
class Origin:
    """One column that another one comes from. `table` is a name of the lake, such as silver.customers."""

    table: str
    column: str
    role: Role = IDENTITY

    def within(self, outer: Role) -> "Origin":
        """The same origin, seen through an expression."""
        return replace(self, role=self.role.within(outer))


@dataclass(frozen=True)
class ColumnLineage:
    """The origins of each column of a table, and of its rows as a whole."""

    fields: dict[str, frozenset[Origin]] = field(default_factory=dict)
    rows: frozenset[Origin] = frozenset()


def decides(how: str, origins: Iterable[Origin]) -> set[Origin]:
    """The origins as what decides by `how`, each once, whatever it was before."""
    return {Origin(origin.table, origin.column, Role(INDIRECT, how)) for origin in origins}
