"""Statements and answers that the stand-in keeps: whatever changes, in whichever session, the next one to ask sees it."""

from collections.abc import Callable, Iterator

import pymssql
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.helpers.standin import StandIn

COLUMNS = "SELECT name, max_length FROM sys.columns WHERE object_id = OBJECT_ID('kept') ORDER BY column_id"
TABLES = "SELECT name FROM sys.tables WHERE name LIKE 'kept%' ORDER BY name"
EVERYTHING = "SELECT * FROM kept"
RIGHTS = (
    "SELECT HAS_PERMS_BY_NAME(DB_NAME(), 'DATABASE', 'VIEW DEFINITION'), (SELECT COUNT(*) FROM sys.security_policies)"
)
ROWS = "SELECT SUM(rows) FROM sys.partitions WHERE object_id = OBJECT_ID('kept')"
TRACKED = "SELECT COUNT(*) FROM sys.change_tracking_tables WHERE object_id = OBJECT_ID('kept')"
SNAPSHOTS = "SELECT snapshot_isolation_state FROM sys.databases WHERE database_id = DB_ID()"
INDEXES = "SELECT COUNT(*) FROM sys.indexes WHERE object_id = OBJECT_ID('kept')"
FUNCTION = "CREATE FUNCTION dbo.kept_f(@id int) RETURNS TABLE WITH SCHEMABINDING AS RETURN SELECT 1 AS ok WHERE @id > 1"
POLICY = "CREATE SECURITY POLICY dbo.kept_p ADD FILTER PREDICATE dbo.kept_f(id) ON dbo.kept WITH (STATE = ON)"

Ask = Callable[[str], list[tuple]]


def asking(connection: pymssql.Connection) -> Ask:
    """Runs a batch; returns its rows."""

    def ask(text: str) -> list[tuple]:
        with connection.cursor() as cursor:
            cursor.execute(text)
            return list(cursor.fetchall()) if cursor.description else []

    return ask


@pytest.fixture
def kept(sql) -> Iterator[None]:
    """The table that the questions are about, with two rows."""
    sql(
        "CREATE TABLE kept (id int PRIMARY KEY, a varchar(10) MASKED WITH (FUNCTION = 'default()')); CREATE SCHEMA kept_s"
    )
    sql("INSERT INTO kept VALUES (1, 'one'), (2, 'two')")
    yield
    sql("DROP SECURITY POLICY dbo.kept_p; DROP VIEW IF EXISTS kept_v; DROP TABLE IF EXISTS kept")
    sql("DROP TABLE IF EXISTS kept_s.kept; DROP SCHEMA kept_s; DROP SYNONYM kept_n")


@pytest.mark.parametrize(
    ("question", "changes", "before", "after"),
    [
        (COLUMNS, "ALTER TABLE kept ADD b int", [("id", 4), ("a", 10)], [("id", 4), ("a", 10), ("b", 4)]),
        (COLUMNS, "ALTER TABLE kept ALTER COLUMN a varchar(20)", [("id", 4), ("a", 10)], [("id", 4), ("a", 20)]),
        (COLUMNS, "DROP TABLE kept", [("id", 4), ("a", 10)], []),
        (COLUMNS, "DROP TABLE kept; CREATE TABLE kept (z bigint)", [("id", 4), ("a", 10)], [("z", 8)]),
        (EVERYTHING, "DROP TABLE kept; CREATE TABLE kept (z int); INSERT INTO kept VALUES (9)", [(1, "one"), (2, "two")], [(9,)]),
        (EVERYTHING, "ALTER TABLE kept DROP COLUMN a", [(1, "one"), (2, "two")], [(1,), (2,)]),
        (EVERYTHING, "DELETE FROM kept WHERE id = 1", [(1, "one"), (2, "two")], [(2, "two")]),
        (EVERYTHING, f"{FUNCTION}|{POLICY}", [(1, "one"), (2, "two")], [(2, "two")]),
        (ROWS, "INSERT INTO kept VALUES (3, NULL)", [(2,)], [(3,)]),
        (ROWS, "TRUNCATE TABLE kept", [(2,)], [(0,)]),
        (INDEXES, "CREATE INDEX kept_i ON kept (a)", [(1,)], [(2,)]),
        (RIGHTS, f"{FUNCTION}|{POLICY}", [(1, 0)], [(1, 1)]),
        (TABLES, "CREATE TABLE kept_s.kept (id int)", [("kept",)], [("kept",), ("kept",)]),
        (SNAPSHOTS, "ALTER DATABASE CURRENT SET ALLOW_SNAPSHOT_ISOLATION OFF", [(1,)], [(0,)]),
        (
            "SELECT base_object_name FROM sys.synonyms WHERE name = 'kept_n'",
            "CREATE SYNONYM kept_n FOR kept",
            [],
            [("[kept]",)],
        ),
    ],
)  # fmt: skip
def test_should_answer_anew_once_something_has_changed_in_another_session(
    kept, connect, question, changes, before, after
):
    one, other, third = (asking(connect()) for _ in range(3))
    try:
        assert [one(question), one(question), third(question)] == [before] * 3
        for change in changes.split("|"):
            other(change)
        assert [one(question), third(question), other(question), one(question)] == [after] * 4
    finally:
        other("ALTER DATABASE CURRENT SET ALLOW_SNAPSHOT_ISOLATION ON")


