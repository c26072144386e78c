# ruff: noqa: S608 - SQL text of quoted names and counted values; no cell or request text is pasted in
"""Keys of a batch that stand in silver beside another spelling, which the source may take for the same key.

Silver compares keys by a form that is never less strict than the source (`engines.duckdb.collations`), so an update of a key
may arrive as a new row, beside its old one. Which keys may be one is told by `engines.duckdb.near_texts`; whether they are,
only the source knows.

Guarantees: looks at silver after the batch's commit, at current rows only and for rows that this batch has written; reads the key
columns alone, and compares nothing unless a text is there that may have another spelling. Two rows that the source has told
apart in this very load are two keys. A look that fails is told in the note's place, and fails nothing.
"""

from collections.abc import Iterable

from flowforge.domain.batch import Batch
from flowforge.domain.errors import FlowForgeError
from flowforge.domain.given import given
from flowforge.engines.base import EngineError, Session
from flowforge.engines.duckdb.folding import TEXT
from flowforge.engines.duckdb.near_texts import Near, near_of
from flowforge.engines.duckdb.sql import identifier
from flowforge.engines.registry import ENGINE
from flowforge.silver.decisions import decisions_of
from flowforge.silver.matching import with_forms
from flowforge.silver.plan import CURRENT, DELETED, GENERATION, SEQ, RefinePlan
from flowforge.silver.reading import plan_of
from flowforge.tables.base import LakeTable
from flowforge.tables.lake import open_table, store_errors, table_uri
from flowforge.tables.rows import column_types, rows_query

EXAMPLES, CHARACTERS = 3, 40  # pairs that are shown, and how much of each text
MINE, NEAR = "_flowforge_mine", "_flowforge_near"
FOUND = (
    "{name}: beside {count:,} of its keys stands another spelling that the source may take for the same key, by its "
    "collation {collations}: {columns} {examples}; flowforge reconcile {table} tells which of them the source has, and a load "
    "with bronzeConfig.loadStrategy full_refresh takes out the others"
)
FAILED = "{name}: keys in other spellings, which the source may take for the same, were not looked for: {why}"


def may_be_near(batch: Batch, plan: RefinePlan) -> bool:
    """Whether a batch with this plan may have a key that stands in silver in another spelling: by its columns alone, for whoever
    has the plan, so that nothing is opened and read to find that no key is a text."""
    columns = dict(zip(plan.source, given(batch.manifest).columns, strict=False))
    found = [columns[name] for name in plan.key_folds if name in columns]
    return not _all_in_load(plan) and (any(map(near_of, found)) or len(found) < len(plan.key_folds))


def near_key_notes(batch: Batch, bucket: str) -> list[str]:
    """The note for the run of a batch that silver holds; none where no key may be another's."""
    silver = batch.command.silver
    doubtful = any(near_of(column) for column in given(batch.manifest).columns)
    if not doubtful or silver.strategy not in ("merge", "scd2") or silver.key_comparison == "exact":
        return []
    name = f"silver.{silver.table}"
    try:
        with store_errors(name), ENGINE.session() as connection:
            table = open_table(table_uri(bucket, "silver", silver.table))
            return _notes(connection, batch, table, name) if table is not None else []
    except (FlowForgeError, EngineError) as error:
        return [FAILED.format(name=name, why=error)]


def _notes(connection: Session, batch: Batch, table: LakeTable, name: str) -> list[str]:
    plan = plan_of(connection, batch, decisions_of(table).key)
    types = column_types(connection, table)
    nears = _nears(plan, batch, types)
    if not nears or _all_in_load(plan):
        return []
    rows = _current(plan, rows_query(connection, table), types)
    images = {column: _images(connection, near, column, rows) for column, near in nears.items()}
    if not any(map(bool, images.values())):
        return []
    groups = _groups(plan, rows, types, {c: n.sql(identifier(c), images[c] or {}) for c, n in nears.items()})
    found = connection.execute(f"SELECT *, count(*) OVER () FROM ({groups}) ORDER BY ALL LIMIT {EXAMPLES}").fetchall()
    if not found:
        return []
    told = {
        "count": found[0][-1],
        "collations": ", ".join(dict.fromkeys(near.collation for near in nears.values())),
        "columns": ", ".join(_shown_columns(plan)),
        "examples": "; ".join(f"{_shown(one)} and {_shown(other)}" for one, other, _ in found),
        "table": batch.command.silver.table,
    }
    return [FOUND.format(name=name, **told)]


