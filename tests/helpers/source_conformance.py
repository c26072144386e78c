"""What every kind of source must keep, asked through the protocols of `flowforge.sources.base` alone.

A kind brings a fixture `made`, an `UnderTest`: it makes tables of rows with a key from 1 on, and a cursor that grows with every
change. A class of its own (`class TestSqlServer(Conformance)`) then has all tests below; what a kind does not do, it says
there, and is held to that. What only some kinds can do is tested with the kind.
"""

import json
import time
from collections.abc import Iterable
from typing import Protocol

import pytest

from flowforge.domain.errors import SourceUnavailable, UnknownTable, UnsupportedSource
from flowforge.domain.interval import Interval
from flowforge.domain.slice_plan import SlicePlan
from flowforge.sources.base import Source
from flowforge.sources.plans import Description, LastRead, Position, ReadPlan, Wanted
from flowforge.sources.registry import kind_of

ROWS = 1_000  # of a table that is read in several splits
KEY = "id"


class UnderTest(Protocol):
    """A source with tables that tests make and change."""

    def source(self) -> Source:
        """The source as a worker that has just started has it."""
        ...

    def table(self, rows: int) -> str:
        """Makes a table with the keys 1 to `rows`; returns its name as a request writes it."""
        ...

    def add(self, table: str, keys: Iterable[int]) -> None:
        """Adds rows."""
        ...

    def change(self, table: str, keys: Iterable[int]) -> None:
        """Changes rows, whose cursor grows by that."""
        ...

    def wanted(self, table: str, by_cursor: bool = True) -> Wanted:
        """The order to read a table: what is new by its cursor, or all of it."""
        ...


def described(source: Source, wanted: Wanted) -> Description:
    with source.session() as session:
        return session.describe(wanted)


def planned(source: Source, wanted: Wanted, last: dict[str, LastRead] | None = None, only_new: bool = False):
    with source.session() as session:
        return session.plan(session.describe(wanted), last or {}, only_new)


def keys_of(source: Source, plan: ReadPlan, split: int | None = None) -> list[int]:
    with source.open(plan, split) as reader:
        return [key for batch in reader for key in batch.column(KEY).to_pylist()]


def all_keys(source: Source, plan: ReadPlan) -> list[int]:
    splits: list[int | None] = [None] if plan.splits is None else list(range(len(plan.splits.ranges)))
    return sorted(key for split in splits for key in keys_of(source, plan, split))


def kept(plan: ReadPlan) -> dict[str, LastRead]:
    """What the state keeps of a plan, as JSON that nobody has read."""
    interval, cursor = plan.interval, plan.interval.column
    if interval.files:
        taken = {file.place: file for file in interval.files}
        return {"": LastRead(files=lambda listed: taken)}
    if cursor is None or interval.high is None:
        return {}
    identity, memory = json.loads(json.dumps(plan.identity)), json.loads(json.dumps(plan.memory))
    return {cursor: LastRead(Position(cursor, interval.high, interval.sql_type), identity, "", memory)}


def taken_over(made: UnderTest, wanted: Wanted, plan: ReadPlan) -> tuple[Source, ReadPlan]:
    """The plan of a worker that goes on with another one's claim: from the batch's record, with nothing else."""
    source = made.source()
    interval = Interval.model_validate_json(plan.interval.model_dump_json())
    if plan.splits is None:
        return source, source.resume(interval, described(source, wanted))
    return source, source.resume(interval, splits=SlicePlan.model_validate_json(plan.splits.model_dump_json()))


