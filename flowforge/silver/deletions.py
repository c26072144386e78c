# ruff: noqa: S608 - SQL text of quoted names and counted values; no cell or request text is pasted in
"""What a batch of keys takes out of silver: the rows whose keys the source has no more.

The batch has all keys of the source, read after every batch before it. Guarantees: only rows of earlier batches than this one
count, so what is loaded meanwhile or later stays; keys are equal where the source says so, by the forms that a merge compares;
NULL in a key is a value where it is one for a merge, and else its row stays. More rows than the batch may take out are refused
with their number, and none goes. Memory is bounded: keys are compared in portions by their hash, and of what is gone only so many
keys are kept as may go.

The rows that go are handed to the merge, or the history, as the deletions of a file of changes are: removed, marked, or ended.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from flowforge.domain.batch import Batch, order_of
from flowforge.domain.errors import DeletesRefused, TransformRejected
from flowforge.domain.given import given
from flowforge.domain.own_columns import APPLIES, CHANGE_VERSION, GONE
from flowforge.domain.source_key import SourceKey
from flowforge.engines.base import Rows, Session
from flowforge.engines.duckdb.sql import identifier
from flowforge.engines.duckdb.types import stored_column, stored_type
from flowforge.silver.decisions import decisions_of
from flowforge.silver.drift import retold, widens
from flowforge.silver.matching import keys_of, missing_key, same_key, with_forms
from flowforge.silver.plan import CURRENT, DELETED, GENERATION, SEQ, RefinePlan
from flowforge.silver.timeline import ORDER
from flowforge.tables.base import LakeTable
from flowforge.tables.rows import column_types, relation

KEYS_AT_ONCE = 8_000_000  # in a hash table: some 500 MB, of which DuckDB spills what its limit does not allow
HAIR = 1e-6  # of a row: 0.29 of 100 rows are 29, whatever binary digits make of it
THERE, HELD, GONE_KEYS = "_flowforge_there", "_flowforge_held", "_flowforge_gone_keys"


@dataclass(frozen=True)
class Gone:
    """The rows to take out, in the table's columns with APPLIES and GONE, and the plan that does it; `count` of `rows` go."""

    plan: RefinePlan
    staged: Rows
    count: int
    rows: int


def find_gone(
    connection: Session,
    table: LakeTable,
    batch: Batch,
    plan: RefinePlan,
    objects: str,
    *,
    limited: bool = True,
    keys_at_once: int = KEYS_AT_ONCE,
) -> Gone:
    """Compares the keys of the table expression `objects` with those of the table on this handle.

    Raises DeletesRefused for more rows than may go (with `limited`), TransformRejected for a table without the key's columns.
    """
    types = column_types(connection, table)
    name = f"silver.{batch.command.silver.table}"
    if missing := [key for key in plan.key if key not in types]:
        raise TransformRejected(
            f"{name} lacks the key's columns {', '.join(missing)}, so its keys cannot be compared with the source's",
            "Load the table once as before, then compare again: flowforge reconcile TABLE --apply.",
        )
    keys = {key: types[key] for key in plan.key}
    _refuse_other_types(plan, keys, decisions_of(table).types, name)
    there = with_forms(plan, _keys_there(plan, objects, keys), keys)
    connection.sql(there).create_view(THERE, replace=True)
    held = f"SELECT * FROM ({relation(connection, table).sql_query()}) WHERE {_standing(types)}"
    connection.sql(with_forms(plan, held, types)).create_view(HELD, replace=True)
    rows = _scalar(connection, f"SELECT count(*) FROM {HELD}")
    most = math.floor(batch.command.silver.most_deleted * rows + HAIR) if limited else rows
    count = _compare(connection, plan, most, keys_at_once)
    if count > most:
        raise _refused(batch, name, count, rows, _scalar(connection, f"SELECT count(*) FROM {objects}"))
    # The order of changes is asked for where there are several of a key: here each has one.
    deleting = replace(plan, change_order=(CHANGE_VERSION,), tells_part=False, landed=count)
    return Gone(deleting, connection.sql(_staged(deleting, types)), count, rows)


def _refuse_other_types(plan: RefinePlan, keys: dict[str, str], decided: Mapping[str, str], name: str) -> None:
    """Raises TransformRejected where a key is of another type than the table's: what is equal in one may not be in the other."""
    for key, kind in keys.items():
        own = stored_type(plan.source[key])
        if own != kind and key not in decided and not (widens(kind, own) or widens(own, kind)):
            raise TransformRejected(
                f"{name}: {retold(key, kind, own)}, so its keys cannot be compared with the source's",
                "Load the table first: its run says what can be done about the type. Then compare again.",
            )


