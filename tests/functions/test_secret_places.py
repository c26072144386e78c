"""A secret's password goes to the server and database that the secret belongs to, and nowhere else."""

import copy
import json
import re
import socket
from collections.abc import Iterator

import pytest

from events.envelopes import http, sqs
from events.sample_messages import FULL
from events.targets import ConnectionReference
from flowforge.aws.secrets import Place, inline_secret_id, read_login
from flowforge.domain.errors import NotFound, SecretRefused
from flowforge.domain.given import given
from flowforge.sources.target import read_credentials
from functions.connections.handler import handler as connections
from functions.ingest_table.handler import handler as ingest
from functions.submit_job.handler import handler as submit
from functions.test_connection.handler import handler as probe
from tests.helpers.commands import command
from tests.helpers.function_calls import Context
from tests.helpers.meanwhile import after_first_write

HOME = {"host": "sql.bank.example", "port": 1433, "database": "Bank"}


@pytest.fixture(autouse=True)
def queues(aws, monkeypatch):
    aws.use("IngestQueue", "IngestDeadLetters", monkeypatch)
    for queue in ("IngestQueue", "TrackQueue", "IngestDeadLetters"):
        aws.messages(queue)


@pytest.fixture
def elsewhere() -> Iterator[socket.socket]:
    """A server that waits for somebody's password."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server


def was_called(server: socket.socket) -> bool:
    try:
        server.accept()
    except BlockingIOError:
        return False
    return True


def at(server: socket.socket) -> dict:
    return {"host": "127.0.0.1", "port": server.getsockname()[1], "database": "Bank"}


def request(**connection) -> dict:
    document = copy.deepcopy(FULL)
    document["source_config"]["connection"] = connection
    return document


def answer(handler, path: str, body: dict, context, route: str | None = None) -> tuple[int, dict]:
    reply = handler(http("POST", path, route, body), context)
    return reply["statusCode"], json.loads(reply["body"])


def submitted(context, **connection) -> tuple[int, dict]:
    return answer(submit, "/api/workflows/wf_001/run", request(**connection), context, "/api/workflows/{id}/run")


def save(context, name: str, **changes) -> None:
    body = {"id": name, **HOME, "username": "loader", "password": "Pa55-of-the-bank"} | changes
    assert answer(connections, "/api/connections", body, context)[0] == 201


def make(aws, name: str, **fields) -> str:
    login = json.dumps({"username": "loader", "password": "Pa55-of-the-bank", **fields})
    aws.client("secretsmanager").create_secret(Name=name, SecretString=login)
    return name


@pytest.mark.parametrize(
    "form", ["flowforge/connections/{}", "arn:aws:secretsmanager:us-east-1:1:secret:flowforge/connections/{}"]
)
def test_should_send_the_password_of_a_saved_connection_to_no_other_host(aws, context, unique, elsewhere, form):
    name = unique("bank")
    save(context, name)
    stolen = {**at(elsewhere), "secretId": form.format(name), "trustServerCertificate": True}
    status, told = submitted(context, **stolen)
    assert (status, told["mistakes"][0]["field"]) == (400, "connection.secretId")
    status, told = answer(probe, "/api/test-connection/database", {"connection": stolen}, context)
    assert status == 400
    assert not was_called(elsewhere)
    assert aws.messages("IngestQueue") == []


def test_should_stop_a_message_that_takes_a_secret_elsewhere(aws, context, unique, elsewhere):
    name = unique("bank")
    save(context, name)
    stolen = ConnectionReference(
        **at(elsewhere), secret_id=f"flowforge/connections/{name}", trust_server_certificate=True
    )
    wanted = command(unique("t"), unique("run")).model_copy(update={"connection": stolen})
    assert ingest(sqs(wanted.model_dump_json()), context) == {"batchItemFailures": []}
    ((kind, detail),) = aws.announced()
    assert (kind, detail["error"]) == ("StepFailed", "SecretRefused")
    assert "sql.bank.example:1433" in detail["cause"]
    assert not was_called(elsewhere)


@pytest.mark.parametrize(
    "change", [{"host": "other.example"}, {"port": 1434}, {"database": "Other"}, {"trustServerCertificate": True}]
)
def test_should_refuse_a_secret_for_another_place_by_name(aws, context, unique, change):
    name = make(aws, f"flowforge/{unique('own')}", **HOME)
    assert submitted(context, **HOME, secretId=name)[0] == 202
    assert submitted(context, **HOME | {"host": "SQL.Bank.Example"}, secretId=name)[0] == 202
    status, told = submitted(context, **HOME | change, secretId=name)
    assert (status, told["error"]) == (422, "SecretRefused")
    assert "Pa55" not in json.dumps(told)
    status, told = answer(
        probe, "/api/test-connection/database", {"connection": {**HOME, **change, "secretId": name}}, context
    )
    assert told["error"] == "SecretRefused"


def test_should_refuse_a_secret_that_does_not_say_where_it_belongs_with_what_to_add(aws, context, unique):
    status, told = submitted(context, **HOME, secretId=make(aws, f"flowforge/{unique('own')}"))
    assert (status, told["error"]) == (422, "SecretRefused")
    assert '"host": "sql.bank.example"' in told["remedy"]


def test_should_take_a_secret_of_the_form_that_it_asks_for(aws, unique):
    name, place = f"flowforge/{unique('asked')}", Place(HOME["host"], 1433, HOME["database"])
    with pytest.raises(NotFound) as refused:
        read_login(name, None, place)
    asked = given(re.search(r"\{(.*)\}", refused.value.remedy))[1].replace('"', "").split(", ")
    own = {"username": "loader", "password": "Pa55", "host": place.host, "port": place.port, "database": place.database}
    secret = json.dumps({field: own[field] for field in asked})
    aws.client("secretsmanager").create_secret(Name=name, SecretString=secret)
    assert read_login(name, None, place) == ("loader", "Pa55")


def test_should_take_a_secret_as_rds_writes_it_for_every_database_of_its_server(aws, context, unique):
    name = make(aws, f"flowforge/{unique('rds')}", host=HOME["host"], port="1433", engine="sqlserver")
    assert submitted(context, **HOME, secretId=name)[0] == 202
    assert submitted(context, **HOME | {"host": "other.example"}, secretId=name)[0] == 422


def test_should_use_the_secret_of_an_inline_login_again_for_its_own_place_only(aws, context):
    assert submitted(context, **HOME, username="loader", password="Inline-pa55")[0] == 202
    name = inline_secret_id(HOME["host"], HOME["port"], HOME["database"], "loader")
    assert submitted(context, **HOME, secretId=name)[0] == 202
    assert submitted(context, **HOME | {"host": "other.example"}, secretId=name)[0] == 422


def test_should_see_a_rotation_with_the_next_load_and_ask_for_one_version_once(aws, unique):
    name = make(aws, unique("flowforge/rotated"), **HOME)
    secrets = aws.client("secretsmanager")
    text = secrets.get_secret_value(SecretId=name)["SecretString"]
    changed = secrets.put_secret_value(SecretId=name, SecretString=text.replace("Pa55", "New5"))["VersionId"]
    current = read_credentials(ConnectionReference(**HOME, secret_id=name))
    assert current.password.get_secret_value() == "New5-of-the-bank"
    of_version = ConnectionReference(**HOME, secret_id=name, secret_version=changed)
    assert read_credentials(of_version) == current
    before = aws.calls()["Secrets Manager GetSecretValue"]
    assert read_credentials(of_version) == current
    with pytest.raises(SecretRefused):  # what is kept is as particular as the store
        read_credentials(of_version.model_copy(update={"host": "other.example"}))
    assert aws.calls()["Secrets Manager GetSecretValue"] == before
    secrets.put_secret_value(SecretId=name, SecretString=text)
    later = read_credentials(ConnectionReference(**HOME, secret_id=name))
    assert later.password.get_secret_value() == "Pa55-of-the-bank"


def test_should_read_what_an_earlier_version_has_stored(aws, context, unique):
    user = unique("user")
    name = inline_secret_id(HOME["host"], HOME["port"], HOME["database"], user)
    make(aws, name, username=user)
    saved = make(aws, f"flowforge/connections/{unique('old')}")
    for secret in (name, saved):
        found = read_credentials(ConnectionReference(**HOME, secret_id=secret))
        assert found.password.get_secret_value() == "Pa55-of-the-bank"


@pytest.mark.parametrize("weaker", [{"trustServerCertificate": True}, {"port": 1434}, {"driver": "pymssql"}])
def test_should_let_no_request_change_a_saved_connection(context, unique, weaker):
    name = unique("bank")
    save(context, name)
    assert submitted(context, connectionId=name)[0] == 202
    status, told = submitted(context, connectionId=name, **weaker)
    assert status == 400
    assert "stands alone" in told["mistakes"][0]["problem"]


def test_should_keep_a_connection_that_is_saved_while_another_person_removes_it(aws, unique):
    saved = {"id": unique("c"), "host": "sql.bank.example", "database": "Bank", "username": "u", "password": "first"}
    removed = http("DELETE", f"/api/connections/{saved['id']}", "/api/connections/{id}")

    def save(password: str) -> int:
        return connections(http("POST", "/api/connections", body=saved | {"password": password}), Context())[
            "statusCode"
        ]

    assert save("first") == 201
    with after_first_write("secretsmanager", "DeleteSecret", do=lambda: save("second")):
        answer = connections(removed, Context())
    assert (answer["statusCode"], json.loads(answer["body"])["error"]) == (409, "ConflictingTarget")
    kept = aws.client("secretsmanager").get_secret_value(SecretId=f"flowforge/connections/{saved['id']}")
    assert json.loads(kept["SecretString"])["password"] == "second"
    assert connections(removed, Context())["statusCode"] == 204
    assert connections(removed, Context())["statusCode"] == 404
