# ruff: noqa: S608 - SQL text of quoted names and values
"""The one Delta commit that applies a batch's rows, for every strategy.

Guarantees: all of a batch or nothing is in the table. Merges rewrite only the files that hold a row of the batch. What a commit
changes is counted before it, so that its metadata can tell.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from flowforge.domain.errors import TransformRejected
from flowforge.domain.given import given
from flowforge.domain.own_columns import APPLIES, GONE
from flowforge.engines.base import Rows, Session
from flowforge.engines.duckdb.sql import literal
from flowforge.silver import history
from flowforge.silver.matching import forms, with_forms
from flowforge.silver.plan import (
    CURRENT,
    DELETED,
    GENERATION,
    SEQ,
    SOURCE_FILE,
    SURROGATE,
    VALID_FROM,
    VALID_TO,
    RefinePlan,
)
from flowforge.silver.transactions import Load
from flowforge.tables.base import Commit, LakeTable
from flowforge.tables.merge_rules import MARKED, REMOVED, REPLACED, STAYS, Arriving, Rules, receive
from flowforge.tables.merging import Merge, with_nulls
from flowforge.tables.rows import column_types, relation, types_of, write_files

FILES = "replaced_files"


@dataclass(frozen=True)
class Change:
    """Rows that a batch adds, changes, and removes (or marks as removed, or ends)."""

    inserted: int = 0
    updated: int = 0
    deleted: int = 0


@dataclass(frozen=True)
class Written:
    """What was committed, and how many rows the table has with it."""

    change: Change
    rows: int


Properties = Callable[[Change], Commit]


def write_rows(
    connection: Session,
    table: LakeTable,
    plan: RefinePlan,
    rows: Rows,
    properties: Properties,
    superseded: frozenset[str] = frozenset(),
) -> Written:
    """Adds rows to an empty table or one that is only added to, and merges them into any other. `superseded` are files whose rows
    a later batch has taken out before this one came."""
    if plan.adds_only and superseded:
        rows = rows.filter(f"{SOURCE_FILE} NOT IN ({', '.join(map(literal, superseded))})")
    if plan.adds_only and table.count() and _has_rows_of_files(connection, table, plan):
        return _add_in_their_place(connection, table, plan, rows, properties)
    if table.count() and not plan.adds_only:
        return _merge_rows(connection, table, plan, rows, properties, bool(superseded))
    if superseded and not plan.adds_only:
        rows = _outdated(plan, rows)
    return _add_rows(connection, table, rows.filter(_arrives(plan)).sql_query(), properties)


def write_nothing(table: LakeTable, properties: Properties) -> Written:
    """Commits the batch's marks alone: there is nothing that it could change."""
    table.swap([], [], properties(Change()))
    return Written(Change(), table.count())


def write_history(
    connection: Session,
    table: LakeTable,
    plan: RefinePlan,
    rows: Rows,
    confirmed: Load | None,
    properties: Properties,
) -> Written:
    """Applies the batch's states to their keys' versions; `confirmed` is the next full load after a batch that comes late."""
    connection.sql(with_forms(plan, rows.sql_query(), types_of(rows))).create_view(history.STAGED, replace=True)
    if not table.count():
        (several,) = given(connection.execute(history.keys_with_several_states(plan)).fetchone())
        return _add_rows(connection, table, history.first_versions(plan, several=several > 0), properties)
    types = column_types(connection, table)
    held = with_forms(plan, relation(connection, table).sql_query(), types)
    connection.sql(held).create_view(history.TARGET, replace=True)
    for statement in history.steps(plan, types, confirmed):
        connection.execute(statement)
    *counts, again = given(connection.execute(history.figures()).fetchone())
    change = Change(*counts)
    if change == Change() and not again:
        return write_nothing(table, properties)
    row_actions = {history.UPDATE: REPLACED, history.SAID_AGAIN: REPLACED, history.DELETE: REMOVED, history.END: MARKED}
    on_match = " ".join(f"WHEN '{change}' THEN '{action}'" for change, action in row_actions.items())
    rules = Rules(
        f"CASE s._flowforge_action {on_match} ELSE '{STAYS}' END",
        arrives=f"s._flowforge_action = '{history.INSERT}'",
        noted={"_flowforge_until": f"s.{VALID_TO}"},
        marks={VALID_TO: "f._flowforge_until", CURRENT: "f._flowforge_until IS NULL"},
    )
    arriving = Arriving(history.CHANGES, True, history.MOVES)
    identity = {match: name in plan.nullable for name, match in plan.matches.items()} | {VALID_FROM: False}
    merge = Merge(connection, table, arriving, identity, rules, forms(plan, types), [SURROGATE])
    return Written(change, merge.commit(merge.count_added(), properties(change)))


