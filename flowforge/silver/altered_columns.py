"""Columns whose type the source has changed where silver's own stays: char(5) became char(10), datetime2(7) datetime2(0).

ALTER TABLE … ALTER COLUMN converts the values of all rows: it pads them, rounds them, or puts a question mark for a letter, and
no delta column says that these rows were changed. Guarantees: pure; such a change is told once, with what reads rows of before
again, unless it cannot have changed a value: a text or bytes of varying length that may be longer now, seconds with more digits.
"""

import json
import re

from flowforge.domain.batch import Batch
from flowforge.domain.source_columns import SourceColumn
from flowforge.engines.duckdb.types import stored_type
from flowforge.silver.drift import Drift
from flowforge.silver.new_columns import declared_columns, reading_again, reads_part
from flowforge.silver.plan import RefinePlan
from flowforge.tables.base import LakeTable

# Types of silver that stand for several of a source.
SEVERAL = ("VARCHAR", "BLOB", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE")
DECLARED = "flowforge.declaredTypes"  # table property: {column: the source's own word for its type}
_WORD = re.compile(r"(\w+)(?:\((\w+)\))?")
MAX = "max"


def declared_types(batch: Batch, plan: RefinePlan, table: LakeTable | None = None) -> dict[str, str]:
    """The source's word for the type of each column that silver's type does not tell; of columns of `table` that the batch lacks,
    what was known of them."""
    before = {} if table is None else _before(table)
    return before | {
        name: _word(column)
        for name, column in declared_columns(batch, plan).items()
        if stored_type(plan.source[name]) in SEVERAL and column.derivation is None and _word(column)
    }


def told_altered(table: LakeTable, batch: Batch, plan: RefinePlan, drift: Drift, exchanged: list[str]) -> list[str]:
    """A sentence for each column that was converted at the source, where rows of before are not read again by this very batch."""
    if not reads_part(batch) or not table.count():
        return []
    columns, before = declared_columns(batch, plan), _before(table)
    return [
        f"column {name} was {before[name]} and is {word} at the source now, which has converted its values (padded, rounded or "
        f"in another code page): rows of before keep what they were loaded with until they are read again "
        f"({reading_again(batch, plan, columns[name])})"
        for name, word in declared_types(batch, plan).items()
        if name in before and name not in {*drift.retyped, *exchanged} and not keeps_values(before[name], word)
    ]


def keeps_values(before: str, after: str) -> bool:
    """Whether every value of one type is the same in the other, by their names."""
    if before == after:
        return True
    was, now = (_WORD.fullmatch(word.strip().lower()) for word in (before, after))
    if was is None or now is None:
        return False
    bases = (was[1], now[1])
    if bases in (("varchar", "varchar"), ("nvarchar", "nvarchar"), ("varbinary", "varbinary"), ("varchar", "nvarchar")):
        return _length(now[2]) >= _length(was[2])
    if bases[0] == bases[1] and bases[0] in ("time", "datetime2", "datetimeoffset"):
        return _length(now[2] or "7") >= _length(was[2] or "7")
    return bases in (("text", "varchar"), ("ntext", "nvarchar"), ("image", "varbinary")) and now[2] == MAX


def _length(written: str | None) -> float:
    if written == MAX:
        return float("inf")
    return int(written) if written and written.isdigit() else 1


def _word(column: SourceColumn) -> str:
    return column.cast_from or column.sql_type


def _before(table: LakeTable) -> dict[str, str]:
    return json.loads(table.properties().get(DECLARED, "{}"))