def test_should_follow_a_name_to_what_it_stands_for_now(kept, connect):
    one, other = asking(connect()), asking(connect())
    other("CREATE VIEW kept_v AS SELECT id FROM kept WHERE id = 1")
    other("CREATE SYNONYM kept_n FOR kept")
    assert [one("SELECT * FROM kept_v"), one("SELECT COUNT(*) FROM kept_n")] == [[(1,)], [(2,)]]
    other("DROP VIEW kept_v")
    other("CREATE VIEW kept_v AS SELECT a FROM kept WHERE id = 2")
    other("CREATE TABLE kept_s.kept (id int); DROP SYNONYM kept_n; CREATE SYNONYM kept_n FOR kept_s.kept")
    assert [one("SELECT * FROM kept_v"), one("SELECT COUNT(*) FROM kept_n")] == [[("two",)], [(0,)]]
    other("DROP VIEW kept_v")
    with pytest.raises(pymssql.Error, match="Invalid object name 'kept_v'"):
        one("SELECT * FROM kept_v")


def test_should_tell_each_login_what_it_may_see(kept, connect):
    """In the same words: what was kept for one is not the other's."""
    owner, looker = asking(connect()), asking(connect(user="looker"))
    owner(FUNCTION)
    owner(POLICY)
    sessions = "SELECT COUNT(*) FROM sys.dm_tran_active_transactions"
    login = "SELECT SUSER_SNAME()"
    for _ in range(2):
        assert [owner(EVERYTHING), looker(EVERYTHING)] == [[(2, "two")], [(2, "xxxx")]]
        assert [owner(RIGHTS), looker(RIGHTS)] == [[(1, 1)], [(0, 0)]]
        assert [owner(login), looker(login)] == [[("sa",)], [("looker",)]]
        assert owner(sessions) == [(0,)]
        with pytest.raises(pymssql.Error, match="permission was denied"):
            looker(sessions)
    owner("GRANT UNMASK ON dbo.kept TO looker; GRANT VIEW DEFINITION TO looker")
    assert [looker(EVERYTHING), looker(RIGHTS)] == [[(2, "two")], [(1, 1)]]
    owner("REVOKE UNMASK ON dbo.kept FROM looker; REVOKE VIEW DEFINITION FROM looker")
    assert [looker(EVERYTHING), looker(RIGHTS)] == [[(2, "xxxx")], [(0, 0)]]


def test_should_keep_nothing_of_what_a_statement_asks_of_its_session_or_the_clock(kept, connect):
    one, other = asking(connect()), asking(connect())
    question = "SELECT @@SPID AS a, @@TRANCOUNT AS b, @@ROWCOUNT AS c"
    first, second = one(question), other(question)
    assert first[0][0] != second[0][0]
    assert one(f"BEGIN TRANSACTION; {question}")[0][1] == 1
    one("ROLLBACK")
    moments = [one("SELECT SYSDATETIME()")[0][0] for _ in range(3)]
    assert sorted(set(moments)) == moments


