# ruff: noqa: S608 - SQL text of quoted names and counted values; no cell or request text is pasted in
"""SQL of the strategy scd2: which versions of a key a batch adds, changes and removes.

Guarantees: pure text. A key's versions are told apart by `_valid_from`, do not overlap and are closed by the next one; content
that does not differ from the version before makes none. A state is dated by its batch's cursor where that is a time, else by the
batch's own time; of two states of one moment the later batch's counts. Late ones are slotted in between their neighbours. A
full load that was applied before a late batch has seen every key after it: what it saw holds again from its time on.

The steps read the relations `staged` (the batch, with APPLIES) and `target` (the table), both in the same columns, and leave
`changes`: rows with `_action` insert, update or delete.
"""

from flowforge.lake.sql import identifier, literal
from flowforge.silver.marks import Load
from flowforge.silver.plan import (
    APPLIES,
    CURRENT,
    GENERATION,
    SEQ,
    SEQ_BITS,
    SURROGATE,
    VALID_FROM,
    VALID_TO,
    RefinePlan,
)
from flowforge.silver.staging import content_hash, surrogate_key

STAGED, TARGET, CHANGES = "staged", "target", "changes"
ORDER = f"({GENERATION}::BIGINT << {SEQ_BITS} | {SEQ})"
HELD, NEW, AGAIN = 0, 1, 2  # where a state comes from: the table, the batch, the table once more at a later time
STATE, END, EMPTY = 1, 0, 2  # at one moment an end comes before a state, but for the end of a version without length


def first_versions(plan: RefinePlan) -> str:
    """The versions of an empty table: one for each staged row, closed by the next of its key."""
    until = f"lead({VALID_FROM}) OVER (PARTITION BY {_keys(plan)} ORDER BY {VALID_FROM})"
    columns = f"* EXCLUDE ({APPLIES}) REPLACE ({surrogate_key(plan)} AS {SURROGATE}, {until} AS {VALID_TO})"
    rows = f"SELECT {columns} FROM {STAGED} WHERE {APPLIES}"
    return f"SELECT * REPLACE ({VALID_TO} IS NULL AS {CURRENT}) FROM ({rows})"


def steps(plan: RefinePlan, columns: list[str], confirmed: Load | None) -> list[str]:
    """Statements to run in order; `columns` are the table's, `confirmed` the next full load after a late batch."""
    return [
        f"CREATE OR REPLACE TEMP TABLE changed AS {_changed(plan, confirmed)}",
        f"CREATE OR REPLACE TEMP TABLE gone AS {_gone(plan, confirmed)}",
        f"CREATE OR REPLACE TEMP TABLE held AS {_held(plan)}",
        f"CREATE OR REPLACE TEMP TABLE happened AS {_happened(plan, confirmed)}",
        f"CREATE OR REPLACE TEMP TABLE versions AS {_versions(plan)}",
        f"CREATE OR REPLACE TEMP TABLE {CHANGES} AS {_changes(plan, columns)}",
    ]


def _changed(plan: RefinePlan, confirmed: Load | None) -> str:
    """The states that the batch brings, numbered; without those that are a key's current version already."""
    rows = f"SELECT *, {content_hash(plan)} AS _content FROM {STAGED} WHERE {APPLIES}"
    if confirmed is None:
        known = f"SELECT {_keys(plan)}, {VALID_FROM}, {ORDER} AS _order, {content_hash(plan)} AS _content "
        known += f"FROM {TARGET} WHERE {CURRENT}"
        # Said again of the same moment it is kept: the version then counts as this batch's, against one that comes late.
        confirms = f"t.{VALID_FROM} = s.{VALID_FROM} AND t._order < {plan.order}"
        not_before = f" AND t.{VALID_FROM} <= s.{VALID_FROM} AND NOT ({confirms})" if plan.moment else ""
        rows = (
            f"SELECT s.* FROM ({rows}) s ANTI JOIN ({known}) t ON {_same(plan)} AND s._content = t._content{not_before}"
        )
    return f"SELECT row_number() OVER () AS _ref, * FROM ({rows})"


