# ruff: noqa: S608 - SQL text of quoted names and counted values; no cell or request text is pasted in
"""SQL that turns a batch's bronze objects into rows for silver: stored types, one row per identity, the rest to quarantine.

Guarantees: pure text. A batch without repeated or NULL keys is streamed as it is; only one that has some is sorted (window
functions, which spill). No row disappears: it is staged, superseded by a newer one of its own key in the same batch, an exact
repetition, or quarantined.
"""

from flowforge.domain.own_columns import APPLIES, BEFORE, CHANGE_TYPE, DELETE, GONE
from flowforge.engines.duckdb.sql import identifier, literal
from flowforge.engines.duckdb.types import stored_column
from flowforge.silver.matching import any_null, form, missing_key
from flowforge.silver.plan import (
    CURRENT,
    DELETED,
    GENERATION,
    OCCURRENCE,
    ROW_HASH,
    SEQ,
    SURROGATE,
    VALID_FROM,
    VALID_TO,
    RefinePlan,
)

NULL_KEY = "a key column is NULL"
AMBIGUOUS = "rows with the same key and cursor differ"
REPEATED_NULL = "rows with the same key differ, and NULL is a part of it"
RESPELT = "one key in several spellings, which the source has told apart"
BEGINNING = "TIMESTAMP '0001-01-01'"  # since when a state holds whose cursor is NULL


def stored_rows(plan: RefinePlan, objects: str) -> str:
    """All rows of the table expression `objects` in silver's columns."""
    items = [stored_column(name, kind) for name, kind in {**plan.source, **plan.audit}.items()]
    items += [f"{plan.generation}::INTEGER AS {GENERATION}", f"{plan.seq}::BIGINT AS {SEQ}"]
    if plan.follows_changes:
        items.append(f"{CHANGE_TYPE} = '{DELETE}' AS {GONE}")
        objects = f"(SELECT * FROM {objects} WHERE {_counts(plan)})"
    rows = f"SELECT {', '.join(items)} FROM {objects}"
    if plan.adds_only:
        return rows
    if plan.keyless:
        hashed = f"SELECT *, {content_hash(plan)} AS {ROW_HASH} FROM ({rows})"
        rows = f"SELECT *, row_number() OVER (PARTITION BY {ROW_HASH})::INTEGER AS {OCCURRENCE} FROM ({hashed})"
    if plan.keeps_history:
        return f"SELECT *, {_state_columns(plan)} FROM ({rows})"
    deleted = f", {GONE if plan.follows_changes else 'false'} AS {DELETED}" if plan.marks_deleted else ""
    return f"SELECT *, {surrogate_key(plan)} AS {SURROGATE}{deleted} FROM ({rows})"


def surrogate_key(plan: RefinePlan, has_forms: bool = False) -> str:
    """MD5 (32 hex digits) of the source key and the row's identity, each value as length and text: the same after every rebuild,
    and for every spelling of a key. With `has_forms` the rows have the columns of `RefinePlan.matches`.

    128 bits: of a billion rows two share one with a probability of 1e-21, so nobody needs to look.
    """
    parts = [literal(f"{plan.source_key}|")]
    for name in plan.identity:
        value = identifier(name)
        if name in plan.key_folds:
            value = identifier(plan.matches[name]) if has_forms else form(plan, name)
        text = f"CAST({value} AS VARCHAR)"
        if name in plan.digits:  # most are zero: such a key has the id that it had without it
            parts.append(f"CASE WHEN {value} = 0 THEN '' ELSE '.' || {text} END")
            continue
        part = f"length({text}) || ':' || {text}"
        parts.append(f"coalesce({part}, '-')" if name in plan.nullable else part)
    return f"md5(concat({', '.join(parts)}))"


