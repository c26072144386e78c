"""Requests with many tables under Change Tracking: the source is asked once, and what has not changed costs no message."""

import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from flowforge.state.run_list import list_runs
from tests.helpers.function_calls import Aws, Context
from tests.helpers.many_tables import TABLES, Many
from tests.helpers.standin import StandIn
from tests.helpers.tracked import ON

COLUMN = "_change_version"


class OutOfTime(Context):
    """An invocation that must be done now."""

    def get_remaining_time_in_millis(self) -> int:
        return 0


def version_of(many: Many) -> int:
    with many.server.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT CHANGE_TRACKING_CURRENT_VERSION()")
        return int(str(cursor.fetchall()[0][0]))


def mark_of(many: Many, number: int) -> int:
    return int(many.mark(number))


@pytest.fixture(scope="module")
def many(aws: Aws, server: StandIn) -> Iterator[Many]:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("FLOWFORGE_SOURCE_CA_FILE", str(server.ca_file))
        made = Many(aws, server, f"many_{uuid.uuid4().hex[:8]}", {"changeTracking": True}, COLUMN)
        made.execute(ON)
        for n in range(TABLES):
            name = made.name(n)
            made.execute(
                f"CREATE TABLE {name} (id int IDENTITY PRIMARY KEY, v int)",
                f"ALTER TABLE {name} ENABLE CHANGE_TRACKING",
                f"INSERT INTO {name} (v) VALUES (1)",
            )
        _, commands = made.accepted()
        assert len(commands) == TABLES
        for command in commands:
            made.load(command)
        yield made


@pytest.fixture
def caught_up(many: Many) -> Callable[[], None]:
    """Loads what has changed, so that the next test finds all as they were."""

    def catch_up() -> None:
        _, commands = many.accepted()
        for command in commands:
            many.load(command)

    return catch_up


def test_should_queue_nothing_of_tables_that_have_not_changed_and_tell_so(many):
    version = version_of(many)
    run, queued = many.submit()
    assert (queued, run["status"], len(run["tables"])) == ([], "succeeded", TABLES)
    first = run["tables"][0]
    assert (first["status"], first["records"], first["source_table"]) == ("empty", 0, f"dbo.{many.name(0)}")
    assert f"up to version {version}" in first["reason"] and f"up to version {version}" in first["promise"]
    assert first["watermark_before"] == str(mark_of(many, 0))
    listed = next(one for one in list_runs(20)["runs"] if one["run_id"] == run["run_id"])
    assert (listed["status"], {one["status"] for one in listed["tables"]}) == ("succeeded", {"empty"})


def test_should_queue_the_tables_that_have_changed_and_no_other(many, caught_up):
    many.execute(f"INSERT INTO {many.name(3)} (v) VALUES (2)", f"DELETE FROM {many.name(5)}")
    run, queued = many.submit()
    assert queued == [many.name(3), many.name(5)]
    assert [one["status"] for one in run["tables"]].count("empty") == TABLES - 2
    assert run["status"] == "running"
    caught_up()
    assert many.submit()[1] == []


def test_should_queue_all_tables_where_no_time_is_left_to_look_at_them(many):
    run, queued = replace(many, context=OutOfTime()).submit()
    assert (len(queued), run["status"]) == (TABLES, "accepted")


def test_should_move_a_watermark_that_has_stood_for_long_so_that_clean_up_does_not_overtake_it(many):
    many.execute(f"UPDATE {many.name(0)} SET v = v + 1")
    before = mark_of(many, 1), mark_of(many, 2)
    many.loaded_long_ago(1, hours=7)
    many.loaded_long_ago(2, hours=3)
    run, queued = many.submit()
    assert queued == [many.name(0)]
    assert (mark_of(many, 1), mark_of(many, 2)) == (version_of(many) + 1, before[1]) and mark_of(many, 1) > before[0]
    assert run["tables"][1]["watermark_before"] == str(mark_of(many, 1))
    many.execute(f"EXEC flowforge_tracking 'clean', 'dbo.{many.name(1)}', {version_of(many)}")
    assert many.submit()[1] == [many.name(0)]  # what clean-up has taken is below the watermark
    many.execute(f"INSERT INTO {many.name(1)} (v) VALUES (3)")
    _, commands = many.accepted()
    assert [command.source.title for command in commands] == [many.name(0), many.name(1)]
    assert [many.load(command) for command in commands] == [1, 1]


def test_should_ask_each_table_where_the_question_has_no_answer(many):
    many.execute("EXEC flowforge_fault 'deadlock', 0, 1, 'o.object_id = t.object_id'")
    assert len(many.submit()[1]) == TABLES
    many.execute("ALTER DATABASE CURRENT SET ALLOW_SNAPSHOT_ISOLATION OFF")
    try:
        assert len(many.submit()[1]) == TABLES
    finally:
        many.execute("ALTER DATABASE CURRENT SET ALLOW_SNAPSHOT_ISOLATION ON")


def test_should_ask_each_table_of_another_request_and_of_one_with_few_tables(many):
    assert len(many.submit(onGap="full_refresh")[1]) == TABLES
    assert len(many.submit(tables=3)[1]) == 3


def test_should_leave_what_it_cannot_know_to_the_table_itself(many):
    gone, emptied, counted, made_anew = (many.name(n) for n in (1, 2, 3, 4))
    mark = many.state(3).watermarks[COLUMN]
    many.change(3, identity=mark.identity | {"identity_current": "99"})  # the counter of a table that was restored
    many.execute(
        f"ALTER TABLE {gone} DISABLE CHANGE_TRACKING",
        f"TRUNCATE TABLE {emptied}",
        f"DROP TABLE {made_anew}",
        f"CREATE TABLE {made_anew} (id int PRIMARY KEY)",
        f"ALTER TABLE {made_anew} ENABLE CHANGE_TRACKING",
    )
    assert many.submit()[1] == [gone, emptied, counted, made_anew]
