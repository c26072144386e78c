"""What `test-connection` and `describe` tell of Change Tracking, and the statements by which a person switches it on."""

import json
from collections.abc import Callable, Iterator

import pytest

from events.envelopes import http
from functions.describe_table.handler import handler as describe_table
from functions.test_connection.handler import handler as try_connection
from tests.helpers.standin import PASSWORD, StandIn, start, stop

TRY, SCHEMA = "/api/test-connection/database", "/api/database/schema"
SNAPSHOT = "ALTER DATABASE [{}] SET ALLOW_SNAPSHOT_ISOLATION ON"
ON = "ALTER DATABASE [{}] SET CHANGE_TRACKING = ON (CHANGE_RETENTION = 7 DAYS, AUTO_CLEANUP = ON)"
TABLE = "ALTER TABLE [dbo].[{}] ENABLE CHANGE_TRACKING WITH (TRACK_COLUMNS_UPDATED = OFF)"


@pytest.fixture(scope="module")
def tracking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    """A server whose Change Tracking these tests alone switch on and off."""
    started = start(tmp_path_factory.mktemp("tls"), "--reader", "looker")
    yield started
    stop(started)


@pytest.fixture
def execute(tracking: StandIn) -> Iterator[Callable[[str], None]]:
    """Runs a statement; afterwards nothing is tracked, and SNAPSHOT is allowed, as before."""
    with tracking.connect() as connection, connection.cursor() as cursor:
        for name, columns in (("plain", "id int PRIMARY KEY"), ("heap", "id int")):
            cursor.execute(f"CREATE TABLE dbo.{name} ({columns})")
        cursor.execute("CREATE VIEW dbo.seen AS SELECT id FROM dbo.plain")
        yield cursor.execute
        for text in ("DROP VIEW dbo.seen", "DROP TABLE dbo.plain", "DROP TABLE dbo.heap"):
            cursor.execute(text)
        cursor.execute(
            "IF EXISTS (SELECT * FROM sys.change_tracking_databases) ALTER DATABASE CURRENT SET CHANGE_TRACKING = OFF"
        )
        cursor.execute("ALTER DATABASE CURRENT SET ALLOW_SNAPSHOT_ISOLATION ON")


@pytest.fixture
def asked(aws, context, tracking: StandIn) -> Callable[..., dict]:
    """What is told of the database, or of one of its tables."""
    address = {"host": "localhost", "port": tracking.port, "database": tracking.database, "password": PASSWORD}

    def ask(table: str = "", username: str = "sa") -> dict:
        connection = address | {"username": username, "trustServerCertificate": True, "driver": "pymssql"}
        route, handler = (SCHEMA, describe_table) if table else (TRY, try_connection)
        body = {"connection": connection} | ({"table": table} if table else {})
        answer = handler(http("POST", route, route, json.dumps(body)), context)
        return json.loads(answer["body"])["change_tracking"]

    return ask


def test_should_print_what_switches_it_on_and_be_right(asked, execute, tracking):
    execute("ALTER DATABASE CURRENT SET ALLOW_SNAPSHOT_ISOLATION OFF")
    told = asked()
    assert (told["on"], told["statements"]) == (
        False,
        [ON.format(tracking.database), SNAPSHOT.format(tracking.database)],
    )
    table = asked("plain")
    assert (table["on"], table["statements"]) == (False, [*told["statements"], TABLE.format("plain")])
    for statement in table["statements"]:
        execute(statement)
    assert asked() == {"on": True, "retention": "7 days", "tables": 1, "statements": []}
    told = asked("plain")
    assert (told["on"], told["retention"], told["statements"]) == (True, "7 days", [])


def test_should_tell_a_login_the_right_that_it_lacks(asked, execute, tracking):
    execute(ON.format(tracking.database))
    execute(TABLE.format("plain"))
    told = asked("plain", username="looker")
    assert told["statements"] == ["GRANT VIEW CHANGE TRACKING ON [dbo].[plain] TO [looker]"]
    execute(told["statements"][0])
    assert asked("plain", username="looker")["statements"] == []


def test_should_tell_why_it_cannot_be_switched_on(asked, execute):
    assert "no primary key" in asked("heap")["problem"]
    assert "a view" in asked("seen")["problem"]


def test_should_say_nothing_of_a_retention_that_nobody_enforces(asked, execute, tracking):
    execute(ON.format(tracking.database).replace("AUTO_CLEANUP = ON", "AUTO_CLEANUP = OFF"))
    assert (asked()["on"], asked()["retention"], asked()["tables"]) == (True, None, 0)


@pytest.mark.parametrize("profile", ["babelfish"])
def test_should_describe_a_server_that_lacks_it(aws, context, tmp_path_factory, profile):
    other = start(tmp_path_factory.mktemp("tls"), "--bank", "--profile", profile)
    try:
        where = {
            "host": "localhost",
            "port": other.port,
            "database": other.database,
            "username": "sa",
            "password": PASSWORD,
        }
        body = {"connection": where | {"trustServerCertificate": True, "driver": "pymssql"}, "table": "customers"}
        for route, handler in ((TRY, try_connection), (SCHEMA, describe_table)):
            told = json.loads(handler(http("POST", route, route, json.dumps(body)), context)["body"])
            assert told["change_tracking"]["on"] is None
            assert told["change_tracking"]["problem"] == "Change Tracking is not there on this server"
    finally:
        stop(other)