def _gone(plan: RefinePlan, confirmed: Load | None) -> str:
    """Keys that a full refresh did not find, with the start of the version that it ends."""
    now = f"TIMESTAMP {literal(plan.loaded_at_text)}"
    open_then = CURRENT if confirmed is None else f"{VALID_FROM} < {now} AND ({CURRENT} OR {VALID_TO} > {now})"
    wanted = f"{open_then} AND {ORDER} < {plan.order}" if plan.refreshes else "false"
    held = f"SELECT {_keys(plan)}, {VALID_FROM} FROM {TARGET} WHERE {wanted}"
    return f"SELECT s.* FROM ({held}) s ANTI JOIN {STAGED} t ON {_same(plan)}"


def _held(plan: RefinePlan) -> str:
    """All versions that the table has of the keys that something happened to, numbered."""
    keys = f"SELECT {_keys(plan)} FROM changed UNION SELECT {_keys(plan)} FROM gone"
    rows = f"SELECT s.*, {content_hash(plan)} AS _content FROM {TARGET} s SEMI JOIN ({keys}) t ON {_same(plan)}"
    return (
        f"SELECT row_number() OVER () AS _ref, *, lead({VALID_FROM}) OVER (PARTITION BY {_keys(plan)} "
        f"ORDER BY {VALID_FROM}) AS _next FROM ({rows})"
    )


def _happened(plan: RefinePlan, confirmed: Load | None) -> str:
    """States and ends of these keys, each with its moment, what it is, and the row that tells of it."""
    keys = _keys(plan)
    shorter = f"{VALID_TO} IS DISTINCT FROM _next AND {VALID_TO} IS NOT NULL"
    ends = f"CASE WHEN {VALID_TO} = {VALID_FROM} THEN {EMPTY} ELSE {END} END"
    parts = [
        f"SELECT {keys}, {VALID_FROM} AS _at, {STATE} AS _kind, {HELD} AS _from, _ref, _content, {ORDER} AS _order FROM held",
        f"SELECT {keys}, {VALID_TO}, {ends}, {HELD}, _ref, NULL, {ORDER} FROM held WHERE {shorter}",
        _new_states(plan, confirmed),
    ]
    now = f"TIMESTAMP {literal(plan.loaded_at_text)}"
    ends = f"CASE WHEN {VALID_FROM} >= {now} THEN {EMPTY} ELSE {END} END"
    parts.append(f"SELECT {keys}, greatest({VALID_FROM}, {now}), {ends}, {NEW}, NULL, NULL, {plan.order} FROM gone")
    if confirmed is not None:
        then = f"TIMESTAMP {literal(confirmed.at_text)}"
        seen = f"{VALID_FROM} < {then} AND ({CURRENT} OR {VALID_TO} > {then})"
        parts.append(f"SELECT {keys}, {then}, {STATE}, {AGAIN}, _ref, _content, {ORDER} FROM held WHERE {seen}")
        if confirmed.refreshes:
            touched = f"SELECT {keys} FROM changed UNION SELECT {keys} FROM gone"
            there = f"SELECT * FROM held WHERE {VALID_FROM} <= {then} AND ({CURRENT} OR {VALID_TO} > {then})"
            parts.append(
                f"SELECT s.*, {then}, {END}, {NEW}, NULL, NULL, {plan.order} FROM ({touched}) s "
                f"ANTI JOIN ({there}) t ON {_same(plan)}"
            )
    return " UNION ALL ".join(parts)


def _new_states(plan: RefinePlan, confirmed: Load | None) -> str:
    """The batch's states. One that is not late begins after what earlier batches told of its key: the order of reading counts
    where clocks disagree, and a row that was gone is back when it is read again, whatever its stamp."""
    at = f"s.{VALID_FROM}"
    if confirmed is None:
        after = ["CASE WHEN NOT t._open THEN greatest(t._ended, t._last + INTERVAL 1 MICROSECOND) END"]
        if not plan.moment:
            after.append(f"CASE WHEN t._order < {plan.order} THEN t._last + INTERVAL 1 MICROSECOND END")
        undated = f"s.{identifier(plan.cursor)} IS NULL AND t._open IS NOT false" if plan.cursor else "false"
        at = f"CASE WHEN {undated} THEN {at} ELSE greatest({at}, {', '.join(after)}) END"
    last = (
        f"SELECT {_keys(plan)}, max({VALID_FROM}) AS _last, max({VALID_TO}) AS _ended, bool_or({CURRENT}) AS _open, "
        f"arg_max({ORDER}, {VALID_FROM}) AS _order FROM held GROUP BY ALL"
    )
    keys = ", ".join(identifier(name, "s") for name in plan.key)
    return (
        f"SELECT {keys}, {at}, {STATE}, {NEW}, s._ref, s._content, {plan.order} FROM changed s "
        f"LEFT JOIN ({last}) t ON {_same(plan)}"
    )


