"""A server that means harm ends in an error that says so, within the function's time and a bound of memory, whatever is asked."""

import json
import resource
import time

import pytest
from pydantic import SecretStr

from events.envelopes import http, sqs
from events.targets import ConnectionReference
from flowforge.aws.secrets import Place, store_login
from flowforge.domain.errors import FlowForgeError
from flowforge.domain.source_columns import SourceColumn
from flowforge.sources.sqlserver.reader import open_reader
from flowforge.sources.sqlserver.selection import Selection
from flowforge.sources.target import Credentials
from functions.describe_table.handler import handler as describe_table
from functions.ingest_table.handler import handler as ingest_table
from functions.list_tables.handler import handler as list_tables
from functions.test_connection import handler as tried
from infra.sqlserver.certificate import ensure_certificate, server_context
from tests.helpers.commands import command
from tests.helpers.function_calls import Context
from tests.helpers.hostile_server import AT_LOGIN, BEFORE, HARMS, Hostile, hostile_server

SECONDS = 2  # of a read
READ = Selection("SELECT 1 AS a", [SourceColumn(name="a", sql_type="int")])
LOADED = ["garbage", "ten thousand columns", "a wrong type", "endless rows", "silent in a row"]
MOST_GROWTH = 400 * 2**20  # bytes; libraries that are loaded meanwhile are part of it
ASKED = {
    "/api/test-connection/database": tried.handler,
    "/api/database/tables": list_tables,
    "/api/database/schema": describe_table,
}


class Short(Context):
    """A function that has two seconds left: what has no end takes all of them."""

    def get_remaining_time_in_millis(self) -> int:
        return 2_000


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """What a client verifies the server by: the harm comes after a good handshake."""
    folder = tmp_path_factory.mktemp("tls")
    authority = ensure_certificate(folder)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("FLOWFORGE_SOURCE_CA_FILE", str(authority))
        environment.setenv("FLOWFORGE_LOGIN_TIMEOUT_SECONDS", "2")
        yield server_context(folder)


def answered(server: Hostile, path: str, **connection):
    address = {"host": "localhost", "port": server.port, "database": "Bank", "username": "loader", "password": "Pa55"}
    body = {"connection": address | connection, "table": "customers"}
    return ASKED[path](http("POST", path, path, json.dumps(body)), Short())


def peak() -> int:
    """The most memory that this process has had, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


ENDLESS = [harm for harm in HARMS if "endless" in harm or "silent" in harm]
CASES = [(harm, path) for harm in HARMS if harm not in ENDLESS for path in ASKED]
CASES += [
    (harm, "/api/database/tables") for harm in (*ENDLESS, *BEFORE, f"{AT_LOGIN}endless messages", f"{AT_LOGIN}silent")
]


@pytest.mark.parametrize(("harm", "path"), CASES)
def test_should_end_in_an_error_that_names_the_server(certificate, harm, path):
    before = peak()
    with hostile_server(harm, certificate) as server:
        answer = answered(server, path)
    told = json.loads(answer["body"])
    assert answer["statusCode"] in (200, 404, 422, 502, 503), told
    if answer["statusCode"] == 200 and harm != "nothing":
        assert told.get("status") == "failed" or told == {"tables": []}, told
    if "message" in told:
        assert "localhost" in told["message"] and told["remedy"] and "Pa55" not in answer["body"]
    assert peak() - before < MOST_GROWTH


@pytest.mark.parametrize("driver", ["pymssql", "mssql-python"])
@pytest.mark.parametrize("harm", HARMS)
def test_should_take_no_read_for_complete_that_a_server_makes_up(certificate, harm, driver):
    before = peak()
    with hostile_server(harm, certificate) as server, pytest.raises(FlowForgeError) as caught:
        where = ConnectionReference(
            host="localhost", port=server.port, database="Bank", secret_id="x", trust_server_certificate=True
        )
        login, deadline = Credentials(username="loader", password=SecretStr("Pa55")), time.monotonic() + SECONDS
        with open_reader(where, login, READ, driver, deadline=deadline) as reader:
            for _ in reader:
                pass
    told = str(caught.value)
    assert ("localhost" in told or "the source returned" in told) and "Pa55" not in told
    assert peak() - before < 2 * MOST_GROWTH  # a function that reads has 1,769 MB


@pytest.mark.parametrize("harm", LOADED)
def test_should_end_a_load_with_an_error_that_names_the_server(aws, monkeypatch, unique, certificate, harm):
    aws.use("IngestQueue", "IngestDeadLetters", monkeypatch)
    monkeypatch.setenv("FLOWFORGE_MAX_ATTEMPTS", "1")
    before = peak()
    with hostile_server(harm, certificate) as server:
        place = Place("localhost", server.port, "Bank")
        secret_id, version = store_login(f"flowforge/test/{unique('s')}", "loader", "Pa55", place)
        where = ConnectionReference(
            host=place.host, port=place.port, database=place.database, secret_id=secret_id, secret_version=version
        )
        wanted = command(unique("t"), unique("run")).model_copy(update={"connection": where})
        assert ingest_table(sqs(json.loads(wanted.model_dump_json())), Short()) == {"batchItemFailures": []}
    ((kind, told),) = aws.announced()
    assert kind == "StepFailed"
    assert "localhost" in told["cause"] and told["remedy"] and "Pa55" not in json.dumps(told)
    assert peak() - before < MOST_GROWTH