def _add_rows(connection: Session, table: LakeTable, query: str, properties: Properties) -> Written:
    files = write_files(connection, table, query, few=True)
    change = Change(inserted=sum(file.rows for file in files))
    table.swap([], files, properties(change))
    return Written(change, table.count() + change.inserted)


def _add_in_their_place(
    connection: Session, table: LakeTable, plan: RefinePlan, rows: Rows, properties: Properties
) -> Written:
    """Adds the rows, and takes out those that earlier batches have brought of the same files."""
    arriving = receive(connection, rows.filter(APPLIES).sql_query(), len(rows.columns), plan.landed)
    keys = ", ".join(f"({literal(key)})" for key in plan.files)
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {FILES} AS SELECT * FROM (VALUES {keys}) f({SOURCE_FILE})")
    rules = Rules(f"CASE WHEN {_older(plan)} THEN '{REMOVED}' ELSE '{STAYS}' END", arrives="true", adds_all=True)
    merge = Merge(connection, table, Arriving(arriving.name, arriving.is_held, FILES), {SOURCE_FILE: False}, rules)
    change = Change(inserted=merge.count_added(), deleted=merge.count(REMOVED))
    return Written(change, merge.commit(change.inserted, properties(change)))


def _has_rows_of_files(connection: Session, table: LakeTable, plan: RefinePlan) -> bool:
    """Whether the table has rows that the batch's files take the place of. Raises TransformRejected where rows do not tell their
    file."""
    if not plan.replaces_files:
        return False
    counts = f"count(*) FILTER ({SOURCE_FILE} IS NULL), count(*) FILTER ({plan.of_its_files})"
    older = f"SELECT {SOURCE_FILE} FROM ({relation(connection, table).sql_query()}) t WHERE {_older(plan)}"
    unknown, own = given(connection.execute(f"SELECT {counts} FROM ({older})").fetchone())
    if unknown:
        raise TransformRejected(
            f"{unknown:,} rows of silver do not tell their file ({SOURCE_FILE} is NULL: they were loaded without audit columns), "
            "so it is not known which of them the file's new content takes the place of",
            "load the files into another silverConfig.tableName, or set changedFile to append or refuse",
        )
    return own > 0


def _older(plan: RefinePlan) -> str:
    """The condition for rows `t` that this batch may change."""
    older = f"(t.{GENERATION}, t.{SEQ}) < ({plan.generation}, {plan.seq})"
    for first, last in plan.below:
        older += f" AND NOT (t.{GENERATION} = {plan.generation} AND t.{SEQ} BETWEEN {first} AND {last})"
    if plan.above:
        older = f"({older} OR (t.{GENERATION} = {plan.generation} AND t.{SEQ} IN ({', '.join(map(str, plan.above))})))"
    return older


