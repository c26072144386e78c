"""A server's clock that is put back, by a person or at the end of summer time: no row that is stamped meanwhile is lost."""

import itertools
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from events.targets import SourceTable
from flowforge.sources.sqlserver.bounds import PlannedInterval, plan_interval
from flowforge.sources.sqlserver.catalog import describe_table
from flowforge.sources.sqlserver.connection import SourceConnection, connect
from flowforge.sources.sqlserver.server_clock import moved_text
from flowforge.sources.sqlserver.sql_text import select_statement, shift_statement
from flowforge.sources.target import Credentials
from tests.helpers.examples import examples
from tests.helpers.source_server import PASSWORD, Server, start_server, stop_server

START = "2026-10-24 22:00:00"
SECOND, MINUTE, HOUR = 1_000, 60_000, 3_600_000
LAG_MS = 300_000  # the deployment's default, for a login that does not see open transactions
STAMPS = {"utc": "SYSUTCDATETIME()", "local": "SYSDATETIME()"}
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def clocked(server, tmp_path_factory) -> Iterator[Server]:
    """A server of its own, since all its sessions share the clock; it trusts the certificates of the shared one's directory."""
    started = start_server(server.tls_directory, "--reader", "reader")
    yield started
    stop_server(started)


class Source:
    """One table, its writers, its clock, and loads of it. Time that passes for the server passes for us too: see `pass_time`."""

    def __init__(self, stack: ExitStack, clocked: Server, stamp: str, sighted: bool = True, keyed: bool = True):
        logins = {True: "sa", False: "reader"}
        self.asking = stack.enter_context(connect(clocked.reference, clocked.credentials))
        login = Credentials.model_validate({"username": logins[sighted], "password": PASSWORD})
        self.reading = stack.enter_context(connect(clocked.reference, login))
        self.writers = [stack.enter_context(connect(clocked.reference, clocked.credentials)) for _ in range(2)]
        self.clock(f"'set', '{START}'")
        self.clock("'zone', 60")
        self.name, self.stamp, self.keyed = f"dbo.clocked_{next(_numbers)}", STAMPS[stamp], keyed
        self.asking.run(f"CREATE TABLE {self.name} (id int IDENTITY(1,1) PRIMARY KEY, at datetime2(3) NOT NULL)")
        stack.callback(self.asking.run, f"DROP TABLE {self.name}")
        asked = {"table_name": self.name, "is_incremental": True, "delta_column": "at", "cursor_clock": stamp}
        self.wanted = SourceTable.model_validate(asked)
        self.low, self.samples, self.read = None, [], set()
        self.remembers_all = True

    def clock(self, change: str) -> None:
        self.asking.run(f"EXEC flowforge_clock {change}")

    def pass_time(self, milliseconds: int) -> None:
        self.clock(f"'advance', {milliseconds}")
        self.samples = [sample | {"ours_ms": sample["ours_ms"] - milliseconds} for sample in self.samples]

    def put_back(self, milliseconds: int) -> None:
        self.clock(f"'advance', -{milliseconds}")

    def write(self, writer: int = 0) -> None:
        self.writers[writer].run(f"INSERT INTO {self.name} (at) VALUES ({self.stamp})")

    def load(self) -> PlannedInterval:
        """Loads once. Unless it `remembers_all`, what it has seen of the clock is kept only where it tells something: with a load
        that finds nothing new, as `ingest` does."""
        described = describe_table(self.reading, self.name)
        plan = plan_interval(self.reading, described, self.wanted, self.low, self.samples, self.keyed)
        found = set()
        if not plan.empty:
            columns = [c for c in described.source_columns if c.name == "id"]
            found = {row["id"] for row in self.reading.rows(select_statement(described, columns, plan.interval))}
        quiet = not (self.remembers_all or found or self.low is None)
        if plan.news or not quiet:
            self.samples = plan.samples
        if not (plan.empty or quiet):
            self.low = plan.interval.high
        self.read |= found
        return plan

    def lost(self) -> set[int]:
        """Rows that are not read even when their time is long over."""
        for _ in range(2):
            self.pass_time(6 * HOUR)
            self.load()
        return {row["id"] for row in self.asking.rows(f"SELECT id FROM {self.name}")} - self.read


@pytest.fixture
def source(clocked) -> Iterator:
    with ExitStack() as stack:
        yield lambda *options, **more: Source(stack, clocked, *options, **more)


