"""Whether the inputs of a gold model are of one moment (`consistentCut`), those of gold tables among them.

A silver table tells itself which cut it holds, or that it is to hold one; a gold table that was last built before that does not.
It is then known by what its build was made of.
"""

from collections.abc import Callable, Mapping

from flowforge.domain.names import TableName
from flowforge.gold.transactions import built_from
from flowforge.tables.base import LakeTable
from flowforge.tables.cuts import HeldCut, common_cut, held_cut

Look = Callable[[TableName], LakeTable | None]


def are_to_be_looked_at(tables: Mapping[TableName, LakeTable]) -> list[TableName]:
    """The tables that hold no cut beside others that do: they may have been told since their handles were opened."""
    held = {name: held_cut(table) for name, table in tables.items()}
    return (
        [name for name, cut in held.items() if cut is None] if any(cut and cut.is_held for cut in held.values()) else []
    )


def common_moment(tables: Mapping[TableName, LakeTable], look: Look) -> tuple[HeldCut | None, str]:
    """As `common_cut`; `look` opens a table. Of a gold table whose build is no longer in its log nothing is known."""
    cut, apart = common_cut(tables)
    if cut is None or not cut.is_held:
        return cut, apart
    for name, table in tables.items():
        source = None if held_cut(table) else _source_of_cut(name, table, look)
        if source is not None:
            return (
                None,
                f"{name} was built before {source} was of a cut: it is not as of version {cut.version}",
            )
    return cut, ""


def _source_of_cut(name: TableName, table: LakeTable, look: Look) -> TableName | None:
    """What a gold table that was at no cut is made of, directly or through others, and is at one now, or is to be."""
    if name.layer != "gold":
        return None
    for read in built_from(table):
        source = look(read)
        if source is None:
            continue
        if held_cut(source) is not None:
            return read
        if (found := _source_of_cut(read, source, look)) is not None:
            return found
    return None