def _taking_out(plan: RefinePlan, rules: Rules) -> Rules:
    """The rules, by which also rows go, or are marked, that the batch's files have no more. What is marked keeps its place in the
    order: what else was told of its key counts as before."""
    condition, action = f"{_older(plan)} AND t.{plan.of_its_files}", REMOVED
    if plan.marks_deleted:
        condition, action = f"{condition} AND t.{DELETED} IS NOT TRUE", MARKED
        rules = replace(rules, marks={DELETED: "true"})
    return replace(rules, on_missing=f"CASE WHEN {condition} THEN '{action}' ELSE '{STAYS}' END")


def _arrives(plan: RefinePlan) -> str:
    """The condition for rows of the batch that the table takes where it lacks their key. A deletion that is marked is one: it
    stands against what an earlier batch may still tell of the key."""
    return f"({APPLIES} OR {GONE})" if plan.follows_changes and plan.marks_deleted else APPLIES


def _with_deletions(plan: RefinePlan, rules: Rules) -> Rules:
    """The rules, by which also rows go, or are marked, whose last change is a deletion. What is marked keeps its values."""
    action = MARKED if plan.marks_deleted else REMOVED
    on_match = f"CASE WHEN s.{GONE} AND {_older(plan)} THEN '{action}' ELSE {rules.on_match} END"
    return replace(rules, on_match=on_match, marks=_marks(plan) if plan.marks_deleted else {})


def _marks(plan: RefinePlan) -> dict[str, str]:
    """The values of a row that the batch marks as deleted."""
    return {DELETED: "true", GENERATION: f"{plan.generation}::INTEGER", SEQ: f"{plan.seq}::BIGINT"}


def _outdated(plan: RefinePlan, rows: Rows) -> Rows:
    """The rows where a later batch has taken those of their file out already: they come and go at once, marked or not at all."""
    return rows.project(f"* REPLACE (true AS {DELETED})") if plan.marks_deleted else rows.filter("false")


def _merge_rows(
    connection: Session,
    table: LakeTable,
    plan: RefinePlan,
    rows: Rows,
    properties: Properties,
    is_outdated: bool,
) -> Written:
    older = _older(plan)
    on_match = f"CASE WHEN s.{APPLIES} AND {older} THEN '{REPLACED}' ELSE '{STAYS}' END"
    rules = Rules(on_match if plan.strategy != "append" else f"'{STAYS}'", arrives=_arrives(plan))
    if plan.follows_changes:
        rules = _with_deletions(plan, rules)
    if plan.key_folds and plan.strategy != "append":
        noted = {"_generation": f"t.{GENERATION}", "_seq": f"t.{SEQ}"}
        rules = replace(rules, one_row="_generation DESC, _seq DESC", noted=noted)
    if plan.refreshes and plan.marks_deleted:
        on_missing = f"CASE WHEN {older} AND t.{DELETED} IS NOT TRUE THEN '{MARKED}' ELSE '{STAYS}' END"
        rules = replace(rules, on_missing=on_missing, marks=_marks(plan))
    elif plan.refreshes:
        rules = replace(rules, on_missing=f"CASE WHEN {older} THEN '{REMOVED}' ELSE '{STAYS}' END")
    elif _has_rows_of_files(connection, table, plan):
        rules = _taking_out(plan, rules)
    if is_outdated and plan.marks_deleted:
        rows = _outdated(plan, rows)
    elif is_outdated:
        rules = replace(rules, on_match=rules.on_match.replace(REPLACED, REMOVED), arrives="false")
    types = column_types(connection, table)
    columns = types_of(rows)
    offered = with_forms(plan, rows.sql_query(), columns)
    arriving = receive(connection, offered, len(columns) + len(plan.matches), plan.landed)
    identity = {plan.matches.get(name, name): name == plan.cursor or name in plan.nullable for name in plan.identity}
    identity = with_nulls(connection, arriving, identity)
    merge = Merge(connection, table, arriving, identity, rules, forms(plan, types), [SURROGATE])
    change = Change(merge.count_added(), merge.count(REPLACED), merge.count(REMOVED) + merge.count(MARKED))
    return Written(change, merge.commit(change.inserted, properties(change)))