@pytest.mark.parametrize("end", ["ROLLBACK", "COMMIT"])
def test_should_show_definitions_to_others_when_their_transaction_commits_and_not_before(kept, connect, end):
    one, other = asking(connect()), asking(connect())
    old, new = [("id", 4), ("a", 10)], [("id", 4), ("a", 10), ("b", 4)]
    assert [one(COLUMNS), other(COLUMNS)] == [old, old]
    one("BEGIN TRANSACTION; ALTER TABLE kept ADD b int")
    assert [one(COLUMNS), other(COLUMNS), one(COLUMNS), other(COLUMNS)] == [new, old, new, old]
    assert [len(one(EVERYTHING)[0]), len(other(EVERYTHING)[0])] == [3, 2]
    one(end)
    ended = new if end == "COMMIT" else old
    assert [one(COLUMNS), other(COLUMNS), one(COLUMNS)] == [ended] * 3
    assert [len(one(EVERYTHING)[0]), len(other(EVERYTHING)[0])] == [len(ended)] * 2


def test_should_show_a_snapshot_what_was_when_it_began(kept, connect):
    one, other = asking(connect()), asking(connect())
    one("SET TRANSACTION ISOLATION LEVEL SNAPSHOT; BEGIN TRANSACTION")
    before = [one(question) for question in (COLUMNS, TABLES, EVERYTHING)]
    other("ALTER TABLE kept ADD b int; CREATE TABLE kept_s.kept (id int); INSERT INTO kept VALUES (3, 'x', 3)")
    now = [other(question) for question in (COLUMNS, TABLES, EVERYTHING)]
    assert [one(question) for question in (COLUMNS, TABLES)] == before[:2]
    assert [other(question) for question in (COLUMNS, TABLES, EVERYTHING)] == now
    one("COMMIT")
    assert [one(question) for question in (COLUMNS, TABLES, EVERYTHING)] == now
    assert len(now[2]) == 3


STEPS = [
    "CREATE TABLE any_kept (id int, a varchar(9))",
    "DROP TABLE IF EXISTS any_kept",
    "ALTER TABLE any_kept ADD b int",
    "INSERT INTO any_kept (id) VALUES (7)",
    "BEGIN TRANSACTION",
    "COMMIT",
    "ROLLBACK",
]
# The second of each asks the same in words that nobody has used.
QUESTIONS = [
    ("SELECT name, max_length FROM sys.columns WHERE object_id = OBJECT_ID('any_kept')", " AND {0} = {0}"),
    ("SELECT COUNT(*) FROM sys.tables WHERE name = 'any_kept'", " AND {0} = {0}"),
    ("SELECT * FROM any_kept WHERE id > 0", " AND {0} = {0}"),
]


def answer(ask: Ask, text: str) -> object:
    try:
        return ask(text)
    except pymssql.Error as error:
        return error.args[0]


@settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(steps=st.lists(st.tuples(st.sampled_from([0, 1]), st.sampled_from(STEPS)), min_size=3, max_size=7))
def test_should_answer_what_was_kept_as_what_was_never_asked(standin: StandIn, steps):
    numbers = iter(range(1, 1_000))
    with standin.connect() as first, standin.connect() as second:
        asks = [asking(first), asking(second)]
        for ask in asks:
            ask("SET LOCK_TIMEOUT 0")
        try:
            for who, step in steps:
                answer(asks[who], step)
                for question, different in QUESTIONS:
                    for ask in asks:
                        fresh = question + different.format(next(numbers))
                        assert answer(ask, question) == answer(ask, fresh), (step, question)
        finally:
            for ask in asks:
                answer(ask, "IF @@TRANCOUNT > 0 ROLLBACK")
            answer(asks[0], "DROP TABLE IF EXISTS any_kept")
