"""Every field of a request has an effect on what is loaded or shown, or it is refused: nothing that a user writes vanishes."""

import copy
import json
from typing import Any

import pytest

from events.envelopes import http
from events.request import (
    DatabaseConfig,
    InvalidRequest,
    TableConfig,
    parse_job_request,
)
from flowforge.state import runs
from functions.connections.handler import handler as connections
from functions.submit_job.handler import handler as submit
from tests.helpers.request_fields import (
    BASE,
    DATA,
    DESTINATION,
    FIELDS,
    MODEL,
    MODELS,
    PARTS,
    REFRESH,
    SAVED,
    TO,
    WHERE,
    document_of,
    model,
)


@pytest.fixture
def outcome(aws, context):
    """What comes of a document: what is queued and shown, or "refused"."""
    saved = {"id": SAVED, "host": "saved", "database": "Bank", "username": "u", "password": "p"}
    assert connections(http("POST", "/api/connections", body=saved), context)["statusCode"] in (200, 201)
    aws.messages("IngestQueue")

    def of(document: dict[str, Any]) -> str:
        route = f"/api/workflows/{document['workflow_id']}/run", "/api/workflows/{id}/run"
        answer = submit(http("POST", *route, document), context)
        body = json.loads(answer["body"])
        if answer["statusCode"] != 202:
            assert answer["statusCode"] in (400, 403, 404, 422), body
            return "refused"
        queued = [message["body"] for message in aws.messages("IngestQueue")]
        run = runs.read_run(body["run_id"])
        shown = {name: run[name] for name in ("workflow_id", "workflow_name", "job_id", "job_name", "batch_id")}
        commands = sorted(json.dumps({**command, "run_id": ""}, sort_keys=True) for command in queued)
        return json.dumps([shown, commands])

    return of


def test_should_know_every_field_of_a_request():
    wanted = {
        f"{one.__name__}.{field}"
        for one in MODELS
        for field in (one.model_fields if one is not DatabaseConfig else ["tables", "consistentCut"])
        if field not in PARTS
    }
    assert wanted == set(FIELDS)


@pytest.mark.parametrize("field", sorted(FIELDS))
def test_should_use_or_refuse_every_field(outcome, field):
    path, one, other, around = FIELDS[field]
    found = outcome(document_of(path, one, around)), outcome(document_of(path, other, around))
    assert found[0] != found[1]
    assert "refused" not in found or field in {
        "JobRequest.source_type",
        "DatabaseSource.type",
        "TableConfig.isIncremental",
        "BronzeConfig.storageFormat",
        "Connection.secretId",
    }


@pytest.mark.parametrize("field", DESTINATION)
def test_should_use_the_requests_settings_for_a_table_that_has_some_of_its_own(outcome, field):
    path, one, other, around = FIELDS[field]
    own = {f"{DATA}.destination_config": {layer: {"tableName": "own"} for layer in ("bronzeConfig", "silverConfig")}}
    own[f"{DATA}.destination_config"]["goldConfig"] = {"tableName": "own_gold"}
    found = outcome(document_of(path, one, around | own)), outcome(document_of(path, other, around | own))
    assert found[0] != found[1]


@pytest.mark.parametrize("field", sorted(set(TableConfig.model_fields) - {"tableName", "query", "destination_config"}))
def test_should_refuse_what_stands_beside_tables_and_is_about_none_of_them(outcome, field):
    inner = {"columns": "ColumnChoice.exclude", "where": "RowFilter.column", "window": "Window.to"}
    _, one, other, _ = FIELDS[inner.get(field, f"TableConfig.{field}")]
    around = {f"{DATA}.isIncremental": True, f"{DATA}.deltaColumn": "a", **REFRESH}
    around |= {DATA: {"tables": [{"tableName": "a"}]}}
    assert outcome(document_of(f"{DATA}.{field}", other if one is None else one, around)) == "refused"


def test_should_add_the_requests_models_to_those_of_a_table(outcome):
    own = {"goldConfig": {"models": [MODEL | {"tableName": "of_the_table"}]}}
    document = document_of(f"{TO}.goldConfig.models", model(tableName="of_the_request"), {f"{DATA}.{TO}": own})
    assert '"of_the_request"'.replace('"', '\\"') in (found := outcome(document)) and "of_the_table" in found
    document["destination_config"]["goldConfig"]["models"] = model(tableName="of_the_table")
    assert outcome(document) == "refused"  # one name, two models