@pytest.mark.parametrize("sighted", [True, False], ids=["sighted", "blind"])
@pytest.mark.parametrize("seen", [True, False], ids=["a load while it is behind", "none while it is behind"])
@pytest.mark.parametrize("back_ms", [5 * SECOND, 10 * MINUTE, 26 * HOUR])
def test_should_read_what_is_stamped_below_the_watermark_while_the_clock_is_behind(source, sighted, seen, back_ms):
    table = source("utc", sighted)
    table.write()
    table.pass_time(LAG_MS + MINUTE)
    table.load()
    table.put_back(back_ms)
    if seen:
        assert table.load().empty
    table.write()
    table.pass_time(back_ms + LAG_MS + MINUTE)
    plan = table.load()
    assert table.lost() == set()
    said = [note for note in plan.interval.notes if "the server's clock went back" in note]
    assert bool(said) == (back_ms > 10 * SECOND)
    later = table.load()
    assert not [note for note in later.interval.notes if "server's clock" in note]


def test_should_read_so_much_more_once_and_no_longer(source):
    table = source("utc")
    table.load()
    table.put_back(10 * MINUTE)
    table.load()
    table.pass_time(20 * MINUTE)
    before, plan = table.low, table.load()
    assert plan.interval.low <= shifted(table.asking, before, -601)  # the guard's second too
    table.pass_time(20 * MINUTE)
    before, plan = table.low, table.load()
    assert shifted(table.asking, before, -10) < plan.interval.low < before


MOMENTS = ("2026-11-23 06:00:00.1234567", "2024-02-29 23:59:59.999", "1900-01-01", "0001-01-02 00:00:00")


@pytest.mark.parametrize("moment", [*MOMENTS, "9999-12-30 23:59:59.9999999"])
def test_should_move_a_time_as_the_server_does(bank, moment):
    for milliseconds in (0, -1_001, 86_399_999, -3_000_001):
        assert moved_text(moment, milliseconds) == bank.scalar(shift_statement(moment, milliseconds))


@pytest.mark.parametrize("moment", ["0001-01-01 00:00:00", "2026-13-01", "yesterday", "2026-01-01 00:00:00 +01:00"])
def test_should_leave_to_the_server_what_is_no_time_or_would_be_none(moment):
    assert moved_text(moment, -1) is None


def shifted(connection: SourceConnection, literal: str, seconds: int) -> str:
    moved = f"DATEADD(second, {seconds}, CONVERT(datetime2(3), '{literal}'))"
    return connection.scalar(f"SELECT CONVERT(varchar(23), {moved}, 121) AS moved")


def test_should_say_that_a_table_without_key_is_not_read_again(source):
    table = source("utc", keyed=False)
    table.load()
    table.put_back(10 * MINUTE)
    table.load()
    table.pass_time(20 * MINUTE)
    (note,) = [note for note in table.load().interval.notes if "server's clock" in note]
    assert "without a key they are not read again" in note


@pytest.mark.parametrize("stamp", ["utc", "local"])
@pytest.mark.parametrize("zone", [0, -60])
def test_should_read_the_hour_that_comes_twice_at_the_end_of_summer_time(source, stamp, zone):
    """Local time falls back to UTC, as in London, or to behind it."""
    table = source(stamp)
    table.clock(f"'zone', {zone + 60}")
    table.write()
    table.pass_time(5 * MINUTE)
    table.load()
    table.clock(f"'zone', {zone}")
    table.write()
    table.pass_time(10 * MINUTE)
    table.load()
    assert table.lost() == set()


def test_should_hold_the_bound_below_a_transaction_that_was_open_when_summer_time_ended(source):
    """Its begin is local time: by that it looks an hour younger, and a column in UTC shows no jump."""
    table = source("utc")
    table.load()
    table.writers[0].run("BEGIN TRANSACTION")
    table.write()
    table.pass_time(90 * MINUTE)
    table.clock("'zone', 0")
    table.pass_time(5 * MINUTE)
    plan = table.load()
    assert plan.empty
    table.pass_time(5 * MINUTE)
    assert table.load().empty
    table.writers[0].run("COMMIT TRANSACTION")
    assert table.lost() == set()


def test_should_hold_the_bound_below_a_transaction_that_was_open_when_the_clock_was_put_back(source):
    table = source("utc")
    table.load()
    table.pass_time(HOUR)
    table.writers[0].run("BEGIN TRANSACTION")
    table.asking.scalar("SELECT 1 AS one")
    table.put_back(30 * SECOND)
    table.write()
    table.pass_time(35 * SECOND)
    table.load()
    table.writers[0].run("COMMIT TRANSACTION")
    assert table.lost() == set()