def _keys_there(plan: RefinePlan, objects: str, keys: dict[str, str]) -> str:
    """The keys of the batch in the table's types; NULL in place of a value that the table's type has not, which is in no row."""
    stored = ", ".join(stored_column(key, plan.source[key]) for key in keys)
    own = {key: stored_type(plan.source[key]) for key in keys}
    items = ", ".join(f"{_fitting(identifier(key), own[key], kind)} AS {identifier(key)}" for key, kind in keys.items())
    return f"SELECT {items} FROM (SELECT {stored} FROM {objects})"


def _fitting(column: str, own: str, kind: str) -> str:
    if own == kind:
        return column
    there = f"TRY_CAST({column} AS {kind})"
    return f"CASE WHEN TRY_CAST({there} AS {own}) = {column} THEN {there} END"


def _standing(types: dict[str, str]) -> str:
    """The condition for rows that stand for a row of the source."""
    conditions = {CURRENT: CURRENT, DELETED: f"{DELETED} IS NOT TRUE"}
    return " AND ".join(condition for column, condition in conditions.items() if column in types) or "true"


def _compare(connection: Session, plan: RefinePlan, most: int, at_once: int) -> int:
    """Keeps the keys that are gone, as long as they are no more than may go; returns how many there are."""
    keys = ", ".join(identifier(name) for name in plan.key)
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {GONE_KEYS} AS SELECT {keys} FROM {HELD} LIMIT 0")
    portions = max(1, -(-_scalar(connection, f"SELECT count(*) FROM {THERE}") // at_once))
    count = 0
    for portion in range(portions):
        one_each = f"DISTINCT ON ({keys_of(plan)}) " if plan.key_folds else ""  # one key in several spellings goes once
        query = f"SELECT {one_each}{keys} FROM {_gone_of(plan, portion, portions)}"
        if count > most:
            count += _scalar(connection, f"SELECT count(*) FROM ({query})")
        else:
            connection.execute(f"INSERT INTO {GONE_KEYS} {query}")
            count = _scalar(connection, f"SELECT count(*) FROM {GONE_KEYS}")
    return count


def _gone_of(plan: RefinePlan, portion: int, portions: int) -> str:
    """Of one portion of all keys, by their hash, the table's rows of earlier batches whose key the source has not."""
    here = "true" if portions == 1 else f"hash({keys_of(plan)}) % {portions} = {portion}"
    lacking = missing_key(plan)
    older = f"{ORDER} < {order_of(plan.generation, plan.seq)} AND NOT ({lacking})"
    return (
        f"(SELECT * FROM {HELD} WHERE {older} AND {here}) s "
        f"ANTI JOIN (SELECT {keys_of(plan)} FROM {THERE} WHERE {here}) t ON {same_key(plan)}"
    )


def _staged(plan: RefinePlan, types: dict[str, str]) -> str:
    """The deletions in the table's columns: the key, the batch's place, and nothing else."""
    own = {GENERATION: f"{plan.generation}::INTEGER", SEQ: f"{plan.seq}::BIGINT"}
    items = [
        f"{identifier(name) if name in plan.key else own.get(name, f'CAST(NULL AS {kind})')} AS {identifier(name)}"
        for name, kind in types.items()
    ]
    return f"SELECT {', '.join(items)}, false AS {APPLIES}, true AS {GONE} FROM {GONE_KEYS}"


def _refused(batch: Batch, name: str, count: int, rows: int, there: int) -> DeletesRefused:
    command, share = batch.command, count / rows
    source = SourceKey.parse(batch.source_key).source_table
    return DeletesRefused(
        f"{name}: {count:,} of {rows:,} rows ({share:.2%}) have a key that {source} has no more "
        f"({there:,} keys were read), and maxDeleteShare allows {command.silver.most_deleted:.2%}; no row was taken out",
        f"See whether the source is the right one, and whole: flowforge reconcile {command.bronze.table}. If the rows are to go: "
        f"flowforge reconcile {command.bronze.table} --apply --max-delete-share {_enough(share)}",
    )


def _enough(share: float) -> str:
    """The least share that allows it, in hundredths of a percent."""
    return f"{min(1.0, -(-share * 10_000 // 1) / 10_000):.4f}".rstrip("0").rstrip(".")


def _scalar(connection: Session, query: str) -> int:
    return given(connection.execute(query).fetchone())[0]
