"""Requests with many tables that are read by a time: the source is asked once, and what has no new row costs no message."""

import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest

from flowforge.aws import items
from flowforge.state.run_list import list_runs
from tests.helpers.function_calls import Aws
from tests.helpers.many_tables import TABLES, Many
from tests.helpers.server_clock import is_past
from tests.helpers.standin import StandIn
from tests.helpers.waiting import wait_for

COLUMN, OLD = "modified", "2024-01-01 12:00:00.123"
FILTER = (
    """CREATE FUNCTION dbo.f_{t}(@id int) RETURNS TABLE WITH SCHEMABINDING AS RETURN SELECT 1 AS ok WHERE @id < 9"""
)


@pytest.fixture(scope="module")
def many(aws: Aws, server: StandIn) -> Iterator[Many]:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("FLOWFORGE_SOURCE_CA_FILE", str(server.ca_file))
        prefix = f"dated_{uuid.uuid4().hex[:8]}"
        made = Many(aws, server, prefix, {"deltaColumn": "MODIFIED", "cursorClock": "utc"}, COLUMN)
        for n in range(TABLES):
            make(made, n)
        _, commands = made.accepted()
        assert len(commands) == TABLES
        for command in commands:
            assert made.load(command) == 1
        settle(made)
        yield made


def make(many: Many, number: int) -> None:
    name = many.name(number)
    many.execute(
        f"CREATE TABLE {name} (id int IDENTITY PRIMARY KEY, {COLUMN} datetime2(3) NULL)",
        f"INSERT INTO {name} ({COLUMN}) VALUES ('{OLD}')",
    )


def settle(many: Many) -> None:
    """Loads what is new until all tables stand still. A row just below a watermark is read again; and on a busy machine the two
    clocks seem to part, which would be remembered as long as there is no new row: it is forgotten here."""

    def none_is_queued() -> bool:
        _, commands = many.accepted()
        for command in commands:
            many.load(command)
            state = many.state(int(command.source.title[-2:]))
            memory = state.samples[COLUMN][-1] | {"utc_back_ms": 0, "local_back_ms": 0}
            items.transact([state.model_copy(update={"samples": {COLUMN: [memory]}}).put_action()])
        return not commands

    wait_for(none_is_queued, "all tables to stand still")


def near(many: Many, number: int, **by: float) -> str:
    """A time near the watermark of a table."""
    return (datetime.fromisoformat(many.mark(number)) + timedelta(**by)).isoformat(" ", "milliseconds")


def test_should_queue_nothing_of_tables_without_a_new_row_and_tell_so(many):
    run, queued = many.submit()
    assert (queued, run["status"], len(run["tables"])) == ([], "succeeded", TABLES)
    first = run["tables"][0]
    assert (first["status"], first["records"], first["source_table"]) == ("empty", 0, f"dbo.{many.name(0)}")
    assert first["reason"] == f"no rows from {many.mark(0)} on"
    assert "exact for stamps" in first["promise"]
    assert first["watermark_before"] == many.mark(0)
    listed = next(one for one in list_runs(20)["runs"] if one["run_id"] == run["run_id"])
    assert (listed["status"], {one["status"] for one in listed["tables"]}) == ("succeeded", {"empty"})


def test_should_queue_the_tables_that_a_load_would_read_rows_of_and_no_other(many):
    many.execute(
        f"INSERT INTO {many.name(1)} ({COLUMN}) VALUES ('{many.mark(1)}')",
        f"UPDATE {many.name(2)} SET {COLUMN} = '{near(many, 2, days=400)}'",
        f"INSERT INTO {many.name(3)} ({COLUMN}) VALUES (NULL)",
        f"INSERT INTO {many.name(4)} ({COLUMN}) VALUES ('{near(many, 4, seconds=-1)}')",  # within the overlap
        f"INSERT INTO {many.name(5)} ({COLUMN}) VALUES ('{near(many, 5, hours=-1)}')",
    )
    run, queued = many.submit()
    assert queued == [many.name(n) for n in (1, 2, 3, 4)]
    assert [one["status"] for one in run["tables"]].count("empty") == TABLES - 4
    _, (command, *_) = many.accepted()
    # Else the row is so near below the next watermark that its table would be queued again.
    wait_for(lambda: is_past(many.server, many.mark(1), seconds=4), "the server's clock to pass the row")
    assert many.load(command) == 1
    for n in (2, 3, 4):
        many.execute(f"DELETE FROM {many.name(n)} WHERE {COLUMN} IS NULL OR {COLUMN} > '{OLD}'")

    settle(many)


