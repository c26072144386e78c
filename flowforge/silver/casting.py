"""Values of one type as values of another, or not at all: the table's when a type changes, a batch's when the table's is another.

Guarantees: a value is converted only if it comes back equal: cast there and back it is itself again. A text stands for a number
or a time only in that one's own plain notation ('007' is no 7). What becomes REAL is the same number in 64 bits: readers that
know no 32 bits would show other digits. Table and batch are looked at together, before either is written: both fit, or neither
is touched. What does not fit is counted, with the keys of some rows; values are not repeated.
"""

import json
from dataclasses import dataclass

from flowforge.domain.errors import TransformRejected
from flowforge.domain.given import given
from flowforge.domain.own_columns import APPLIES
from flowforge.engines.base import Rows
from flowforge.engines.duckdb.sql import identifier
from flowforge.silver.plan import RefinePlan
from flowforge.silver.type_names import shown
from flowforge.tables.base import LakeTable, once
from flowforge.tables.rows import allow_naive_timestamps, types_of

SAMPLES, SAMPLE_LETTERS = 3, 60
NUMBERS = ("DECIMAL", "SMALLINT", "INTEGER", "BIGINT", "FLOAT", "DOUBLE")
PLAIN_NUMBER = r"-?(0|[1-9][0-9]*)(\.[0-9]+)?"
_REMEDY = (
    "decide on a type that holds them all, VARCHAR does (flowforge schema TABLE --type COLUMN=TYPE), then replay the batch "
    "(flowforge replay --run RUN); neither the table nor the batch was changed"
)
_ROW_REMEDY = (
    "load into a new silver table (silverConfig.tableName), or load this one once with loadStrategy full_refresh"
)


@dataclass(frozen=True)
class Conversion:
    """The columns of one side that change their type: name -> type before and after; `where` begins the sentence that refuses."""

    where: str
    rows: Rows
    wanted: dict[str, str]

    @property
    def before(self) -> dict[str, str]:
        """The types of all columns of the rows."""
        return dict(zip(self.rows.columns, map(str, self.rows.types), strict=True))


def conversions(
    present: Rows,
    retyped: dict[str, str],
    rows: Rows,
    types: dict[str, str],
    where: str,
) -> list[Conversion]:
    """What happens to the table's values, and to the batch's on their way into the table's `types`."""
    ours = types_of(rows)
    cast = {name: types[name] for name, kind in ours.items() if name in types and types[name] != kind}
    return [Conversion(f"{where} holds", present, retyped), Conversion("the batch brings", rows, cast)]


def refuse_misfits(sides: list[Conversion], plan: RefinePlan, where: str) -> None:
    """Raises TransformRejected when a value of any side would not come back equal, or would tell its row apart in another way."""
    told = [sentence for side in sides if side.wanted for sentence in _misfits(side, plan)]
    if told:
        raise TransformRejected(f"{where}: {'; '.join(told)}", _REMEDY)
    moved = _rewritten_identities(sides[0], plan) if sides[0].wanted else []
    if moved:
        raise TransformRejected(
            f"{where} tells its rows apart by what the values of {', '.join(moved)} look like, and these would look different",
            _ROW_REMEDY,
        )


def rewrite(
    table: LakeTable, change: Conversion, filled: dict[str, str], kinds: dict[str, str], plan: RefinePlan
) -> None:
    """Rewrites the table with the new types, and with new columns (`filled`: name -> expression, of the types `kinds`), in one
    commit; `refuse_misfits` has looked at its values."""
    allow_naive_timestamps(table, [*change.wanted.values(), *(kinds[name] for name in filled)])
    items = [_cast(name, change.wanted.get(name), "CAST") for name in change.rows.columns]
    items += [f"CAST({value} AS {kinds[name]}) AS {identifier(name)}" for name, value in filled.items()]
    mark = {f"flowforge/{plan.source_key}/columns": plan.order}
    told = {"flowforge.retyped": json.dumps(change.wanted), "flowforge.filled": json.dumps(filled)}
    table.overwrite(change.rows.project(", ".join(items)), once(mark, told))


