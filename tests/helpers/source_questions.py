"""What every kind of source must answer beside loads: to people, to requests, and to a question about many tables at once.

The second half of `source_conformance`, by the same fixture `made`: `class TestSqlServerAnswers(Questions)`.
"""

import json

import pytest

from flowforge.domain.errors import UnknownTable, UnsupportedSource
from flowforge.sources.base import NotAValue
from flowforge.sources.plans import LastRead, LoadedTable, Position
from tests.helpers.source_conformance import KEY, UnderTest, described, kept, planned


class Questions:
    """One test for each promise. `has_cursors` and `is_compared` as in `Conformance`; `has_tables`: it can list and show them."""

    has_cursors = True
    is_compared = True
    has_tables = True

    def test_should_say_what_it_is_and_that_it_can_be_read(self, made: UnderTest):
        source = made.source()
        source.prepare()
        with source.session() as session:
            told = session.test()
        assert json.loads(json.dumps(told))
        assert source.try_reading()

    def test_should_list_tables_as_requests_write_them(self, made: UnderTest):
        table = made.table(1)
        with made.source().session() as session:
            listed = session.tables()
            assert (table.rpartition(".")[2].strip("[]") in [one["name"] for one in listed]) == self.has_tables
            assert all({"schema", "name", "type", "row_estimate"} <= set(one) for one in listed)
            with pytest.raises(UnknownTable, match="nowhere"):
                session.expand("nowhere*")

    def test_should_show_a_table_before_it_is_loaded(self, made: UnderTest):
        table = made.table(5)
        with made.source().session() as session:
            if not self.has_tables:
                with pytest.raises(UnknownTable):
                    session.show(table, 2)
                return
            assert KEY in json.dumps(session.show(table, 2), default=str)
            with pytest.raises(UnknownTable, match="nowhere"):
                session.show("nowhere", 2)

    def test_should_estimate_a_plan_or_say_that_it_is_not_known(self, made: UnderTest):
        with made.source().session() as session:
            description = session.describe(made.wanted(made.table(5)))
            found = session.estimate(description, session.plan(description, {}))
        assert found.rows in (None, 5)
        assert all(isinstance(one, str) for one in found.warnings)

    @pytest.mark.parametrize("keeps", [True, False])
    def test_should_find_no_mistake_in_an_order_that_it_can_read(self, made: UnderTest, keeps):
        assert made.source().mistakes(made.wanted(made.table(1)).read, keeps) == []

    def test_should_take_a_position_that_it_has_printed_and_refuse_another_text(self, made: UnderTest):
        source = made.source()
        plan = planned(source, made.wanted(made.table(5)))
        column = next(one for one in plan.columns if one.name == (plan.interval.column or KEY))
        assert source.can_be_cursor(column) == self.has_cursors
        if self.has_cursors:
            assert source.position(str(plan.interval.high), column) == plan.interval.high
            assert isinstance(source.is_exact(plan.interval.sql_type), bool)
        with pytest.raises(NotAValue) as refused:
            source.position("no position", column)
        assert refused.value.remedy

    def test_should_never_take_a_changed_table_for_one_that_stands_still(self, made: UnderTest):
        source, tables = made.source(), [made.table(5), made.table(5)]
        loaded = []
        for table in tables:
            wanted = made.wanted(table)
            description = described(source, wanted)
            (last,) = kept(planned(source, wanted)).values()
            loaded.append(LoadedTable(description.parts, wanted.read, (), last))
        made.change(tables[1], [3])
        with source.session() as session:
            found = session.standing_still(loaded)
        assert found is None or set(found.tables) <= {0}
        assert found is None or all(reason and promise for reason, promise in found.tables.values())

    def test_should_read_as_of_one_moment_or_refuse_it(self, made: UnderTest):
        source = made.source()
        wanted = made.wanted(made.table(5))
        with source.session() as session:
            description = session.describe(wanted)
            try:
                with session.one_moment(description) as moment:
                    assert (bool(moment.source), type(moment.version)) == (True, int)
            except UnsupportedSource as refused:
                assert refused.remedy

    def test_should_say_what_a_comparison_rests_on_and_up_to_where_it_is_sure(self, made: UnderTest):
        if not self.is_compared:
            return
        source, table = made.source(), made.table(5)
        again = source.reread(table, {})
        assert again.name
        assert all(isinstance(one, str) for one in again.rests_on)
        interval = planned(source, made.wanted(table)).interval
        bound = Position(str(interval.column), str(interval.high), interval.sql_type)
        order = source.order(interval.sql_type)
        assert order(again.settled(bound)) <= order(bound.value)

    def test_should_plan_all_rows_where_nothing_is_known_of_a_load_before(self, made: UnderTest):
        source = made.source()
        plan = planned(source, made.wanted(made.table(5)), {"": LastRead()})
        assert plan.interval.low is None
