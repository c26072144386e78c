# ruff: noqa: S608 - SQL text of quoted names and counted values; no cell or request text is pasted in
"""Two sides of a table in one engine: silver's rows and the source's, each as its key and a hash of the row.

Guarantees: both are brought into silver's own types by the same engine before they are hashed, so a difference is one of values,
never of notation; memory is bounded (batches from the source, tables that spill).
"""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from flowforge.domain.errors import UnsupportedSource
from flowforge.domain.given import given
from flowforge.domain.source_columns import SourceColumn
from flowforge.engines.base import Rows, Session
from flowforge.engines.duckdb.folding import folds_of
from flowforge.engines.duckdb.sql import identifier, literal
from flowforge.engines.duckdb.types import stored_type
from flowforge.operations.findings import Question, RangeResult, Result
from flowforge.silver.plan import CURRENT, DELETED
from flowforge.sources.base import Rereading

MICROSECONDS = r"(\.\d{6})\d"
HASH, PLACE, PART, KEPT = (
    "_flowforge_hash",
    "_flowforge_place",
    "_flowforge_part",
    "_flowforge_kept",
)  # whatever the key's columns are called
EXAMPLES = 3  # keys that are named of a range that differs


class Comparison:
    """Both sides in one engine: tables `source`, `silver` and `newer`, each with the key's columns and a hash of the row."""

    def __init__(
        self,
        engine: Session,
        question: Question,
        described: Rereading,
        silver: dict[str, str],
        is_exact: bool,
    ):
        self.engine, self.question, self.silver, self._is_exact = engine, question, silver, is_exact
        there = [_in_silver(column, question.renamed) for column in described.columns]
        hidden = {*question.protected, *(column.at_source for column in there if column.masked)}
        self.columns = [column for column in there if column.name in silver and column.at_source not in hidden]
        compared = {column.name for column in self.columns}
        self.not_compared = [column.name for column in there if column.name not in compared and not column.derivation]
        self.key = [name for name in described.primary_key if name in compared]
        if len(self.key) < len(described.primary_key):
            self.key = []
        self.order = list(self.key)  # the source's own columns, which it sorts by all their digits
        self.key += [column.name for column in self.columns if column.derivation == "digit" and column.of in self.key]
        self.key_columns = [column for name in self.key for column in self.columns if column.name == name]
        self.folds = folds_of(self.key_columns)

    def take_silver(self, silver: Rows) -> None:
        """The rows of silver that have a row at the source, below the watermark."""
        conditions = [f"NOT {DELETED}"] if DELETED in self.silver else []
        conditions += [CURRENT] if CURRENT in self.silver else []
        if self.question.bound is not None and self.question.column in self.silver:
            name = identifier(self.question.column)
            below = "<" if self._is_exact else "<="  # a time may have been cut
            conditions.append(f"({name} IS NULL OR {name} {below} {self._bound()})")
        kept = silver.filter(" AND ".join(conditions)) if conditions else silver
        self.engine.execute(
            f"CREATE TEMP TABLE silver AS SELECT {self._keys()} {self._hash()} AS {HASH} FROM ({kept.sql_query()})"
        )
        if self.folds and self._twice():
            self.folds = {}  # spellings that silver has as rows of their own are compared as they are, and so told
        if self.key and (twice := self._twice()):
            raise UnsupportedSource(
                f"silver.{self.question.silver_table} holds {twice} keys more than once: it keeps every version",
                "Only tables with one row for a key can be compared.",
            )

    def _twice(self) -> int:
        """Keys of which silver has several rows."""
        forms = ", ".join(self._form(name, "silver") for name in self.key)
        return self._scalar(f"SELECT count(*) FROM (SELECT 1 FROM silver GROUP BY {forms} HAVING count(*) > 1)")

    def take_source(self, batches: Iterator[pa.RecordBatch], progress: Callable[[int], None]) -> None:
        """The rows of the source, numbered by range in the order in which they came."""
        seen = 0
        for number, batch in enumerate(batches):
            rows = self._arrow(batch)
            verb = "INSERT INTO source" if number else "CREATE TEMP TABLE source AS"
            position = f"({seen} + row_number() OVER () - 1)"
            numbered = (
                f"SELECT *, {position} AS {PLACE}, {position} // {self.question.rows_per_range} AS {PART} FROM ({rows})"
            )
            self.engine.execute(f"{verb} {numbered}")
            seen += batch.num_rows
            progress(seen)
        if not seen:
            self.engine.execute(f"CREATE TEMP TABLE source AS SELECT *, 0 AS {PLACE}, 0 AS {PART} FROM silver LIMIT 0")

    def take_newer(self, batches: Iterator[pa.RecordBatch]) -> None:
        """Leaves out on both sides the keys whose newest version comes with the next load."""
        self.engine.execute(f"CREATE TEMP TABLE newer AS SELECT {self._names()} FROM silver LIMIT 0")
        for batch in batches:
            self._register(batch)
            self.engine.execute(f"INSERT INTO newer SELECT {self._keys().rstrip(', ')} FROM arriving")
        for side in ("source", "silver"):
            self.engine.execute(
                f"DELETE FROM {side} WHERE EXISTS (SELECT 1 FROM newer WHERE {self._same('newer', side)})"
            )

    def take_quarantine(self, rows: Rows | None) -> None:
        """The rows that silver has kept out, as hashes of what silver would hold of them."""
        there = set() if rows is None else set(rows.columns)
        items = ", ".join(
            f"TRY_CAST({identifier(column.name) if column.name in there else 'NULL'} AS {self.silver[column.name]}) "
            f"AS {identifier(column.name)}"
            for column in self.columns
        )
        query = f"SELECT 0::UHUGEINT AS {KEPT} WHERE false"
        if rows is not None and there:
            query = f"SELECT DISTINCT {self._hash()} AS {KEPT} FROM (SELECT {items} FROM ({rows.sql_query()}))"
        self.engine.execute(f"CREATE TEMP TABLE kept_out AS {query}")

    def result(self) -> Result:
        """What differs, by range."""
        newer = self.question.bound is not None and bool(self.key)
        only = "true" if not self.key else f"NOT EXISTS (SELECT 1 FROM source WHERE {self._same('source', 'silver')})"
        lonely = self._scalar(f"SELECT count(*) FROM silver WHERE {only}") if self.key else 0
        shown = f"SELECT {self._shown('silver')} FROM silver WHERE {only} ORDER BY ALL LIMIT {EXAMPLES}"
        return Result(
            source_rows=self._scalar("SELECT count(*) FROM source"),
            silver_rows=self._scalar("SELECT count(*) FROM silver"),
            newer_rows=self._scalar("SELECT count(*) FROM newer") if newer else 0,
            only_in_silver=lonely,
            only_in_silver_examples=[row[0] for row in self.engine.execute(shown).fetchall()] if lonely else [],
            ranges=self._ranges() if self.key else [],
            columns=[column.name for column in self.columns],
            not_compared=self.not_compared,
            by_key=bool(self.key),
            in_quarantine=self._scalar(
                f"SELECT count(*) {self._joined()} WHERE {KEPT} IS NOT NULL AND {self._other()}"
            ),
        )

    def _joined(self) -> str:
        """Source rows beside silver's of the same key (of the same content, where there is none) and what was kept out."""
        same = self._same("source", "silver") if self.key else f"silver.{HASH} = source.{HASH}"
        return f"FROM source LEFT JOIN silver ON {same} LEFT JOIN kept_out ON {KEPT} = source.{HASH}"

    def _other(self) -> str:
        """Silver does not hold the row as the source does."""
        return f"silver.{HASH} IS DISTINCT FROM source.{HASH}"

    def _ranges(self) -> list[RangeResult]:
        rows = self.engine.execute(
            f"SELECT {PART}, count(*), count(silver.{HASH}), count(*) FILTER (silver.{HASH} IS NULL AND {KEPT} IS NULL), "
            f"count(*) FILTER (silver.{HASH} <> source.{HASH} AND {KEPT} IS NULL), printf('%032x', bit_xor(source.{HASH})), "
            f"count(*) FILTER ({KEPT} IS NOT NULL AND {self._other()}), printf('%032x', bit_xor(silver.{HASH})), "
            f"arg_min({self._list('source')}, {PLACE}), arg_max({self._list('source')}, {PLACE}), "
            f"min({self._shown('source')}, {EXAMPLES}) FILTER ({self._other()} AND {KEPT} IS NULL) "
            f"{self._joined()} GROUP BY {PART} ORDER BY {PART}"
        ).fetchall()
        return [
            RangeResult(first, last, count, held, missing, changed, ours, theirs or "", examples or [], kept)
            for _, count, held, missing, changed, ours, kept, theirs, first, last, examples in rows
        ]

    def _arrow(self, batch: pa.RecordBatch) -> str:
        self._register(batch)
        return f"SELECT {self._keys()} {self._hash()} AS {HASH} FROM arriving"

    def _register(self, batch: pa.RecordBatch) -> None:
        """Makes a batch readable as `arriving`, in silver's types."""
        self.engine.register("arrived", _cut(pa.Table.from_batches([batch])))
        came = self.engine.table("arrived")
        items = [
            f"{self._converted(name, str(kind))} AS {identifier(name)}"
            for name, kind in zip(came.columns, came.types, strict=True)
        ]
        self.engine.execute(f"CREATE OR REPLACE TEMP VIEW arriving AS SELECT {', '.join(items)} FROM arrived")

    def _converted(self, name: str, kind: str) -> str:
        return f"CAST(CAST({identifier(name)} AS {stored_type(kind)}) AS {self.silver[name]})"

    def _keys(self) -> str:
        return "".join(f"{identifier(name)}, " for name in self.key)

    def _names(self) -> str:
        return ", ".join(identifier(name) for name in self.key)

    def _same(self, one: str, other: str) -> str:
        return " AND ".join(f"{self._form(name, one)} = {self._form(name, other)}" for name in self.key)

    def _form(self, name: str, side: str) -> str:
        """A key's column as the source compares it."""
        column, fold = identifier(name, side), self.folds.get(name)
        return fold.sql(column) if fold and self.silver[name] == fold.kind else column

    def _list(self, side: str) -> str:
        return f"[{', '.join(f'CAST({identifier(name, side)} AS VARCHAR)' for name in self.key)}]"

    def _shown(self, side: str) -> str:
        return f"array_to_string({self._list(side)}, ', ')" if self.key else "''"

    def _hash(self) -> str:
        """128 bits of every column's name, length and text; a NULL is left out."""
        parts = []
        for n, column in enumerate(self.columns):
            text = f"CAST({identifier(column.name)} AS VARCHAR)"
            parts.append(f"'{n}=' || length({text}) || ':' || {text}")
        return f"md5_number(concat({', '.join(parts)}))"

    def _bound(self) -> str:
        """The watermark in silver's type, cut to the microseconds that it has."""
        kind, text = self.silver[given(self.question.column)], given(self.question.bound)
        if kind == "BLOB":
            return f"from_hex({literal(text.removeprefix('0x'))})"
        cut = re.sub(MICROSECONDS, r"\1", text)
        return f"CAST({literal(cut)} AS {kind})"

    def _scalar(self, query: str) -> Any:
        return given(self.engine.execute(query).fetchone())[0]


def _in_silver(column: SourceColumn, renamed: dict[str, str]) -> SourceColumn:
    """The column by its name in silver."""
    new = renamed.get(column.name)
    return column.model_copy(update={"name": new, "source_name": column.name}) if new else column


def _cut(rows: pa.Table) -> pa.Table:
    """Times of day in microseconds, cut as the engine cuts them when silver reads bronze: a cast of its own would round."""
    for n, field_ in enumerate(rows.schema):
        if field_.type == pa.time64("ns"):
            rows = rows.set_column(n, field_.name, pc.cast(rows.column(n), pa.time64("us"), safe=False))
    return rows