def _all_in_load(plan: RefinePlan) -> bool:
    """Whether all that silver still has was in this load, and was told apart there."""
    return plan.refreshes and plan.source_tells_apart


def _nears(plan: RefinePlan, batch: Batch, types: dict[str, str]) -> dict[str, Near]:
    """The key columns whose texts may have other spellings, by their names in silver."""
    columns = dict(zip(plan.source, given(batch.manifest).columns, strict=True))
    texts = [name for name in plan.key_folds if types.get(name) == TEXT]
    return {name: near for name in texts if (near := near_of(columns[name]))}


def _current(plan: RefinePlan, rows: str, types: dict[str, str]) -> str:
    """The keys that silver has now, and whether this batch has written their rows."""
    standing = {CURRENT: CURRENT, DELETED: f"{DELETED} IS NOT TRUE"}
    kept = [condition for column, condition in standing.items() if column in types]
    mine = f"({GENERATION}, {SEQ}) = ({plan.generation}, {plan.seq}) AS {MINE}"
    return f"SELECT {', '.join(map(identifier, plan.key))}, {mine} FROM ({rows}) WHERE {' AND '.join(kept) or 'true'}"


def _images(connection: Session, near: Near, column: str, rows: str) -> dict[str, str] | None:
    """What characters of a column may be taken for; None where no text may be taken for another."""
    text = identifier(column)
    query = f"SELECT DISTINCT unnest({near.characters(text)}) FROM ({rows}) WHERE {near.odd(text)}"
    characters = [character for (character,) in connection.execute(query).fetchall()]
    images = near.images(characters)
    return images if images or "" in characters else None


def _groups(plan: RefinePlan, rows: str, types: dict[str, str], nears: dict[str, str]) -> str:
    """A row for each set of near keys with one of the batch: two of them, as lists of texts in the order of the key."""
    made = ", ".join(f"{form} AS {identifier(NEAR + name)}" for name, form in nears.items())
    strictly = with_forms(plan, rows, {name: kind for name, kind in types.items() if name in plan.key})
    keys = f"SELECT *, {made} FROM ({strictly})"
    compared = [identifier(NEAR + name if name in nears else match) for name, match in plan.matches.items()]
    told = ", ".join(f"coalesce(CAST({identifier(name)} AS VARCHAR), 'NULL')" for name in _shown_columns(plan))
    same = " AND ".join(f"s.{name} IS NOT DISTINCT FROM t.{name}" for name in compared)
    close = f"SELECT s.* FROM ({keys}) s SEMI JOIN (SELECT * FROM ({keys}) WHERE {MINE}) t ON {same}"
    strict = ", ".join(identifier(match) for match in plan.matches.values())
    pairs = f"min([{told}]) FILTER ({MINE}) AS _flowforge_one, min([{told}]) FILTER (NOT {MINE}) AS _flowforge_other"
    kept = f"bool_or({MINE}) AND NOT bool_and({MINE})"
    if not plan.source_tells_apart:
        pairs, kept = f"min([{told}]) AS _flowforge_one, max([{told}]) AS _flowforge_other", f"bool_or({MINE})"
    spellings = f"count(DISTINCT ({strict})) > 1"
    return f"SELECT {pairs} FROM ({close}) GROUP BY {', '.join(compared)} HAVING {kept} AND {spellings}"


def _shown_columns(plan: RefinePlan) -> list[str]:
    return [name for name in plan.key if name not in plan.digits]


def _shown(key: Iterable[str]) -> str:
    parts = [repr(text if len(text) <= CHARACTERS else text[:CHARACTERS] + "…") for text in key]
    return parts[0] if len(parts) == 1 else f"({', '.join(parts)})"
