"""What the test of a connection says is what a load does; and a server's address in all the forms that people write it."""

import json

import pytest
from pydantic import ValidationError

from events.api.connections import SavedConnection
from events.envelopes import http
from events.request import InvalidRequest
from flowforge.domain.errors import UnsupportedSource
from flowforge.sources.sqlserver.probe import ONE_ROW
from flowforge.sources.sqlserver.reader import open_reader
from flowforge.sources.target import Credentials, target_in
from flowforge.state.connections import save, saved_reference
from functions.list_tables.handler import handler as list_tables
from functions.test_connection.handler import handler
from tests.helpers.function_calls import Context
from tests.helpers.standin import PASSWORD

ROUTE, TABLES = "/api/test-connection/database", "/api/database/tables"


def tried(context, **connection):
    answer = handler(http("POST", ROUTE, ROUTE, json.dumps({"connection": connection})), context)
    return json.loads(answer["body"])


@pytest.fixture
def address(server):
    return {
        "host": "localhost",
        "port": server.port,
        "database": server.database,
        "username": "sa",
        "password": PASSWORD,
    }


@pytest.mark.parametrize(
    ("asked", "used"), [("auto", "mssql-python"), ("mssql-python", "mssql-python"), ("pymssql", "pymssql")]
)
def test_should_try_the_driver_that_a_load_reads_by_and_name_it(context, address, asked, used):
    tested = tried(context, **address, driver=asked, trustServerCertificate=True)
    assert (tested["status"], tested.get("driver"), tested["encrypted"]) == ("success", used, True)


def test_should_fail_where_the_load_would_though_the_questions_are_answered(context, server, address):
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute("EXEC flowforge_fault 'deadlock', 0, 1, 'AS probe'")
    tested = tried(context, **address, driver="pymssql", trustServerCertificate=True)
    assert (tested["status"], tested["step"]) == ("failed", "reading as a load does")
    assert tested["error"] == "SourceUnavailable"


class Short(Context):
    """A function that has six seconds left."""

    def get_remaining_time_in_millis(self) -> int:
        return 6_000


@pytest.mark.parametrize(
    ("matching", "driver", "step"),
    [
        ("SERVERPROPERTY", "pymssql", "asking the server"),
        ("AS probe", "pymssql", "reading as a load does"),
        ("AS probe", "mssql-python", "reading as a load does"),
    ],
)
def test_should_answer_in_time_where_a_server_falls_silent_after_the_login(server, address, matching, driver, step):
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute(f"EXEC flowforge_fault 'stall', 0, 1, '{matching}'")
        tested = tried(Short(), **address, driver=driver, trustServerCertificate=True)
        cursor.execute("EXEC flowforge_fault 'none'")
    assert (tested["status"], tested["step"], tested["error"]) == ("failed", step, "SourceUnavailable")
    assert "in time" in tested["message"] or "by its deadline" in tested["message"]


@pytest.mark.parametrize("driver", ["auto", "pymssql"])
def test_should_read_by_pymssql_for_a_windows_login(server, address, driver, context):
    """The stand-in knows no domain and refuses; that it is pymssql that asks is seen by its words."""
    target = target_in({"connection": {**address, "trustServerCertificate": True}})
    login = Credentials.model_validate({"username": "BANK\\loader", "password": "secret"})
    with pytest.raises(Exception, match="login of 'BANK"):
        open_reader(target.reference, login, ONE_ROW, driver)


