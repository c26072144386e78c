"""Templates: workflows as files, shown and run by the API."""

import json
from typing import Any

import pytest

from events.envelopes import http
from events.request import parse_job_request
from flowforge.jobs.templates import FOLDER, filled
from flowforge.state import runs
from functions.connections.handler import handler as connections
from functions.submit_job.handler import handler
from tests.helpers.function_calls import Context
from tests.helpers.meanwhile import after_first_write
from tests.helpers.servers import ROOT

NAMES = sorted(path.stem for path in FOLDER.glob("*.json"))


@pytest.fixture(autouse=True)
def queues(aws, monkeypatch):
    aws.use("SubmitQueue", "SubmitDeadLetters", monkeypatch)
    aws.messages("IngestQueue")


def ask(method: str, path: str, body: Any = None) -> tuple[int, Any]:
    answer = handler(http(method, path, path, body), Context())
    return answer["statusCode"], json.loads(answer["body"]) if answer["body"] else None


def wanted(**request: Any) -> dict[str, Any]:
    """What a person saves: a request whose connection is left open."""
    document = {
        "workflow_id": "own_bank",
        "job_id": "load",
        "source_type": "database",
        "source_config": {
            "type": "sql-server",
            "databaseConfig": {"tables": [{"tableName": "customers"}, {"tableName": "accounts"}]},
        },
        "destination_config": {"goldConfig": {"models": [{"tableName": "all_of_them", "sql": ["SELECT 1 AS one"]}]}},
    }
    return {"title": "Our bank", "about": "Customers and accounts.", "request": document | request}


@pytest.mark.parametrize("name", NAMES)
def test_should_list_and_show_a_template_with_its_connection_left_open(name):
    status, listed = ask("GET", "/api/templates")
    _, shown = ask("GET", f"/api/templates/{name}")
    assert (status, [one["name"] for one in listed["templates"] if not one["saved_at"]]) == (200, NAMES)
    assert "connection" not in shown["request"]["source_config"]
    assert shown["tables"] and shown["title"] and shown["about"]
    request = parse_job_request(filled(name, "bank"))
    assert request.batch_id is None  # it may be given to a schedule
    assert request.workflow_id == shown["workflow_id"]


def test_should_run_the_customer_360_of_the_bank_with_a_saved_connection(aws, unique):
    bank = unique("bank")
    saved = {"id": bank, "host": "localhost", "database": "BFSI_Test", "username": "sa", "password": "FlowForge2024!"}
    assert connections(http("POST", "/api/connections", body=saved), Context())["statusCode"] == 201
    status, accepted = ask("POST", "/api/templates/customer_360/run", {"connectionId": bank})
    assert status == 202, accepted
    tables = ["bronze_accounts", "bronze_customers", "bronze_transactions"]
    assert sorted(table["table"] for table in runs.read_run(accepted["run_id"])["tables"]) == tables
    commands = [
        message["body"] for message in aws.messages("IngestQueue") if message["body"]["run_id"] == accepted["run_id"]
    ]
    assert {command["connection"]["host"] for command in commands} == {"localhost"}
    models = {model["table"] for command in commands for model in command["gold"]["models"]}
    assert models == {path.stem for path in (ROOT / "examples" / "models").glob("*.sql")}


def test_should_make_the_gold_tables_that_the_demo_checks_against_the_source():
    _, shown = ask("GET", "/api/templates/customer_360")
    for model in shown["request"]["destination_config"]["goldConfig"]["models"]:
        text = (ROOT / "examples" / "models" / f"{model['tableName']}.sql").read_text()
        rules = [json.loads(line.split(" ", 2)[2]) for line in text.splitlines() if line.startswith("-- @qualityRule")]
        assert model["sql"].splitlines() == [line for line in text.splitlines() if not line.startswith("-- @")]
        assert model["qualityRules"] == rules


@pytest.mark.parametrize("name", ["nothing", "..%2Ftemplates%2Fcustomer_360", "CUSTOMER_360"])
def test_should_refuse_a_template_that_is_none(name):
    for method, path, body in (("GET", name, None), ("POST", f"{name}/run", {"connectionId": "bank"})):
        status, answer = ask(method, f"/api/templates/{path}", body)
        assert (status, answer["error"]) == (404, "NotFound")


def test_should_refuse_to_run_one_without_a_connection_that_is_known(unique):
    assert ask("POST", "/api/templates/customer_360/run", {})[0] == 400
    status, answer = ask("POST", "/api/templates/customer_360/run", {"connectionId": unique("none")})
    assert (status, answer["error"]) == (404, "NotFound")