def fitted(change: Conversion, types: dict[str, str], filled: dict[str, str]) -> Rows:
    """The batch's rows in the table's types, with NULL in the columns that only the table has, or what `filled` says of them.

    A row that is kept out of the table may hold what does not fit; it is not written.
    """
    rows = change.rows
    items = [_cast(name, change.wanted.get(name), "TRY_CAST") for name in rows.columns]
    missing = {name: kind for name, kind in types.items() if name not in rows.columns}
    if not change.wanted and not missing:
        return rows
    items += [f"CAST({filled.get(name, 'NULL')} AS {kind}) AS {identifier(name)}" for name, kind in missing.items()]
    return rows.project(", ".join(items))


def survives(name: str, before: str, after: str) -> str:
    """The condition that a value is itself again after a cast to `after` and back; NULL is."""
    value = identifier(name)
    cast = f"TRY_CAST({value} AS {after})"
    if before == "VARCHAR":
        kept = _text_survives(value, cast, after)
    else:
        kept = f"TRY_CAST({cast} AS {before}) IS NOT DISTINCT FROM {value}"
    if after == "FLOAT":
        kept += f" AND TRY_CAST({cast} AS DOUBLE) IS NOT DISTINCT FROM TRY_CAST({value} AS DOUBLE)"
    return f"({value} IS NULL OR ({cast} IS NOT NULL AND {kept}))"


def _text_survives(value: str, cast: str, after: str) -> str:
    """Whether a text is the plain notation of the value that it becomes; zeros at the end of a fraction say nothing."""
    back = f"CAST({cast} AS VARCHAR)"
    if after.startswith(NUMBERS):
        return f"regexp_full_match({value}, '{PLAIN_NUMBER}') AND {_trimmed(value)} = {_trimmed(back)}"
    if after.startswith("TIMESTAMP"):
        plain = f"regexp_replace(regexp_replace({value}, '^(.{{10}})T', '\\1 '), '(Z|[+-]00:00)$', '+00')"
        return f"{_trimmed(plain)} = {_trimmed(back)}"
    return f"{back} = {value}"


def _trimmed(text: str) -> str:
    """The text without zeros at the end of a fraction, a zone's sign kept."""
    return f"regexp_replace({text}, '(\\.[0-9]*?)0+(\\+00)?$', '\\1\\2').replace('.+', '+').rtrim('.')"


def _misfits(side: Conversion, plan: RefinePlan) -> list[str]:
    before = side.before
    own = f"{APPLIES} AND " if APPLIES in before else ""
    lost = {name: f"{own}NOT {survives(name, before[name], kind)}" for name, kind in side.wanted.items()}
    counts = side.rows.aggregate(", ".join(f"count(*) FILTER ({condition})" for condition in lost.values())).fetchone()
    return [
        f"{side.where} {count:,} value{'' if count == 1 else 's'} of {name} that would not come back equal from "
        f"{shown(side.wanted[name])}{_sample(side.rows, plan, condition)}"
        for count, (name, condition) in zip(given(counts), lost.items(), strict=True)
        if count
    ]


def _sample(rows: Rows, plan: RefinePlan, condition: str) -> str:
    """The keys of some rows, for the sentence; nothing where rows have no key."""
    if not plan.key or any(name not in rows.columns for name in plan.key):
        return ""
    keys = ", ".join(f"left(CAST({identifier(name)} AS VARCHAR), {SAMPLE_LETTERS})" for name in plan.key)
    found = (
        rows.filter(condition).project(keys).order(", ".join(str(n + 1) for n in range(len(plan.key)))).limit(SAMPLES)
    )
    shown_keys = ["/".join("NULL" if part is None else part for part in row) for row in found.fetchall()]
    return f" ({'/'.join(plan.key)} {', '.join(shown_keys)}, for example)"


def _rewritten_identities(side: Conversion, plan: RefinePlan) -> list[str]:
    """Columns that tell rows apart and whose values look different in the new type: hashes and surrogate keys are of text."""
    if plan.adds_only or (plan.keyless and plan.refreshes):
        return []
    watched = plan.source if plan.keyless else plan.identity
    names = [name for name in side.wanted if name in watched]
    if not names:
        return []
    texts = (
        f"CAST({identifier(n)} AS VARCHAR) <> CAST(CAST({identifier(n)} AS {side.wanted[n]}) AS VARCHAR)" for n in names
    )
    counts = side.rows.aggregate(", ".join(f"count(*) FILTER ({text})" for text in texts)).fetchone()
    return [name for name, count in zip(names, given(counts), strict=True) if count]


def _cast(name: str, kind: str | None, function: str) -> str:
    column = identifier(name)
    return f"{function}({column} AS {kind}) AS {column}" if kind else column