def test_should_refuse_the_driver_that_does_not_know_windows_logins(server, address):
    target = target_in({"connection": address})
    login = Credentials.model_validate({"username": "BANK\\loader", "password": "secret"})
    with pytest.raises(UnsupportedSource, match="needs NTLM") as caught:
        open_reader(target.reference, login, ONE_ROW, "mssql-python")
    assert "pymssql" in caught.value.remedy


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("db.example.com", ("db.example.com", 1433)),
        ("tcp:db.example.com", ("db.example.com", 1433)),
        ("TCP:db.example.com,1435", ("db.example.com", 1435)),
        ("db.example.com,1435", ("db.example.com", 1435)),
        ("db.example.com, 1435", ("db.example.com", 1435)),
        ("db.example.com\\SALES,1435", ("db.example.com", 1435)),
        ("tcp:bank.database.windows.net,1433", ("bank.database.windows.net", 1433)),
        ("10.0.0.7,1500", ("10.0.0.7", 1500)),
    ],
)
def test_should_understand_an_address_as_tools_write_it(aws, unique, written, expected):
    login = {"database": "Bank", "username": "loader", "password": "secret"}
    reference = target_in({"connection": {"host": written, **login}}).reference
    assert (reference.host, reference.port) == expected
    name = unique("c")
    save(SavedConnection.model_validate({"id": name, "host": written, **login}))
    assert (saved_reference(name).host, saved_reference(name).port) == expected


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("db\\SALES", "TCP port instead (db,PORT)"),
        ("np:\\\\db\\pipe\\sql\\query", "no TCP address"),
        ("\\\\db\\pipe\\sql\\query", "no TCP address"),
        ("lpc:db", "no TCP address"),
        ("admin:db", "no TCP address"),
        ("(local)", "localhost"),
        ("(localdb)\\MSSQLLocalDB", "localhost"),
        (".", "localhost"),
        (".\\SQLEXPRESS", "localhost"),
        ("db:1435", "behind a comma"),
        ("::1", "IPv6"),
        ("[fe80::1]", "IPv6"),
        ("mssql://db", "host alone"),
        ("db,1435x", "a port that is none"),
        ("db,99999", "less than or equal to 65535"),
        *(
            (name, "letters, digits")
            for name in ("db;Encrypt=no", "db x", "localhost#x", "localhost%2F", "db?x", "sa@db", "*")
        ),
    ],
)
def test_should_say_what_to_write_for_an_address_that_is_not_understood(written, told):
    login = {"database": "Bank", "username": "loader", "password": "secret"}
    for ask in (lambda d: target_in({"connection": d}), lambda d: SavedConnection.model_validate({"id": "c", **d})):
        with pytest.raises((InvalidRequest, ValidationError)) as caught:
            ask({"host": written, **login})
        assert told in str(caught.value)


def test_should_not_choose_between_two_ports():
    with pytest.raises(InvalidRequest, match="give one of them"):
        target_in({"connection": {"host": "db,1435", "port": 1500, "database": "b", "username": "u", "password": "p"}})


@pytest.mark.parametrize("field", ["authentication", "tenantId", "clientId", "accessToken"])
def test_should_name_the_logins_there_are_to_who_asks_for_another(field):
    asked = {"host": "db", "database": "b", "username": "u", "password": "p", field: "ActiveDirectoryServicePrincipal"}
    for ask in (lambda d: target_in({"connection": d}), lambda d: SavedConnection.model_validate({"id": "c", **d})):
        with pytest.raises((InvalidRequest, ValidationError), match="Entra ID"):
            ask(asked)


def test_should_list_the_tables_of_a_source_page_by_page(context, address):
    def listed(**query: str) -> dict:
        body = {"connection": address | {"trustServerCertificate": True}}
        answer = list_tables(http("POST", TABLES, TABLES, json.dumps(body), query=query), context)
        return json.loads(answer["body"])

    whole = listed()
    names = [(one["schema"], one["name"]) for one in whole["tables"]]
    assert len(names) >= 3 and "next" not in whole
    assert names == sorted(names, key=lambda one: (one[0].lower(), one[1].lower()))
    found, place = [], {}
    while True:
        answer = listed(limit="2", **place)
        assert 0 < len(answer["tables"]) <= 2
        found += answer["tables"]
        if "next" not in answer:
            break
        place = {"cursor": answer["next"]}
    assert found == whole["tables"]
    assert listed(cursor="x")["mistakes"][0]["field"] == "cursor"