class Conformance:
    """One test for each promise of the seam. `has_cursors`: a position bounds what a load reads; `is_compared`: what was read can
    be read once more, to be compared with the lake."""

    has_cursors = True
    is_compared = True

    def test_should_be_found_by_its_kind(self, made: UnderTest):
        source = made.source()
        assert kind_of(source.kind) is type(source)

    @pytest.mark.parametrize("by_cursor", [True, False], ids=["by cursor", "all rows"])
    def test_should_read_each_row_of_a_plan_in_one_split(self, made: UnderTest, by_cursor):
        source, table = made.source(), made.table(ROWS)
        plan = planned(source, made.wanted(table, by_cursor))
        assert plan.nothing is None
        assert all_keys(source, plan) == list(range(1, ROWS + 1))

    @pytest.mark.parametrize("rows", [5, ROWS], ids=["at once", "in splits"])
    def test_should_read_the_same_rows_where_another_worker_takes_the_claim_over(self, made: UnderTest, rows):
        source, table = made.source(), made.table(rows)
        wanted = made.wanted(table)
        plan = planned(source, wanted)
        with source.open(plan, None if plan.splits is None else 0) as reader:
            next(iter(reader))  # and dies
        made.add(table, [rows + 1])
        other, again = taken_over(made, wanted, plan)
        assert all_keys(other, again) == list(range(1, rows + 1))

    def test_should_read_the_same_rows_when_a_split_is_delivered_twice(self, made: UnderTest):
        source, table = made.source(), made.table(ROWS)
        plan = planned(source, made.wanted(table))
        split = None if plan.splits is None else 0
        first = keys_of(source, plan, split)
        made.add(table, [ROWS + 1])
        assert sorted(first) == sorted(keys_of(source, plan, split)) != []

    def test_should_go_on_where_the_load_before_has_ended(self, made: UnderTest):
        source, table = made.source(), made.table(5)
        wanted = made.wanted(table)
        first = planned(source, wanted)
        made.add(table, [6])
        made.change(table, [2])
        before = set(all_keys(source, first))
        second = planned(made.source(), wanted, kept(first))
        assert (second.interval.low is not None) == self.has_cursors
        assert {2, 6} <= set(all_keys(source, second))
        assert before | {2, 6} == {1, 2, 3, 4, 5, 6}

    def test_should_say_why_where_nothing_is_new(self, made: UnderTest):
        source, table = made.source(), made.table(5)
        wanted = made.wanted(table)
        last = kept(planned(source, wanted))
        idle = planned(source, wanted, last, only_new=True)
        assert idle.nothing is not None
        assert idle.nothing.reason
        made.add(table, [6])
        assert planned(source, wanted, last, only_new=True).nothing is None

    def test_should_keep_positions_as_text_that_sorts_as_the_source_says(self, made: UnderTest):
        source, table = made.source(), made.table(5)
        wanted = made.wanted(table)
        first = planned(source, wanted)
        if not self.has_cursors:
            assert (first.interval.column, first.interval.low, first.interval.high) == (None, None, None)
            assert not any(source.can_be_cursor(column) for column in first.columns)
            return
        made.change(table, [1])
        second = planned(source, wanted, kept(first))
        low, high, order = first.interval.high, second.interval.high, source.order(first.interval.sql_type)
        assert isinstance(low, str)
        assert isinstance(high, str)
        assert order(low) < order(high)

    def test_should_count_what_it_has_read(self, made: UnderTest):
        source, table = made.source(), made.table(ROWS)
        wanted = made.wanted(table)
        plan = planned(source, wanted)
        made.add(table, [ROWS + 1])
        other, again = taken_over(made, wanted, plan)
        assert other.recount(again).rows == ROWS

    def test_should_tell_of_the_read_once_it_is_done(self, made: UnderTest):
        source, table = made.source(), made.table(5)
        plan = planned(source, made.wanted(table, by_cursor=False))
        with source.open(plan) as reader:
            rows = sum(batch.num_rows for batch in reader)
        report = reader.report()
        assert source.weakest([report.consistency]) == report.consistency
        assert report.counted is None or report.counted.rows == rows

    def test_should_raise_past_its_deadline_and_never_return_fewer_rows(self, made: UnderTest):
        source, table = made.source(), made.table(5)
        plan = planned(source, made.wanted(table))
        with pytest.raises(SourceUnavailable), source.open(plan, deadline=time.monotonic() - 1) as reader:
            list(reader)

    def test_should_let_go_of_a_reader_that_is_closed_early_and_again(self, made: UnderTest):
        source, table = made.source(), made.table(5)
        plan = planned(source, made.wanted(table))
        reader = source.open(plan)
        assert reader.schema.names
        reader.close()
        reader.close()
        assert all_keys(source, plan) == [1, 2, 3, 4, 5]

    def test_should_name_a_table_that_is_not_there(self, made: UnderTest):
        with pytest.raises((UnknownTable, UnsupportedSource), match="nowhere"):
            planned(made.source(), made.wanted("nowhere"))

    def test_should_read_a_table_once_more_in_the_order_of_its_key(self, made: UnderTest):
        if not self.is_compared:
            with pytest.raises(UnsupportedSource, match="not compared"):
                made.source().reread(made.table(5), {})
            return
        again = made.source().reread(made.table(5), {})
        columns = [column for column in again.columns if column.name == KEY]
        with again.read(columns, Interval(), again.primary_key) as reader:
            assert [key for batch in reader for key in batch.column(KEY).to_pylist()] == [1, 2, 3, 4, 5]