def _state_columns(plan: RefinePlan) -> str:
    """The columns of a version that is not yet among its neighbours; their times follow when it is."""
    since = f"TIMESTAMP {literal(plan.loaded_at_text)}"
    if plan.moment:
        since = f"CAST({identifier(plan.moment)} AS TIMESTAMP)"
    if plan.cursor:
        since = f"CASE WHEN {identifier(plan.cursor)} IS NULL THEN {BEGINNING} ELSE {since} END"
    return (
        f"CAST(NULL AS VARCHAR) AS {SURROGATE}, {since} AS {VALID_FROM}, "
        f"CAST(NULL AS TIMESTAMP) AS {VALID_TO}, true AS {CURRENT}"
    )


def content_hash(plan: RefinePlan) -> str:
    """SHA-256 of the source columns, each as name, length and text; NULLs are left out: a new empty column changes nothing."""
    parts = []
    for name in sorted(plan.source):
        text = f"CAST({identifier(name)} AS VARCHAR)"
        parts.append(f"{literal(f'{len(name)}:{name}=')} || length({text}) || ':' || {text}")
    return f"sha256(concat({', '.join(parts)}))"


def irregularities(plan: RefinePlan, objects: str) -> str:
    """One row (rows without a key, identities that occur more than once), from the key columns alone."""
    null = missing_key(plan)
    identity = ", ".join(form(plan, name) for name in plan.key) if plan.source_tells_apart else _identity(plan)
    return (
        f"SELECT (SELECT count(*) FROM {objects} WHERE {null}), (SELECT count(*) FROM (SELECT 1 FROM {objects} "
        f"WHERE NOT ({null}) GROUP BY {identity} HAVING count(*) > 1))"
    )


def reduced_rows(plan: RefinePlan, objects: str) -> str:
    """The staged rows: the newest of each identity, with APPLIES false where several newest ones differ."""
    columns = ", ".join(identifier(name) for name in plan.columns)
    return (
        f"SELECT {columns}, NOT _flowforge_ambiguous AS {APPLIES} FROM ({_ranked(plan, objects)}) QUALIFY row_number() OVER "
        f"(PARTITION BY {_identity(plan)} ORDER BY _flowforge_rank, _flowforge_content) = 1"
    )


def last_changes(plan: RefinePlan, objects: str) -> str:
    """The staged rows of changes: the last one of each key; not with APPLIES but GONE where that is a deletion."""
    columns = ", ".join(identifier(name) for name in plan.columns)
    keys = ", ".join(form(plan, name) for name in plan.key)
    latest = ", ".join(f"{identifier(name)} DESC" for name in plan.change_order)
    kept = (
        f"(SELECT * FROM {objects} WHERE {_counts(plan)} AND NOT ({missing_key(plan)}) "
        f"QUALIFY row_number() OVER (PARTITION BY {keys} ORDER BY {latest}) = 1)"
    )
    return f"SELECT {columns}, NOT {GONE} AS {APPLIES}, {GONE} FROM ({stored_rows(plan, kept)})"


def changes_without_key(plan: RefinePlan, objects: str) -> str:
    """The changes that nobody knows a row of, with the reason."""
    columns = ", ".join(identifier(name) for name in plan.columns)
    return f"SELECT {literal(NULL_KEY)} AS _reason, {columns} FROM ({stored_rows(plan, objects)}) WHERE {missing_key(plan)}"


def _counts(plan: RefinePlan) -> str:
    """The condition for changes that are applied: not how a row was, nor a deletion where these are ignored."""
    left_out = [BEFORE, *([DELETE] if plan.deletes == "ignore" else [])]
    return f"{CHANGE_TYPE} NOT IN ({', '.join(map(literal, left_out))})"


def unfit_rows(plan: RefinePlan, objects: str) -> str:
    """What the table cannot take because of its key, with the reason."""
    columns = ", ".join(identifier(name) for name in plan.columns)
    respelt, unclear, ambiguous = map(literal, (RESPELT, REPEATED_NULL, AMBIGUOUS))
    reason = f"CASE WHEN _flowforge_respelt THEN {respelt} WHEN _flowforge_unclear THEN {unclear} ELSE {ambiguous} END"
    return (
        f"SELECT {literal(NULL_KEY)} AS _reason, {columns} FROM ({stored_rows(plan, objects)}) WHERE {missing_key(plan)} "
        f"UNION ALL SELECT {reason} AS _reason, {columns} FROM ({_ranked(plan, objects)}) "
        f"WHERE _flowforge_ambiguous AND (_flowforge_rank = 1 OR _flowforge_respelt OR _flowforge_unclear)"
    )


