# ruff: noqa: S608 - SQL text of quoted names and counted values; no cell or request text is pasted in
"""SQL of the strategy scd2: which versions of a key a batch adds, changes and removes.

Guarantees: pure text. A key's versions are told apart by `_valid_from`, do not overlap and are closed by the next one; content
that does not differ from the version before makes none. A state is dated by its batch's cursor where that is a time, else by the
batch's own time; of two states of one moment the later batch's counts. Late ones are slotted in between their neighbours. A
full load that was applied before a late batch has seen every key after it: what it saw holds again from its time on. A batch
that tells of some keys only, and of no time, leaves its order and audit columns at a state that it says again: so a late batch
knows that the state came after its own.

The steps read the relations `staged` (the batch, with APPLIES) and `target` (the table), both in the same columns and with those
of `RefinePlan.matches`, by which keys are compared. They leave
`moves`: which versions are inserted, updated, deleted, or only end at another time; and `changes`: those that are inserted or
updated with all their columns. But for a refresh, which looks for keys that are gone, they look at the versions of the batch's
keys and no others, and hold of these times and a hash: memory does not grow with the table, nor with the width of its rows.
"""

from collections.abc import Iterable, Mapping

from flowforge.domain.own_columns import APPLIES, GONE
from flowforge.engines.duckdb.sql import identifier, literal
from flowforge.silver.matching import keys_of, same_key
from flowforge.silver.plan import CURRENT, GENERATION, SEQ, SURROGATE, VALID_FROM, VALID_TO, RefinePlan
from flowforge.silver.staging import surrogate_key
from flowforge.silver.timeline import NEW, ORDER, happened, versions
from flowforge.silver.transactions import Load

STAGED, TARGET, MOVES, CHANGES = "staged", "target", "moves", "changes"
HIDDEN = "_flowforge_rowid"
INSERT, UPDATE, DELETE, END, SAID_AGAIN = "insert", "update", "delete", "end", "again"


def keys_with_several_states(plan: RefinePlan) -> str:
    """Their number in the batch."""
    keys = keys_of(plan)
    return f"SELECT count(*) FROM (SELECT {keys} FROM {STAGED} WHERE {APPLIES} GROUP BY {keys} HAVING count(*) > 1)"


def first_versions(plan: RefinePlan, *, several: bool) -> str:
    """The versions of an empty table: one for each staged row, closed by the next of its key where a key has `several`.

    Without that the rows stay in the batch's order, by which later merges pass by most files.
    """
    until = f"lead({VALID_FROM}) OVER (PARTITION BY {keys_of(plan)} ORDER BY {VALID_FROM})" if several else VALID_TO
    internal = f"{APPLIES}, {GONE}" if plan.follows_changes else APPLIES
    columns = f"* EXCLUDE ({internal}) REPLACE ({surrogate_key(plan, True)} AS {SURROGATE}, {until} AS {VALID_TO})"
    rows = f"SELECT {columns} FROM {STAGED} WHERE {APPLIES}"
    return f"SELECT * REPLACE ({VALID_TO} IS NULL AS {CURRENT}) FROM ({rows})"


def steps(plan: RefinePlan, types: Mapping[str, str], confirmed: Load | None) -> list[str]:
    """Statements to run in order; `types` are the table's columns, `confirmed` the next full load after a late batch."""
    kind = "VIEW" if plan.refreshes else "TABLE"  # a refresh has all keys, of which few have changed
    made = {
        "changed_rows": _changed(plan, types, confirmed),
        "gone": _gone(plan, confirmed),
        "held_rows": _held(plan, types),
        "happened": happened(plan, confirmed),
        "versions": versions(plan),
        MOVES: _moves(plan),
    }
    rowids = {"changed_rows": _rowid_among(types), "held_rows": _rowid_among(plan.key)}
    tables = [
        f"CREATE OR REPLACE TEMP TABLE {name} AS {_without_rowid(query, rowids.get(name))}"
        for name, query in made.items()
    ]
    return [
        f"CREATE OR REPLACE TEMP {kind} touched AS {_touched(plan, types)}",
        tables[0],
        _numbered("changed", rowids["changed_rows"]),
        *tables[1:3],
        _numbered("held", rowids["held_rows"]),
        *tables[3:],
        f"CREATE OR REPLACE TEMP VIEW {CHANGES} AS {_changes(plan, list(types), confirmed)}",
        "DROP VIEW held",
        f"DROP {kind} touched",
        *(f"DROP TABLE {name}" for name in ("held_rows", "happened", "versions")),
    ]


