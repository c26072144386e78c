# ruff: noqa: S608 - SQL text of quoted names and counted values; no cell or request text is pasted in
"""SQL that turns a batch's bronze objects into rows for silver: stored types, one row per identity, the rest to quarantine.

Guarantees: pure text. A batch without repeated or NULL keys is streamed as it is; only one that has some is sorted (window
functions, which spill). No row disappears: it is staged, superseded by a newer one of its own key in the same batch, an exact
repetition, or quarantined.
"""

from flowforge.lake.sql import identifier, literal
from flowforge.lake.types import stored_column
from flowforge.silver.plan import (
    APPLIES,
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
BEGINNING = "TIMESTAMP '0001-01-01'"  # since when a state holds whose cursor is NULL


def stored_rows(plan: RefinePlan, objects: str) -> str:
    """All rows of the table expression `objects` in silver's columns."""
    items = [stored_column(name, kind) for name, kind in {**plan.source, **plan.audit}.items()]
    items += [f"{plan.generation}::INTEGER AS {GENERATION}", f"{plan.seq}::BIGINT AS {SEQ}"]
    rows = f"SELECT {', '.join(items)} FROM {objects}"
    if plan.adds_only:
        return rows
    if plan.keyless:
        hashed = f"SELECT *, {content_hash(plan)} AS {ROW_HASH} FROM ({rows})"
        rows = f"SELECT *, row_number() OVER (PARTITION BY {ROW_HASH})::INTEGER AS {OCCURRENCE} FROM ({hashed})"
    if plan.keeps_history:
        return f"SELECT *, {_state_columns(plan)} FROM ({rows})"
    deleted = f", false AS {DELETED}" if plan.marks_deleted else ""
    return f"SELECT *, {surrogate_key(plan)} AS {SURROGATE}{deleted} FROM ({rows})"


def surrogate_key(plan: RefinePlan) -> str:
    """MD5 (32 hex digits) of the source key and the row's identity, each value as length and text: the same after every rebuild.

    128 bits: of a billion rows two share one with a probability of 1e-21, so nobody needs to look.
    """
    parts = [literal(f"{plan.source_key}|")]
    for name in plan.identity:
        text = f"CAST({identifier(name)} AS VARCHAR)"
        parts.append(f"length({text}) || ':' || {text}")
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
    """One row (rows with a NULL key, identities that occur more than once), from the key columns alone."""
    key = [identifier(name) for name in plan.key]
    identity = _identity(plan)
    null = _any_null(key)
    return (
        f"SELECT (SELECT count(*) FROM {objects} WHERE {null}), (SELECT count(*) FROM (SELECT 1 FROM {objects} "
        f"WHERE NOT ({null}) GROUP BY {identity} HAVING count(*) > 1))"
    )


def reduced_rows(plan: RefinePlan, objects: str) -> str:
    """The staged rows: the newest of each identity, with APPLIES false where several newest ones differ."""
    columns = ", ".join(identifier(name) for name in plan.columns)
    return (
        f"SELECT {columns}, NOT _ambiguous AS {APPLIES} FROM ({_ranked(plan, objects)}) QUALIFY row_number() OVER "
        f"(PARTITION BY {_identity(plan)} ORDER BY _rank, _content) = 1"
    )


def unfit_rows(plan: RefinePlan, objects: str) -> str:
    """What the table cannot take because of its key, with the reason."""
    columns = ", ".join(identifier(name) for name in plan.columns)
    null = _any_null([identifier(name) for name in plan.key])
    return (
        f"SELECT {literal(NULL_KEY)} AS _reason, {columns} FROM ({stored_rows(plan, objects)}) WHERE {null} UNION ALL "
        f"SELECT {literal(AMBIGUOUS)} AS _reason, {columns} FROM ({_ranked(plan, objects)}) WHERE _ambiguous AND _rank = 1"
    )


def quarantined_rows(plan: RefinePlan, staged: str, unfit: str | None, failed: str | None) -> str:
    """All rows that are kept out: the `unfit` ones, and the `staged` ones whose content is in the relation `failed`."""
    columns = ", ".join(identifier(name) for name in plan.columns)
    own = f"{content_hash(plan)} AS _content_hash"
    parts = [f"SELECT _reason, {columns}, CAST(NULL AS VARCHAR) AS _rules, {own} FROM ({unfit})"] if unfit else []
    if failed:
        hashed = f"SELECT *, {content_hash(plan)} AS content FROM ({staged}) WHERE {APPLIES}"
        parts.append(
            f"SELECT 'breaks ' || rules AS _reason, {columns}, rules AS _rules, {own} "
            f"FROM ({hashed}) JOIN {failed} USING (content)"
        )
    return " UNION ALL ".join(parts)


def without_failed(plan: RefinePlan, staged: str, failed: str) -> str:
    """The staged rows, with APPLIES false where the content is in the relation `failed`: their keys are in the batch still."""
    return (
        f"SELECT * REPLACE ({APPLIES} AND {content_hash(plan)} NOT IN (SELECT content FROM {failed}) AS {APPLIES}) "
        f"FROM ({staged})"
    )


def _ranked(plan: RefinePlan, objects: str) -> str:
    """Rows with a key, with `_rank` 1 for the newest of an identity and `_ambiguous` where these differ in content."""
    identity = _identity(plan)
    order = f"ORDER BY {identifier(plan.cursor)} DESC NULLS LAST" if plan.cursor else ""
    cursor = f", {identifier(plan.cursor)}" if plan.cursor else ""
    keyed = (
        f"SELECT *, {content_hash(plan)} AS _content FROM ({stored_rows(plan, objects)}) "
        f"WHERE NOT ({_any_null([identifier(name) for name in plan.key])})"
    )
    same = f"OVER (PARTITION BY {identity}{cursor})"
    ranked = (
        f"SELECT *, rank() OVER (PARTITION BY {identity} {order}) AS _rank, "
        f"min(_content) {same} <> max(_content) {same} AS _differs FROM ({keyed})"
    )
    return f"SELECT *, bool_or(_differs AND _rank = 1) OVER (PARTITION BY {identity}) AS _ambiguous FROM ({ranked})"


def _identity(plan: RefinePlan) -> str:
    return ", ".join(identifier(name) for name in plan.distinct)


def _any_null(columns: list[str]) -> str:
    return " OR ".join(f"{column} IS NULL" for column in columns)