@pytest.mark.parametrize("snapshot", ["ON", "OFF"])
def test_should_find_a_row_once_its_transaction_has_committed(many, snapshot):
    many.execute(f"ALTER DATABASE CURRENT SET ALLOW_SNAPSHOT_ISOLATION {snapshot}")
    try:
        with many.server.connect(autocommit=False) as connection, connection.cursor() as cursor:
            cursor.execute(f"INSERT INTO {many.name(2)} ({COLUMN}) VALUES ('{near(many, 2, days=400)}')")
            assert many.submit()[1] == []
            connection.commit()
        assert many.submit()[1] == [many.name(2)]
    finally:
        many.execute("ALTER DATABASE CURRENT SET ALLOW_SNAPSHOT_ISOLATION ON")
        many.execute(f"DELETE FROM {many.name(2)} WHERE {COLUMN} > '{OLD}'")


def test_should_look_at_each_table_by_itself_every_six_hours(many):
    state = many.state(3)
    (memory,) = state.samples[COLUMN]
    read = {name: str(datetime.fromisoformat(memory[name][:26]) - timedelta(hours=7)) for name in ("local", "utc")}
    read |= {"ours_ms": memory["ours_ms"] - 7 * 3_600_000}
    items.transact([state.model_copy(update={"samples": {COLUMN: [memory | read]}}).put_action()])
    assert many.submit()[1] == [many.name(3)]
    _, commands = many.accepted()
    assert [many.load(command) for command in commands] == [None]
    assert many.submit()[1] == []


def test_should_ask_each_table_where_the_question_has_no_answer_or_is_another_one(many):
    many.execute("EXEC flowforge_fault 'deadlock', 0, 1, 'i.object_id IN'")
    assert len(many.submit()[1]) == TABLES
    many.execute(f"EXEC flowforge_fault 'snapshot 3961', 0, 1, '[{many.name(1)}]'")
    assert len(many.submit()[1]) == TABLES
    assert len(many.submit(nullCursor="exclude")[1]) == TABLES
    assert len(many.submit(tables=3)[1]) == 3


def test_should_leave_what_it_cannot_know_to_the_table_itself(many):
    altered, hidden, made_anew, counted, stepped = (many.name(n) for n in range(1, TABLES))
    mark = many.state(4).watermarks[COLUMN]
    many.change(4, identity=mark.identity | {"identity_current": "99"})  # the counter of a table that was restored
    state = many.state(5)
    (memory,) = state.samples[COLUMN]
    stepped_back = memory | {"utc_back_ms": 3_000, "since": many.mark(5)}
    items.transact([state.model_copy(update={"samples": {COLUMN: [stepped_back]}}).put_action()])
    many.execute(
        f"ALTER TABLE {altered} ADD note nvarchar(20)",
        FILTER.format(t=hidden),
        f"CREATE SECURITY POLICY dbo.p_{hidden} ADD FILTER PREDICATE dbo.f_{hidden}(id) ON dbo.{hidden} WITH (STATE = ON)",
        f"DROP TABLE {made_anew}",
    )
    make(many, 3)
    try:
        assert many.submit()[1] == [altered, hidden, made_anew, counted, stepped]
    finally:
        many.execute(f"DROP SECURITY POLICY dbo.p_{hidden}")


def test_should_not_connect_for_tables_that_are_read_by_numbers(aws, server, many):
    made = Many(aws, server, f"numbered_{uuid.uuid4().hex[:8]}", {"deltaColumn": "id"}, "id")
    for n in range(TABLES):
        make(made, n)
    for command in made.accepted()[1]:
        assert made.load(command) == 1
    asked = "SELECT cntr_value AS n FROM sys.dm_os_performance_counters WHERE counter_name = 'Batch Requests/sec'"
    with server.connect() as connection, connection.cursor() as cursor:

        def requests() -> int:
            cursor.execute(asked)
            return cursor.fetchall()[0][0]

        before = requests()
        _, queued = made.submit()
        assert (len(queued), requests() - before) == (TABLES, 1)