def _rowid_among(columns: Iterable[str]) -> str | None:
    """The column that is called `rowid`, in whatever case, and would hide DuckDB's own."""
    return next((name for name in columns if name.lower() == "rowid"), None)


def _without_rowid(query: str, rowid: str | None) -> str:
    """The rows with another name for that column."""
    return f"SELECT * RENAME ({identifier(rowid)} AS {HIDDEN}) FROM ({query})" if rowid else query


def _numbered(name: str, rowid: str | None) -> str:
    """The rows with their places as numbers. Counting them by a window would make all that stands before it run in one thread."""
    columns = f"* RENAME ({HIDDEN} AS {identifier(rowid)})" if rowid else "*"
    return f"CREATE OR REPLACE TEMP VIEW {name} AS SELECT rowid AS _flowforge_ref, {columns} FROM {name}_rows"


def _content(plan: RefinePlan, types: Mapping[str, str]) -> str:
    """128 bits of the source columns in the table's types, by which states are compared within these statements and nowhere else.

    Two states of a key are taken for one by chance in 1 of 2¹²⁸. DuckDB's hash, twice, takes a tenth of SHA-256's time.
    """
    values = [f"CAST({identifier(name)} AS {types[name]})" for name in sorted(plan.source)]
    return f"(hash({', '.join(values)})::UHUGEINT << 64) | hash({', '.join(reversed(values))}, 1)::UHUGEINT"


def _times(plan: RefinePlan, types: Mapping[str, str], versions: str) -> str:
    """Of versions in the table's columns: their key and times, whose they are, and a hash of what they say."""
    names = ", ".join((keys_of(plan), VALID_FROM, VALID_TO, CURRENT, GENERATION, SEQ))
    return f"SELECT {names}, {_content(plan, types)} AS _flowforge_content FROM ({versions})"


def _touched(plan: RefinePlan, types: Mapping[str, str]) -> str:
    """All versions that the table has of the batch's keys."""
    return _times(plan, types, f"SELECT s.* FROM {TARGET} s SEMI JOIN {STAGED} t ON {same_key(plan)}")


def _changed(plan: RefinePlan, types: Mapping[str, str], confirmed: Load | None) -> str:
    """The states that the batch brings; without those that are a key's current version already, where that leaves no trace."""
    rows = f"SELECT *, {_content(plan, types)} AS _flowforge_content FROM {STAGED} WHERE {APPLIES}"
    if confirmed is None and not plan.tells_part:
        # Said again of the same moment it is kept: the version then counts as this batch's, against one that comes late.
        # "Later than" is written as "a microsecond later": only plain comparisons of columns are joined by hash.
        since = f"{VALID_FROM} + to_microseconds(({ORDER} < {plan.order})::BIGINT) AS _flowforge_since"
        known = f"SELECT {keys_of(plan)}, _flowforge_content, {since} FROM touched WHERE {CURRENT}"
        not_before = f" AND t._flowforge_since <= s.{VALID_FROM}" if plan.moment else ""
        same = f"{same_key(plan)} AND s._flowforge_content = t._flowforge_content{not_before}"
        rows = f"SELECT s.* FROM ({rows}) s ANTI JOIN ({known}) t ON {same}"
    return rows


def _gone(plan: RefinePlan, confirmed: Load | None) -> str:
    """Keys that a full refresh, or the new version of their file, did not find, or whose last change is a deletion, with the
    start of the version that it ends."""
    now = f"TIMESTAMP {literal(plan.loaded_at_text)}"
    open_then = CURRENT if confirmed is None else f"{VALID_FROM} < {now} AND ({CURRENT} OR {VALID_TO} > {now})"
    wanted = f"{open_then} AND {ORDER} < {plan.order}" if _ends_versions(plan) else "false"
    wanted += f" AND {plan.of_its_files}" if plan.replaces_files else ""
    held = f"SELECT {keys_of(plan)}, {VALID_FROM} FROM {TARGET} WHERE {wanted}"
    if plan.follows_changes:
        return f"SELECT s.* FROM ({held}) s SEMI JOIN (SELECT * FROM {STAGED} WHERE {GONE}) t ON {same_key(plan)}"
    return f"SELECT s.* FROM ({held}) s ANTI JOIN {STAGED} t ON {same_key(plan)}"


def _ends_versions(plan: RefinePlan) -> bool:
    """Whether the batch tells of keys that are gone."""
    return plan.refreshes or plan.replaces_files or plan.follows_changes