def _versions(plan: RefinePlan) -> str:
    """What is left when states of one moment, repetitions and ends of nothing are out, with the moment that follows."""
    keys = _keys(plan)
    one = (
        f"SELECT * FROM happened QUALIFY row_number() OVER (PARTITION BY {keys}, _at, _kind "
        f"ORDER BY _order DESC, _from) = 1"
    )
    before = (
        f"SELECT *, lag(_kind) OVER w AS _kind_before, lag(_content) OVER w AS _before, lag(_from) OVER w AS _from_before "
        f"FROM ({one}) WINDOW w AS (PARTITION BY {keys} ORDER BY _at, _kind)"
    )
    repeated = (
        f"(_kind = {STATE} AND _kind_before IS NOT DISTINCT FROM {STATE} AND _content = _before "
        f"AND (_from <> {HELD} OR _from_before <> {HELD}))"
    )
    pointless = f"(_kind <> {STATE} AND _kind_before IS DISTINCT FROM {STATE})"
    kept = f"SELECT * FROM ({before}) WHERE NOT {repeated} AND NOT {pointless}"
    followed = f"SELECT *, lead(_at) OVER (PARTITION BY {keys} ORDER BY _at, _kind) AS _until FROM ({kept})"
    return f"SELECT * FROM ({followed}) WHERE _kind = {STATE}"


def _changes(plan: RefinePlan, columns: list[str]) -> str:
    own = (VALID_FROM, VALID_TO, CURRENT, SURROGATE)
    plain = [identifier(name, "r") for name in columns if name not in own]
    times = f"v._at AS {VALID_FROM}, v._until AS {VALID_TO}, v._until IS NULL AS {CURRENT}"
    joined = " AND ".join(f"h.{identifier(name)} = v.{identifier(name)}" for name in plan.key)
    action = "CASE WHEN h._ref IS NULL THEN 'insert' ELSE 'update' END AS _action"
    differs = (
        f"h._ref IS NULL OR v._from = {NEW} OR h.{VALID_TO} IS DISTINCT FROM v._until "
        f"OR h.{CURRENT} IS DISTINCT FROM (v._until IS NULL)"
    )
    parts = []
    for rows, origin in (("changed", f"v._from = {NEW}"), ("held", f"v._from <> {NEW}")):
        parts.append(
            f"SELECT {', '.join(plain)}, {times}, {action} FROM versions v JOIN {rows} r ON r._ref = v._ref AND {origin} "
            f"LEFT JOIN held h ON {joined} AND h.{VALID_FROM} = v._at WHERE {differs}"
        )
    parts.append(
        f"SELECT {', '.join(plain)}, r.{VALID_FROM}, r.{VALID_TO}, r.{CURRENT}, 'delete' FROM held r ANTI JOIN versions v "
        f"ON {' AND '.join(f'r.{identifier(name)} = v.{identifier(name)}' for name in plan.key)} AND r.{VALID_FROM} = v._at"
    )
    listed = ", ".join(
        f"{surrogate_key(plan)} AS {SURROGATE}" if name == SURROGATE else identifier(name) for name in columns
    )
    return f"SELECT {listed}, _action FROM ({' UNION ALL '.join(parts)})"


def _keys(plan: RefinePlan) -> str:
    return ", ".join(identifier(name) for name in plan.key)


def _same(plan: RefinePlan) -> str:
    return " AND ".join(f"{identifier(name, 's')} = {identifier(name, 't')}" for name in plan.key)


def figures() -> str:
    """One row: versions added, versions that end elsewhere or are corrected, keys that a refresh ended."""
    ended = "(SELECT count(*) FROM gone)"
    return (
        f"SELECT count(*) FILTER (_action = 'insert'), greatest(0, count(*) FILTER (_action <> 'insert') - {ended}), "
        f"{ended} FROM {CHANGES}"
    )
