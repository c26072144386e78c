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
from tests.helpers.servers import ROOT

NAMES = sorted(path.stem for path in FOLDER.glob("*.json"))


@pytest.fixture(autouse=True)
def queues(aws, monkeypatch):
    aws.use("SubmitQueue", "SubmitDeadLetters", monkeypatch)
    aws.messages("IngestQueue")


def ask(method: str, path: str, body: Any = None) -> tuple[int, Any]:
    answer = handler(http(method, path, path, body), Context())
    return answer["statusCode"], json.loads(answer["body"])


@pytest.mark.parametrize("name", NAMES)
def test_should_list_and_show_a_template_with_its_connection_left_open(name):
    status, listed = ask("GET", "/api/templates")
    _, shown = ask("GET", f"/api/templates/{name}")
    assert (status, [one["name"] for one in listed["templates"]]) == (200, NAMES)
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