def _held(plan: RefinePlan, types: Mapping[str, str]) -> str:
    """All versions that the table has of the keys that something happened to."""
    rows = f"SELECT s.* FROM touched s SEMI JOIN changed t ON {same_key(plan)}"
    if _ends_versions(plan):
        ended = f"SELECT s.* FROM {TARGET} s SEMI JOIN gone t ON {same_key(plan)}"
        rows += f" UNION ALL BY NAME {_times(plan, types, ended)}"
    return (
        f"SELECT *, lead({VALID_FROM}) OVER (PARTITION BY {keys_of(plan)} ORDER BY {VALID_FROM}) AS _flowforge_next "
        f"FROM ({rows})"
    )


def _moves(plan: RefinePlan) -> str:
    """What becomes of each version that is not as it was: its key and times, and where its other columns are (`_flowforge_ref`
    among the changed rows, or at the version of `_flowforge_copied` in the table)."""
    at = f"{keys_of(plan, 'v')}, v._flowforge_at AS {VALID_FROM}, v._flowforge_until AS {VALID_TO}"
    there = f"LEFT JOIN held h ON {same_key(plan, 'h', 'v')} AND h.{VALID_FROM} = v._flowforge_at"
    again = f" WHEN h._flowforge_content = v._flowforge_content THEN '{SAID_AGAIN}'" if plan.tells_part else ""
    written = f"CASE WHEN h._flowforge_ref IS NULL THEN '{INSERT}'{again} ELSE '{UPDATE}' END"
    retimed = (
        f"h.{VALID_TO} IS DISTINCT FROM v._flowforge_until OR h.{CURRENT} IS DISTINCT FROM (v._flowforge_until IS NULL)"
    )
    other = f"(h._flowforge_ref {'IS DISTINCT FROM v._flowforge_ref' if plan.tells_part else 'IS NULL'} OR {retimed})"
    return (
        f"SELECT {at}, v._flowforge_ref, NULL::TIMESTAMP AS _flowforge_copied, {written} AS _flowforge_action FROM "
        f"versions v {there} WHERE v._flowforge_from = {NEW} "
        f"UNION ALL SELECT {at}, NULL, r.{VALID_FROM}, CASE WHEN h._flowforge_ref = v._flowforge_ref THEN '{END}' ELSE "
        f"{written} END "
        f"FROM versions v JOIN held r ON r._flowforge_ref = v._flowforge_ref AND v._flowforge_from <> {NEW} {there} "
        f"WHERE {other} "
        f"UNION ALL SELECT {keys_of(plan, 'r')}, r.{VALID_FROM}, r.{VALID_TO}, NULL, NULL, '{DELETE}' FROM held r "
        f"ANTI JOIN versions v ON {same_key(plan, 'r', 'v')} AND r.{VALID_FROM} = v._flowforge_at"
    )


def _changes(plan: RefinePlan, columns: list[str], confirmed: Load | None) -> str:
    """The inserted and updated versions in the table's columns. Only a load after a late batch tells of a state of the table
    again at another time; such a version's columns are read from the table."""
    own = (VALID_FROM, VALID_TO, CURRENT, SURROGATE)
    columns = [*columns, *(match for name, match in plan.matches.items() if match != name)]
    plain = ", ".join(identifier(name, "r") for name in columns if name not in own)
    times = f"m.{VALID_FROM}, m.{VALID_TO}, m.{VALID_TO} IS NULL AS {CURRENT}, m._flowforge_action"
    rows = f"SELECT {plain}, {times} FROM changed r JOIN {MOVES} m ON r._flowforge_ref = m._flowforge_ref"
    if confirmed is not None:
        again = f"(SELECT * FROM {MOVES} WHERE _flowforge_copied IS NOT NULL AND _flowforge_action <> '{END}') m"
        same = f"{same_key(plan, 'r', 'm')} AND r.{VALID_FROM} = m._flowforge_copied"
        rows += f" UNION ALL SELECT {plain}, {times} FROM {TARGET} r JOIN {again} ON {same}"
    listed = ", ".join(
        f"{surrogate_key(plan, True)} AS {SURROGATE}" if name == SURROGATE else identifier(name) for name in columns
    )
    return f"SELECT {listed}, _flowforge_action FROM ({rows})"


def figures() -> str:
    """One row: versions added, versions that end elsewhere or are corrected, keys that a refresh ended, versions said again."""
    ended = "(SELECT count(*) FROM gone)"
    changed = f"count(*) FILTER (_flowforge_action NOT IN ('{INSERT}', '{SAID_AGAIN}'))"
    return (
        f"SELECT count(*) FILTER (_flowforge_action = '{INSERT}'), greatest(0, {changed} - {ended}), {ended}, "
        f"count(*) FILTER (_flowforge_action = '{SAID_AGAIN}') FROM {MOVES}"
    )
