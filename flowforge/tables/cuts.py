"""Which moment of its source a lake table is as of, as application transactions of its commits.

A table that is new to a cut is told so in its own log, before any other of the cut reaches silver: until its own rows are of the
cut, too, no model reads it beside them.

    flowforge/cut           the version of the source's database; -1: the table is to be at one, and its rows are of none
    flowforge/cut/history   a number for that database and its history, since another one has versions of its own

Guarantees: read on the handle whose rows are read, so they tell of these rows and of no others. Neither expires.
"""

import json
from collections.abc import Mapping
from typing import NamedTuple

from flowforge.domain.cut import Cut
from flowforge.domain.names import TableName
from flowforge.tables.base import UPKEEP, LakeTable, once

VERSION, HISTORY = "flowforge/cut", "flowforge/cut/history"
METADATA = "flowforge.cut"  # of the commit that brings a cut, for people
NONE = -1  # a database's first version is 0


class HeldCut(NamedTuple):
    """The cut that a table holds, or held (NONE)."""

    history: int
    version: int

    @property
    def is_held(self) -> bool:
        """Whether the rows are of it."""
        return self.version != NONE

    @property
    def transactions(self) -> dict[str, int]:
        """What a commit names."""
        return {VERSION: self.version, HISTORY: self.history}

    @property
    def told(self) -> dict[str, str]:
        """What a commit's metadata tells of it, for people."""
        return {METADATA: json.dumps({"version": self.version})} if self.is_held else {}


def held_cut(table: LakeTable) -> HeldCut | None:
    """The cut of a table's rows; None for a table that never was at one."""
    version = table.transaction_version(VERSION)
    return None if version is None else HeldCut(table.transaction_version(HISTORY) or 0, version)


def shown_cut(table: LakeTable) -> int | None:
    """The same for people: the version; None also where it holds none any more."""
    held = held_cut(table)
    return held.version if held and held.is_held else None


def following_cut(table: LakeTable, cut: Cut | None) -> dict[str, int]:
    """What the commit of a batch names, which is of a cut or of none."""
    if cut is not None:
        return HeldCut(cut.history, cut.version).transactions
    held = held_cut(table)
    return held._replace(version=NONE).transactions if held else {}


def announce_cut(table: LakeTable | None, cut: Cut) -> None:
    """Commits to a table that never was at a cut that it is to be; one that is not there yet comes with its cut. Raises Moved."""
    if table is not None and held_cut(table) is None:
        table.swap([], [], once(HeldCut(cut.history, NONE).transactions, {UPKEEP: METADATA}))


def common_cut(tables: Mapping[TableName, LakeTable]) -> tuple[HeldCut | None, str]:
    """The one cut that tables hold (None: they never were at one), and else why there is none.

    A table that never was at a cut stands beside any: nobody has asked for it to be of one moment with others. Where all were
    loaded without since, nobody asks for it any more.
    """
    held = {name: cut for name, table in tables.items() if (cut := held_cut(table)) is not None}
    if len(set(held.values())) <= 1 or not any(cut.is_held for cut in held.values()):
        return next(iter(held.values()), None), ""
    if len({cut.history for cut in held.values()}) > 1:
        names = ", ".join(map(str, sorted(held)))
        return (
            None,
            f"{names} are of different databases, or of one before and after a restore: no moment is common to them",
        )
    told = [
        f"{name} is at version {cut.version}" if cut.is_held else f"{name} was loaded without consistentCut"
        for name, cut in sorted(held.items())
    ]
    return None, f"its inputs are not of one moment of the database: {', '.join(told)}"
