"""Compares a silver table with its source, row by row, and names the key ranges that differ.

Guarantees: exact for every canonical type. Rows whose cursor is at or above the watermark are no difference: they come with the
next load, and what silver holds of their keys is left out. Without a primary key rows are counted only.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pyarrow as pa

from flowforge.domain.errors import NotFound
from flowforge.domain.source_columns import SourceColumn
from flowforge.engines.registry import ENGINE
from flowforge.operations.comparison import Comparison
from flowforge.operations.findings import Question, Result
from flowforge.sources.base import Rereading, Source
from flowforge.sources.plans import Position
from flowforge.tables.lake import open_table, store_errors, table_uri
from flowforge.tables.rows import relation, types_of


def reconcile(
    question: Question,
    source: Source,
    bucket: str,
    progress: Callable[[int], None] = lambda rows: None,
) -> Result:
    """Reads the source's table once and compares; `progress` is told how many rows were read.

    Raises NotFound for a silver table that does not exist, UnsupportedSource for one that keeps several rows of a key, and what
    connecting and reading raise.
    """
    again = source.reread(question.source_table, question.casts)
    question = _settled(question, again)
    table = open_table(table_uri(bucket, "silver", question.silver_table))
    if table is None:
        raise NotFound(f"there is no table silver.{question.silver_table}", "Load it first.")
    with ENGINE.session() as engine, store_errors(f"silver.{question.silver_table}"):
        silver = relation(engine, table)
        comparison = Comparison(engine, question, again, types_of(silver), source.is_exact(question.sql_type))

        def read(columns: list[SourceColumn], newer: bool) -> Iterator[pa.RecordBatch]:
            with again.read(columns, question.interval(newer), comparison.order) as reader:
                yield from reader

        # What is newer is read last: a row that is changed meanwhile is then in neither or in both, and excluded.
        comparison.take_silver(silver)
        kept_out = open_table(table_uri(bucket, "quarantine", question.silver_table))
        comparison.take_quarantine(relation(engine, kept_out) if kept_out is not None else None)
        comparison.take_source(read(comparison.columns, False), progress)
        if question.bound is not None and comparison.key:
            comparison.take_newer(read(comparison.key_columns, True))
        return replace(comparison.result(), rests_on=again.rests_on)


def _settled(question: Question, again: Rereading) -> Question:
    """The question up to where no row is still to come: those come with the next load."""
    if question.bound is None or question.column is None or question.sql_type is None:
        return question
    return replace(question, bound=again.settled(Position(question.column, question.bound, question.sql_type)))