def test_should_remember_a_clock_that_goes_ahead_though_nothing_is_new(source):
    """Else its way back would not be seen, nor that a transaction which began meanwhile is older than it looks."""
    table = source("utc")
    table.remembers_all = False
    table.write()
    table.pass_time(5 * MINUTE)
    table.load()
    table.clock(f"'advance', {30 * MINUTE}")
    table.pass_time(MINUTE)
    assert table.load().news
    table.writers[0].run("BEGIN TRANSACTION")
    table.asking.scalar("SELECT 1 AS one")
    table.pass_time(MINUTE)
    table.put_back(30 * MINUTE)
    table.pass_time(5 * MINUTE)
    table.write()
    table.pass_time(40 * MINUTE)
    table.write(1)
    table.load()
    table.writers[0].run("COMMIT TRANSACTION")
    assert table.lost() == set()


def test_should_keep_nothing_of_a_clock_that_goes_as_ours_does(source):
    def keeps_nothing(table: Source) -> bool:
        table.remembers_all = False
        table.write()
        table.clock("'run'")
        table.load()
        kept = table.samples
        return not table.load().news and table.samples == kept

    # An answer that took longer than clocks may differ counts as news, rightly: on a busy machine not every one is quick enough.
    assert any(keeps_nothing(source("utc")) for _ in range(10))


STEPS = st.one_of(
    st.tuples(st.just("time"), st.integers(1, 20 * MINUTE)),
    st.tuples(st.just("back"), st.integers(1, 2 * HOUR)),
    st.tuples(st.just("zone"), st.sampled_from([0, 60, -300])),
    st.tuples(st.sampled_from(["begin", "write", "write", "commit"]), st.integers(0, 1)),
    st.tuples(st.just("load"), st.none()),
)


@settings(max_examples=examples(12), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(STEPS, min_size=4, max_size=16), st.sampled_from(["utc", "local"]), st.booleans(), st.booleans())
def test_should_lose_no_row_whatever_happens_to_the_clock(clocked, steps, stamp, sighted, remembers_all):
    """One change of the clock between two loads at most: one that is put back and forth again leaves no trace."""
    with ExitStack() as stack:
        table = Source(stack, clocked, stamp, sighted)
        table.remembers_all = remembers_all
        changed, ages = False, {}
        for what, value in steps:
            if what == "load":
                table.load()
                changed = False
            elif what in ("back", "zone") and not changed:
                table.put_back(value) if what == "back" else table.clock(f"'zone', {value}")
                changed = True
            elif what == "time":
                ages = {writer: age + value for writer, age in ages.items()}
                for writer in [w for w, age in ages.items() if not sighted and age >= LAG_MS]:
                    table.writers[writer].run("COMMIT TRANSACTION")
                    del ages[writer]
                table.pass_time(value)
            elif what == "begin" and value not in ages:
                table.writers[value].run("BEGIN TRANSACTION")
                ages[value] = 0
            elif what == "write":
                table.write(value)
            elif what == "commit" and value in ages:
                table.writers[value].run("COMMIT TRANSACTION")
                del ages[value]
        table.load()
        for writer in ages:
            table.writers[writer].run("COMMIT TRANSACTION")
        assert table.lost() == set()


@pytest.mark.parametrize(
    ("wanted", "default", "zone", "ahead"),
    [
        ("local", "SYSUTCDATETIME()", 120, "SYSUTCDATETIME()"),
        ("utc", "GETDATE()", -120, "SYSDATETIME()"),
        ("local", "DATEADD(MINUTE, 120, SYSUTCDATETIME())", 120, ""),
        ("utc", "SYSUTCDATETIME()", 120, ""),
    ],
)
def test_should_stay_below_the_clock_that_a_columns_default_names(clocked, wanted, default, zone, ahead):
    """Else rows that are stamped by it afterwards would be below the watermark: of two hours, in a zone two hours away."""
    with connect(clocked.reference, clocked.credentials) as asking:
        asking.run(f"EXEC flowforge_clock 'set', '{START}'")
        asking.run(f"EXEC flowforge_clock 'zone', {zone}")
        name = f"dbo.clocked_{next(_numbers)}"
        asking.run(f"CREATE TABLE {name} (id int PRIMARY KEY, at datetime2(3) NOT NULL DEFAULT {default})")
        source = SourceTable(table_name=name, is_incremental=True, delta_column="at", cursor_clock=wanted)
        interval = plan_interval(asking, describe_table(asking, name), source, None, []).interval
        told = [note for note in interval.notes if "cursorClock is" in note]
        assert bool(told) == bool(ahead)
        if ahead:
            now = asking.scalar(f"SELECT CONVERT(varchar(27), {ahead}, 121)")
            assert str(interval.high) < str(now)
            assert f"set cursorClock to {'utc' if wanted == 'local' else 'local'}" in told[0]
        asking.run(f"DROP TABLE {name}")
