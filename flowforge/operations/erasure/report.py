"""What an erasure found and did, without the values of its key."""

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Layer:
    """What a part of the lake holds: `objects` that were looked through, how many of them hold rows of the person, and how many
    rows. `rows` None: the table has not the key's columns, so nobody can tell. `follows`: it is built anew in any case."""

    name: str
    objects: int
    holding: int
    rows: int | None
    follows: bool = False


@dataclass(frozen=True)
class Erasure:
    """`found` is what was there before, `remains` what is there afterwards (of a dry run nothing is told), `left` what the
    command could not do, in words, and `notes` what it does not do.

    `table` is silver's; `columns` are those of the key that was given.
    """

    id: str
    table: str
    source_key: str
    columns: list[str]
    found: list[Layer]
    applied: bool = False
    erased: dict[str, int] = field(default_factory=dict[str, int])
    remains: list[Layer] = field(default_factory=list[Layer])
    left: list[str] = field(default_factory=list[str])
    notes: list[str] = field(default_factory=list[str])

    @property
    def is_found(self) -> bool:
        """Whether anything holds rows of the person."""
        return any(layer.rows for layer in self.found)

    def document(self) -> dict[str, Any]:
        """The result as JSON has it."""
        return asdict(self)