def test_should_save_a_request_as_a_template_and_run_it_as_one_that_is_shipped(aws, unique):
    name, bank = unique("t"), unique("bank")
    saved = {"id": bank, "host": "localhost", "database": "BFSI_Test", "username": "sa", "password": "FlowForge2024!"}
    assert connections(http("POST", "/api/connections", body=saved), Context())["statusCode"] == 201
    assert ask("PUT", f"/api/templates/{name}", wanted())[0] == 200
    status, put = ask("PUT", f"/api/templates/{name}", wanted() | {"title": "Our own bank"})
    assert (status, put["tables"], put["models"]) == (200, ["customers", "accounts"], ["all_of_them"])
    _, listed = ask("GET", "/api/templates")
    names = [one["name"] for one in listed["templates"]]
    assert names == sorted(names)
    assert set(names) >= {name, *NAMES}
    assert next(one for one in listed["templates"] if one["name"] == name) == put
    _, shown = ask("GET", f"/api/templates/{name}")
    assert shown["title"] == "Our own bank"
    assert "connection" not in shown["request"]["source_config"]
    assert shown["request"]["destination_config"]["goldConfig"]["models"][0]["sql"] == "SELECT 1 AS one"
    status, accepted = ask("POST", f"/api/templates/{name}/run", {"connectionId": bank})
    assert (status, sorted(accepted["tables"])) == (202, ["bronze_accounts", "bronze_customers"])
    assert ask("DELETE", f"/api/templates/{name}") == (204, None)
    assert [ask(method, f"/api/templates/{name}")[0] for method in ("GET", "DELETE")] == [404, 404]


def test_should_save_a_request_of_one_table(unique):
    source = {"type": "sql-server", "databaseConfig": {"tableName": "customers", "isIncremental": False}}
    status, put = ask("PUT", f"/api/templates/{unique('t')}", wanted(source_config=source))
    assert (status, put["tables"]) == (200, ["customers"])


def test_should_list_templates_page_by_page(unique):
    added = sorted(unique("t") for _ in range(3))
    for name in added:
        assert ask("PUT", f"/api/templates/{name}", wanted())[0] == 200
    found, place = [], {}
    while True:
        answer = handler(http("GET", "/api/templates", query={"limit": "2", **place}), Context())
        page = json.loads(answer["body"])
        assert 1 <= len(page["templates"]) <= 2
        found += [one["name"] for one in page["templates"]]
        if "next" not in page:
            break
        place = {"cursor": page["next"]}
    assert found == sorted(set(found))
    assert set(found) >= {*added, *NAMES}


def reads(tables: Any, **more: Any) -> dict[str, Any]:
    return {"source_config": {"type": "sql-server", "databaseConfig": {"tables": tables}, **more}}


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        ({"batch_id": "batch_1"}, "batch_id"),
        ({"workflow_id": ""}, "workflow_id"),
        (reads("*"), "source_config.databaseConfig.tables"),
        (reads([{"tableName": "t"}], connection={"connectionId": "bank"}), "source_config.connection"),
        (reads([{"tableName": "t", "isIncremental": True}]), "source_config.databaseConfig.tables.0"),
        ({"source_config": "bank"}, "source_config"),
        ({"nonsense": 1}, "nonsense"),
    ],
)
def test_should_save_nothing_that_could_not_be_run(unique, request_, field):
    name = unique("t")
    status, told = ask("PUT", f"/api/templates/{name}", wanted(**request_))
    assert (status, told["error"]) == (400, "InvalidRequest")
    assert field in [one["field"] for one in told["mistakes"]]
    assert ask("GET", f"/api/templates/{name}")[0] == 404


def test_should_keep_a_template_that_is_saved_while_another_person_removes_it(unique):
    place = f"/api/templates/{unique('t')}"
    assert ask("PUT", place, wanted())[0] == 200
    with after_first_write("dynamodb", "DeleteItem", "TransactWriteItems", do=lambda: ask("PUT", place, wanted())):
        assert ask("DELETE", place)[0] == 204
    assert ask("GET", place)[0] == 200


def test_should_keep_no_password_of_a_template(unique):
    source = wanted()["request"]["source_config"]
    login = {"host": "localhost", "database": "b", "username": "sa", "password": "Hidden-Word-1"}
    name = unique("t")
    status, told = ask("PUT", f"/api/templates/{name}", wanted(source_config={**source, "connection": login}))
    assert status == 400
    assert "Hidden-Word-1" not in json.dumps(told)


def test_should_leave_what_is_shipped_as_it_is():
    for method, body in (("PUT", wanted()), ("DELETE", None)):
        status, told = ask(method, "/api/templates/customer_360", body)
        assert (status, told["error"]) == (409, "ConflictingTarget")
    assert ask("PUT", "/api/templates/Not a name", wanted())[1]["mistakes"][0]["field"] == "name"