def test_should_refuse_a_setting_in_whose_place_every_table_has_its_own(outcome):
    entries: list[Any] = [{"tableName": name, TO: {"bronzeConfig": {"compression": "gzip"}}} for name in ("a", "b")]
    around = {DATA: {"tables": entries}}
    assert outcome(document_of(f"{TO}.bronzeConfig.compression", "zstd", around)) == "refused"
    around[DATA]["tables"].append("c")
    assert outcome(document_of(f"{TO}.bronzeConfig.compression", "zstd", around)) != "refused"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (f"{DATA}.deltaColumn", "modified"),
        (f"{DATA}.lastWatermark", "2024-01-01"),
        (f"{DATA}.nullCursor", "fail"),
        (f"{DATA}.cursorClock", "utc"),
        (f"{DATA}.allowEmptyRefresh", True),
        (f"{DATA}.protectionKey", "flowforge/k"),
        (f"{TO}.silverConfig.deletes", "soft"),
        (f"{DATA}.acceptPartialView", True),
        (f"{TO}.silverConfig.nullKeys", "quarantine"),
        (f"{TO}.goldConfig.primaryKey", "a"),
        (f"{TO}.goldConfig.models", model(primaryKey="a")),
        (f"{DATA}.{TO}", {"goldConfig": {"primaryKey": "a"}}),
        (WHERE, {"connectionId": SAVED, "port": 1434}),
        (WHERE, {"connectionId": SAVED, "driver": "pymssql"}),
        (WHERE, {"connectionId": SAVED, "trustServerCertificate": True}),
        (WHERE, {"host": "db", "database": "Bank", "secretId": "flowforge/x", "username": "u"}),
    ],
)
def test_should_refuse_what_would_have_no_effect(outcome, path, value):
    assert outcome(document_of(path, value, {})) == "refused"


KEEPS = [
    {f"{TO}.silverConfig.deletes": "ignore"},
    {f"{TO}.silverConfig.mergeStrategy": "append"},
    {f"{DATA}.{TO}": {"silverConfig": {"deletes": "ignore"}}},
]


@pytest.mark.parametrize("around", KEEPS, ids=["ignore", "append", "the table's own"])
@pytest.mark.parametrize("field", ["acceptPartialView", "allowEmptyRefresh"])
def test_should_refuse_what_a_refresh_that_keeps_every_row_has_no_use_for(field, around):
    with pytest.raises(InvalidRequest) as refused:
        parse_job_request(document_of(f"{DATA}.{field}", True, REFRESH | around))
    (mistake,) = refused.value.mistakes
    assert mistake["field"] == f"{DATA}.{field}" and "mergeStrategy replace" in mistake["problem"]


@pytest.mark.parametrize(
    "around", [REFRESH, {f"{TO}.silverConfig.mergeStrategy": "replace"}], ids=["full_refresh", "replace"]
)
def test_should_take_a_partial_view_for_a_load_that_removes_rows(around):
    parse_job_request(document_of(f"{DATA}.acceptPartialView", True, around))


def test_should_refuse_of_several_tables_only_what_none_of_them_uses():
    tables: list[Any] = [{"tableName": "a"}, {"tableName": "b", TO: {"goldConfig": {"buildStrategy": "incremental"}}}]
    document = document_of(DATA, {"tables": tables}, {f"{TO}.goldConfig.primaryKey": "id"})
    parse_job_request(document)
    tables[1] = {"tableName": "b", TO: {"silverConfig": {"nullKeys": "quarantine"}}}
    for entries, own in ((tables, [1]), (["dbo.*", tables[1]], [1]), (["c"], [])):
        with pytest.raises(InvalidRequest) as refused:
            parse_job_request(document_of(DATA, {"tables": entries}, {f"{TO}.goldConfig.primaryKey": "id"}))
        of_tables = [f"{DATA}.tables.{n}.{TO}.silverConfig.nullKeys" for n in own]
        assert [mistake["field"] for mistake in refused.value.mistakes] == [*of_tables, f"{TO}.goldConfig.primaryKey"]


@pytest.mark.parametrize("name", ["_models", "_quarantine", "_delta_log", "_Models", "_of_mine"])
@pytest.mark.parametrize("layer", ["bronzeConfig", "silverConfig", "goldConfig", "models"])
def test_should_refuse_names_of_the_lakes_own_folders(layer, name):
    where = {"goldConfig": {"models": model(tableName=name)}} if layer == "models" else {layer: {"tableName": name}}
    with pytest.raises(InvalidRequest, match="choose another name"):
        parse_job_request(copy.deepcopy(BASE) | {TO: where})


def test_should_take_a_source_table_whose_name_begins_so_under_another_name(outcome):
    assert '\\"table\\": \\"models_' in outcome(document_of(f"{DATA}.tableName", "_models", {}))