def quarantined_rows(plan: RefinePlan, staged: str, unfit: str | None, failed: str | None) -> str:
    """All rows that are kept out: the `unfit` ones, and the `staged` ones whose content is in the relation `failed`."""
    columns = ", ".join(identifier(name) for name in plan.columns)
    own = f"{content_hash(plan)} AS _content_hash"
    parts = [f"SELECT _reason, {columns}, CAST(NULL AS VARCHAR) AS _rules, {own} FROM ({unfit})"] if unfit else []
    if failed:
        hashed = f"SELECT *, {content_hash(plan)} AS _flowforge_hash FROM ({staged}) WHERE {APPLIES}"
        broken = f"SELECT content AS _flowforge_hash, rules AS _flowforge_rules FROM {failed}"
        parts.append(
            f"SELECT 'breaks ' || _flowforge_rules AS _reason, {columns}, _flowforge_rules AS _rules, {own} "
            f"FROM ({hashed}) JOIN ({broken}) USING (_flowforge_hash)"
        )
    return " UNION ALL ".join(parts)


def without_failed(plan: RefinePlan, staged: str, failed: str) -> str:
    """The staged rows, with APPLIES false where the content is in the relation `failed`: their keys are in the batch still."""
    return (
        f"SELECT * REPLACE ({APPLIES} AND {content_hash(plan)} NOT IN (SELECT content FROM {failed}) AS {APPLIES}) "
        f"FROM ({staged})"
    )


def _ranked(plan: RefinePlan, objects: str) -> str:
    """Rows with a key, with `_flowforge_rank` 1 for the newest of an identity and `_flowforge_ambiguous` where these differ in
    content, where one read has a key in several spellings (`_flowforge_respelt`), or where rows of a key with a NULL in it differ
    (`_flowforge_unclear`)."""
    identity = _identity(plan)
    order = f"ORDER BY {identifier(plan.cursor)} DESC NULLS LAST" if plan.cursor else ""
    cursor = f", {identifier(plan.cursor)}" if plan.cursor else ""
    keyed = (
        f"SELECT *, {content_hash(plan)} AS _flowforge_content FROM ({stored_rows(plan, objects)}) WHERE NOT "
        f"({missing_key(plan)})"
    )
    same = f"OVER (PARTITION BY {identity}{cursor})"
    unclear = any_null(plan.nullable)
    of_one = f"OVER (PARTITION BY {identity})"
    unclear = (
        f"({unclear}) AND min(_flowforge_content) {of_one} <> max(_flowforge_content) {of_one}" if unclear else "false"
    )
    ranked = (
        f"SELECT *, rank() OVER (PARTITION BY {identity} {order}) AS _flowforge_rank, {_respelt(plan)} AS _flowforge_respelt, "
        f"{unclear} AS _flowforge_unclear, min(_flowforge_content) {same} <> max(_flowforge_content) {same} AS "
        f"_flowforge_differs FROM ({keyed})"
    )
    unfit = "_flowforge_respelt OR _flowforge_unclear OR (_flowforge_differs AND _flowforge_rank = 1)"
    return f"SELECT *, bool_or({unfit}) OVER (PARTITION BY {identity}) AS _flowforge_ambiguous FROM ({ranked})"


def _respelt(plan: RefinePlan) -> str:
    """Whether a row's key has another spelling in the same read, of a table in which no key comes twice."""
    spelt = [identifier(name) for name in plan.key_folds if name not in plan.digits]
    if not plan.source_tells_apart or not spelt:
        return "false"
    of_key = f"OVER (PARTITION BY {', '.join(form(plan, name) for name in plan.key)})"
    return " OR ".join(f"min({name}) {of_key} <> max({name}) {of_key}" for name in spelt)


def _identity(plan: RefinePlan) -> str:
    return ", ".join(form(plan, name) if name in plan.key else identifier(name) for name in plan.distinct)
