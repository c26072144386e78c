"""What the API tells of itself is all of it, and true of the template."""

import json
import re

import pytest

from events.envelopes import http
from functions.connections.handler import handler
from infra.local.template_text import read_yaml
from tests.helpers.function_calls import Context
from tests.helpers.servers import ROOT

DOCUMENT = json.loads((ROOT / "docs" / "schemas" / "openapi.json").read_text())
OPERATIONS = [(m.upper(), path, told) for path, found in DOCUMENT["paths"].items() for m, told in found.items()]


def test_should_tell_of_every_route_and_of_no_other():
    resources = read_yaml((ROOT / "template.yaml").read_text())["Resources"].values()
    events = [one for found in resources for one in found["Properties"].get("Events", {}).values()]
    declared = [one["Properties"] for one in events if one["Type"] == "HttpApi"]
    assert sorted((method, path) for method, path, _ in OPERATIONS) == sorted(
        (d["Method"], d["Path"]) for d in declared
    )


def test_should_be_answered_by_the_api():
    answer = handler(http("GET", "/api/openapi.json"), Context())
    assert (answer["statusCode"], json.loads(answer["body"])) == (200, DOCUMENT)


@pytest.mark.parametrize(("method", "path", "told"), OPERATIONS, ids=[f"{m} {p}" for m, p, _ in OPERATIONS])
def test_should_tell_what_a_route_takes_and_answers(method, path, told):
    parameters = {one["name"] for one in told.get("parameters", []) if one["in"] == "path"}
    assert parameters == set(re.findall(r"{(\w+)}", path))
    answers = [found for status, found in told["responses"].items() if status.startswith("2")]
    assert len(answers) == 1
    assert told["responses"]["4XX"] == told["responses"]["5XX"] | {"description": "refused"}
    assert not told["summary"].startswith(method)


def test_should_show_no_field_that_nobody_has_named():
    """A bound that no reader of the document would know."""
    assert not re.findall(r'"(?:ge|le|gt|lt)":', json.dumps(DOCUMENT))


@pytest.mark.parametrize(("older", "today"), [("connection_id", "connectionId")])
def test_should_take_the_spelling_of_before(older, today):
    from functions.list_tables.handler import handler as list_tables

    path = "/api/database/tables"
    answers = [list_tables(http("GET", path, path, query={name: ""}), Context()) for name in (older, today)]
    assert [json.loads(answer["body"])["mistakes"][0]["field"] for answer in answers] == [today, today]


def test_should_say_so_of_a_route_that_there_is_not():
    answer = handler(http("GET", "/api/nothing"), Context())
    assert (answer["statusCode"], json.loads(answer["body"])["error"]) == (404, "NotFoundError")
