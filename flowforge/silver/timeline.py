# ruff: noqa: S608 - SQL text of quoted names and counted values; no cell or request text is pasted in
"""SQL of a key's time line: the states and ends that a table and a batch tell of, and the versions that follow from them.

Guarantees: pure text. The statements read the relations `changed` (states of the batch), `gone` (keys that a refresh ended) and
`held` (the table's versions of all these keys), as `flowforge.silver.history` makes them.
"""

from flowforge.domain.batch import SEQ_BITS
from flowforge.engines.duckdb.sql import identifier, literal
from flowforge.silver.matching import keys_of, same_key
from flowforge.silver.plan import CURRENT, GENERATION, SEQ, VALID_FROM, VALID_TO, RefinePlan
from flowforge.silver.transactions import Load

ORDER = f"({GENERATION}::BIGINT << {SEQ_BITS} | {SEQ})"
HELD, NEW, AGAIN = 0, 1, 2  # where a state comes from: the table, the batch, the table once more at a later time
STATE, END, EMPTY = 1, 0, 2  # at one moment an end comes before a state, but for the end of a version without length


def happened(plan: RefinePlan, confirmed: Load | None) -> str:
    """States and ends of these keys, each with its moment, what it is, and the row that tells of it."""
    keys = keys_of(plan)
    shorter = f"{VALID_TO} IS DISTINCT FROM _flowforge_next AND {VALID_TO} IS NOT NULL"
    ends = f"CASE WHEN {VALID_TO} = {VALID_FROM} THEN {EMPTY} ELSE {END} END"
    parts = [
        f"SELECT {keys}, {VALID_FROM} AS _flowforge_at, {STATE} AS _flowforge_kind, {HELD} AS _flowforge_from, "
        f"_flowforge_ref, _flowforge_content, {ORDER} AS _flowforge_order FROM held",
        f"SELECT {keys}, {VALID_TO}, {ends}, {HELD}, _flowforge_ref, NULL, {ORDER} FROM held WHERE {shorter}",
        _new_states(plan, confirmed),
    ]
    now = f"TIMESTAMP {literal(plan.loaded_at_text)}"
    ends = f"CASE WHEN {VALID_FROM} >= {now} THEN {EMPTY} ELSE {END} END"
    parts.append(f"SELECT {keys}, greatest({VALID_FROM}, {now}), {ends}, {NEW}, NULL, NULL, {plan.order} FROM gone")
    if confirmed is not None and confirmed.times:
        times = ", ".join(f"({order}, TIMESTAMP {literal(at)})" for order, at in confirmed.times_text.items())
        told = f"{VALID_FROM} < _then AND ({CURRENT} OR {VALID_TO} > _then)"
        parts.append(
            f"SELECT {keys}, _then, {STATE}, {AGAIN}, _flowforge_ref, _flowforge_content, {ORDER} FROM held "
            f"JOIN (VALUES {times}) l(_load, _then) ON {ORDER} = _load WHERE {told}"
        )
    if confirmed is not None and confirmed.reads_all:
        then = f"TIMESTAMP {literal(confirmed.at_text)}"
        seen = f"{VALID_FROM} < {then} AND ({CURRENT} OR {VALID_TO} > {then})"
        parts.append(
            f"SELECT {keys}, {then}, {STATE}, {AGAIN}, _flowforge_ref, _flowforge_content, {ORDER} FROM held WHERE {seen}"
        )
        if confirmed.refreshes:
            touched = f"SELECT {keys} FROM changed UNION SELECT {keys} FROM gone"
            there = f"SELECT * FROM held WHERE {VALID_FROM} <= {then} AND ({CURRENT} OR {VALID_TO} > {then})"
            parts.append(
                f"SELECT s.*, {then}, {END}, {NEW}, NULL, NULL, {plan.order} FROM ({touched}) s "
                f"ANTI JOIN ({there}) t ON {same_key(plan)}"
            )
    return " UNION ALL ".join(parts)


