"""Watermarks over HTTP: shown, set and reset by hand, with what is wrong named."""

import json
from urllib.parse import quote

import pytest

from events.envelopes import http
from flowforge.domain.interval import Interval
from flowforge.domain.source_columns import SourceColumn
from flowforge.domain.source_key import SourceKey
from flowforge.state import batches, claims
from flowforge.state.table import key_id, read_state
from functions.watermark.handler import handler
from tests.helpers.batches import claim, manifest
from tests.helpers.commands import command

pytestmark = pytest.mark.usefixtures("aws")
ROUTE = "/api/watermarks/{table}"
COLUMNS = [
    SourceColumn(name="id", sql_type="int"),
    SourceColumn(name="modified", sql_type="datetime"),
    SourceColumn(name="rv", sql_type="rowversion"),
    SourceColumn(name="label", sql_type="nvarchar(20)"),
]


@pytest.fixture
def loaded(unique) -> str:
    name = unique("t")
    batch = claim(name, unique("run"))
    batches.commit(batches.land(batch, manifest(batch).model_copy(update={"columns": COLUMNS})))
    return name


def call(context, method: str, table: str, body=None, **query) -> tuple[int, dict]:
    answer = handler(http(method, f"/api/watermarks/{quote(table)}", ROUTE, body, query), context)
    return answer["statusCode"], json.loads(answer["body"])


def test_should_show_a_table_with_its_history_by_any_of_its_names(context, loaded):
    for name in (loaded, f"bronze_{loaded}", f"dbo.{loaded}"):
        status, shown = call(context, "GET", name)
        assert (status, shown["watermarks"]["modified"]["value"]) == (200, "2025-01-01 00:00:00.000")
        assert shown["history"][0]["state"] == "committed"
        assert shown["history"][0]["at"]
        assert [(one["name"], one["source_type"], one["type"]) for one in shown["columns"]][:2] == [
            ("id", "int", "integer"),
            ("modified", "datetime", "timestamp(3)"),
        ]


def test_should_answer_404_for_a_table_that_was_never_loaded(context):
    status, answer = call(context, "GET", "nothing")
    assert (status, answer["error"]) == (404, "NotFound")


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("modified", "2024-06-01"),
        ("MODIFIED", "2024-06-01 12:30:00.997"),
        ("modified", "2024-06-01T12:30:00.1234567"),
        ("id", "-5"),
        ("rv", "0x00000000000007D1"),
    ],
)
def test_should_set_a_watermark_of_each_kind(context, loaded, column, value):
    status, shown = call(context, "PUT", loaded, {"column": column, "value": value, "reason": "test"})
    assert (status, shown["generation"]) == (200, 2)
    assert shown["watermarks"][column.lower()]["value"] == value


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"column": "nope", "value": "1"}, "column"),
        ({"column": "modified", "value": "soon"}, "value"),
        ({"column": "id", "value": "1.5"}, "value"),
        ({"column": "rv", "value": "0x1"}, "value"),
        ({"column": "label", "value": "x"}, "value"),
        ({"column": "modified", "value": ""}, "value"),
        ({"column": "modified", "value": "2024-01-01T00:00:00+02:00"}, "value"),
        ({"column": "modified", "value": "20240101"}, "value"),
        ({"column": "id", "value": "99999999999"}, "value"),
        ({"value": "1"}, "column"),
        ({"column": "id", "value": "1", "vlaue": "2"}, "vlaue"),
    ],
)
def test_should_refuse_what_cannot_be_a_watermark_and_change_nothing(context, loaded, body, field):
    status, answer = call(context, "PUT", loaded, body)
    assert (status, answer["mistakes"][0]["field"]) == (400, field)
    assert call(context, "GET", loaded)[1]["generation"] == 1


def test_should_reset_with_an_audit_entry(context, loaded):
    status, shown = call(context, "DELETE", loaded, reason="start over")
    assert (status, shown["watermarks"], shown["generation"]) == (200, {}, 2)
    entry = call(context, "GET", loaded)[1]["audit"][0]
    assert (entry["action"], entry["reason"], entry["before"]) == (
        "reset",
        "start over",
        "modified=2025-01-01 00:00:00.000",
    )


def test_should_ask_which_table_is_meant_when_two_sources_have_one_of_that_name(context, unique):
    name = unique("t")
    first = claim(name, unique("run"))
    other = command(name, unique("run"))
    other = other.model_copy(
        update={
            "connection": other.connection.model_copy(update={"host": "elsewhere"}),
            "bronze": other.bronze.model_copy(update={"table": f"bronze_{name}_2"}),
            "silver": other.silver.model_copy(update={"table": f"{name}_2"}),
            "gold": other.gold.model_copy(update={"table": f"{name}_2"}),
        }
    )
    key = str(SourceKey.of(other.connection, "dbo", name, other.bronze.table))
    claims.claim(read_state(key), other, f"dbo.{name}", Interval(), {}, [])
    status, answer = call(context, "GET", name)
    assert (status, answer["error"]) == (409, "ConflictingTarget")
    for wanted in (first.source_key, key):
        assert wanted in answer["message"]
        status, shown = call(context, "GET", key_id(wanted))
        assert (status, shown["source_key"]) == (200, wanted)
