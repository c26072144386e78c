# ruff: noqa: S608 - SQL text of quoted names and counted values; no cell or request text is pasted in
"""Two versions of one table, row by row: what the one holds and the other does not, by ranges of the key.

Guarantees: every column of every row counts (but those that are named), in the types of the new version; a column or a type that
only one version has is a difference of its own. Memory is bounded: of a row its key and 128 bits are kept, and tables spill.
"""

from collections.abc import Container, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from flowforge.domain.given import given
from flowforge.engines.base import Session
from flowforge.engines.duckdb.sql import identifier, literal
from flowforge.silver.type_names import shown
from flowforge.tables.rows import types_of

EXAMPLES = 3
CONTENT, ROWS, HASH = "_flowforge_content", "_flowforge_rows", "_flowforge_hash"


@dataclass(frozen=True)
class VersionRange:
    """A range of keys in their order; counts are rows, checksums cover every column. `missing` rows are only in the new version,
    `extra` ones only in the present one."""

    first: str
    last: str
    rows: int
    new_rows: int
    missing: int
    extra: int
    changed: int
    checksum: str
    new_checksum: str
    examples: list[str] = field(default_factory=list)

    @property
    def differs(self) -> bool:
        """Whether the versions hold other rows in this range."""
        return bool(self.missing or self.extra or self.changed)


@dataclass(frozen=True)
class VersionDifference:
    """What two versions of a table have in common and what not; `columns` are sentences about columns and types."""

    rows: int | None
    new_rows: int
    columns: list[str]
    ranges: list[VersionRange]
    unreadable: str | None = None

    @property
    def equal(self) -> bool:
        """Whether both hold the same rows, value by value."""
        return not (self.columns or self.unreadable or any(one.differs for one in self.ranges))

    def document(self) -> dict[str, Any]:
        """The result as JSON has it: of the ranges those that differ, and how many there are."""
        differing = [asdict(one) for one in self.ranges if one.differs]
        return asdict(self) | {"equal": self.equal, "ranges": differing, "ranges_compared": len(self.ranges)}


def compare_versions(
    engine: Session,
    present: str | None,
    new: str,
    identity: Sequence[str],
    rows_per_range: int,
    ignored: Container[str] = (),
) -> VersionDifference:
    """Compares the queries `present` (None: there is no such version) and `new`; `identity` are the columns that tell rows apart,
    the rows' whole content where there are none. The values of `ignored` columns may differ."""
    new_types = types_of(engine.sql(new))
    if present is None:
        return VersionDifference(None, _count(engine, new), [], [], "there is no such table")
    types = types_of(engine.sql(present))
    columns = _column_differences(types, new_types)
    common = [name for name in new_types if name in types and name not in ignored]
    if any(name not in common for name in identity):
        return VersionDifference(_count(engine, present), _count(engine, new), columns, [])
    for side, query, own in (("present", present, types), ("new", new, new_types)):
        keys = {name: _converted(name, own[name], new_types[name]) for name in identity}
        hashed = _hashed(common, own, new_types)
        items = [f"{text} AS {identifier(name)}" for name, text in keys.items()] or [f"{hashed} AS {CONTENT}"]
        names = ", ".join(identifier(name) for name in keys or [CONTENT])
        engine.execute(
            f"CREATE OR REPLACE TEMP TABLE side_{side} AS SELECT {names}, count(*) AS {ROWS}, bit_xor({HASH}) AS {HASH} "
            f"FROM (SELECT {', '.join(items)}, {hashed} AS {HASH} FROM ({query})) GROUP BY {names}"
        )
    return _joined(engine, list(identity) or [CONTENT], columns, rows_per_range)


def _joined(engine: Session, keys: list[str], columns: list[str], rows_per_range: int) -> VersionDifference:
    same = " AND ".join(f"a.{identifier(name)} IS NOT DISTINCT FROM b.{identifier(name)}" for name in keys)
    chosen = [f"coalesce(a.{identifier(name)}, b.{identifier(name)})" for name in keys]
    shown = ", ".join(f"coalesce(CAST({value} AS VARCHAR), 'NULL')" for value in chosen)
    # None of the table's own names from here on: they may be those of this query.
    numbered = (
        f"SELECT array_to_string([{shown}], '/') AS k, row_number() OVER (ORDER BY {', '.join(chosen)}) AS p, "
        f"coalesce(a.{ROWS}, 0) AS n, coalesce(b.{ROWS}, 0) AS m, a.{HASH} AS h, b.{HASH} AS g "
        f"FROM side_present a FULL JOIN side_new b ON {same}"
    )
    found = engine.execute(
        f"SELECT (p - 1) // {int(rows_per_range)} AS part, arg_min(k, p), arg_max(k, p), sum(n)::BIGINT, sum(m)::BIGINT, "
        "sum(greatest(m - n, 0))::BIGINT, sum(greatest(n - m, 0))::BIGINT, count(*) FILTER (n = m AND h <> g), "
        "printf('%032x', bit_xor(h)), printf('%032x', bit_xor(g)), "
        f"min(k, {EXAMPLES}) FILTER (n <> m OR h <> g) FROM ({numbered}) GROUP BY part ORDER BY part"
    ).fetchall()
    ranges = [
        VersionRange(first, last, rows, new_rows, missing, extra, changed, h or "", g or "", examples or [])
        for _, first, last, rows, new_rows, missing, extra, changed, h, g, examples in found
    ]
    return VersionDifference(sum(one.rows for one in ranges), sum(one.new_rows for one in ranges), columns, ranges)


def _count(engine: Session, query: str) -> int:
    return given(engine.execute(f"SELECT count(*) FROM ({query})").fetchone())[0]


def _column_differences(types: dict[str, str], new: dict[str, str]) -> list[str]:
    return [
        *(f"column {name} is missing" for name in new if name not in types),
        *(f"column {name} does not come from bronze" for name in types if name not in new),
        *(
            f"column {name} is {shown(types[name])}, bronze makes it {shown(kind)}"
            for name, kind in new.items()
            if name in types and types[name] != kind
        ),
    ]


def _converted(name: str, own: str, wanted: str) -> str:
    return identifier(name) if own == wanted else f"TRY_CAST({identifier(name)} AS {wanted})"


def _hashed(columns: list[str], own: dict[str, str], wanted: dict[str, str]) -> str:
    """128 bits of every column's name, length and text; a NULL is left out."""
    parts = []
    for name in sorted(columns):
        text = f"CAST({_converted(name, own[name], wanted[name])} AS VARCHAR)"
        parts.append(f"{literal(f'{len(name)}:{name}=')} || length({text}) || ':' || {text}")
    return f"md5_number(concat({', '.join(parts)}))"