def _new_states(plan: RefinePlan, confirmed: Load | None) -> str:
    """The batch's states. One that is not late begins after what earlier batches told of its key: the order of reading counts
    where clocks disagree, and a row that was gone is back when it is read again, whatever its stamp."""
    at = f"s.{VALID_FROM}"
    if confirmed is None:
        after = [
            "CASE WHEN NOT t._flowforge_open THEN greatest(t._flowforge_ended, t._flowforge_last + INTERVAL 1 MICROSECOND) END"
        ]
        if not plan.moment:
            after.append(
                f"CASE WHEN t._flowforge_order < {plan.order} THEN t._flowforge_last + INTERVAL 1 MICROSECOND END"
            )
        undated = f"s.{identifier(plan.cursor)} IS NULL AND t._flowforge_open IS NOT false" if plan.cursor else "false"
        at = f"CASE WHEN {undated} THEN {at} ELSE greatest({at}, {', '.join(after)}) END"
    last = (
        f"SELECT {keys_of(plan)}, max({VALID_FROM}) AS _flowforge_last, max({VALID_TO}) AS _flowforge_ended, "
        f"bool_or({CURRENT}) AS _flowforge_open, "
        f"arg_max({ORDER}, {VALID_FROM}) AS _flowforge_order FROM held GROUP BY ALL"
    )
    return (
        f"SELECT {keys_of(plan, 's')}, {at}, {STATE}, {NEW}, s._flowforge_ref, s._flowforge_content, {plan.order} FROM changed s "
        f"LEFT JOIN ({last}) t ON {same_key(plan)}"
    )


def versions(plan: RefinePlan) -> str:
    """What is left when states of one moment, repetitions and ends of nothing are out, with the moment that follows."""
    keys = keys_of(plan)
    one = (
        f"SELECT * FROM happened QUALIFY row_number() OVER (PARTITION BY {keys}, _flowforge_at, _flowforge_kind "
        f"ORDER BY _flowforge_order DESC, _flowforge_from) = 1"
    )
    before = (
        f"SELECT *, lag(_flowforge_kind) OVER w AS _flowforge_kind_before, lag(_flowforge_content) OVER w AS "
        f"_flowforge_before, lag(_flowforge_from) OVER w AS _flowforge_from_before "
        f"FROM ({one}) WINDOW w AS (PARTITION BY {keys} ORDER BY _flowforge_at, _flowforge_kind)"
    )
    repeated = (
        f"(_flowforge_kind = {STATE} AND _flowforge_kind_before IS NOT DISTINCT FROM {STATE} AND _flowforge_content = "
        f"_flowforge_before "
        f"AND (_flowforge_from <> {HELD} OR _flowforge_from_before <> {HELD}))"
    )
    pointless = f"(_flowforge_kind <> {STATE} AND _flowforge_kind_before IS DISTINCT FROM {STATE})"
    kept = f"SELECT * FROM ({before}) WHERE NOT {repeated} AND NOT {pointless}"
    if plan.tells_part:
        kept = _as_told_last(keys, f"SELECT *, {repeated} AS _flowforge_repeated FROM ({before}) WHERE NOT {pointless}")
    followed = (
        f"SELECT *, lead(_flowforge_at) OVER (PARTITION BY {keys} ORDER BY _flowforge_at, _flowforge_kind) AS "
        f"_flowforge_until FROM ({kept})"
    )
    return f"SELECT * FROM ({followed}) WHERE _flowforge_kind = {STATE}"


def _as_told_last(keys: str, told: str) -> str:
    """The states and ends without repetitions, each as the latest batch told of it that has said it again."""
    run = (
        f"count(*) FILTER (NOT _flowforge_repeated) OVER (PARTITION BY {keys} ORDER BY _flowforge_at, _flowforge_kind)"
    )
    last = (
        f"arg_max({{'was': _flowforge_from, 'row': _flowforge_ref}}, _flowforge_order) OVER (PARTITION BY {keys}, "
        f"_flowforge_run)"
    )
    rows = f"SELECT *, {last} AS _flowforge_last FROM (SELECT *, {run} AS _flowforge_run FROM ({told}))"
    return (
        f"SELECT * REPLACE (_flowforge_last.was AS _flowforge_from, _flowforge_last.row AS _flowforge_ref) FROM "
        f"({rows}) WHERE NOT _flowforge_repeated"
    )
