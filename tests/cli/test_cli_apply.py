"""`flowforge apply`: a wrong file applies nothing, and each mistake is named with its file and field."""

import json
from typing import Any

import pytest

BANK = {"host": "sql.example.com", "database": "Bank", "username": "loader", "password": {"env": "BANK_PASSWORD"}}
REQUEST = {
    "workflow_id": "nightly",
    "job_id": "load",
    "source_type": "database",
    "source_config": {"type": "sql-server", "databaseConfig": {"tables": [{"tableName": "customers"}]}},
}
SAVED = {name: value for name, value in BANK.items() if name != "password"}
SAVED |= {"id": "bank", "port": 1433, "trustServerCertificate": False, "driver": "auto", "maxConcurrentReads": None}


@pytest.fixture
def write(flowforge):
    def write(name: str, document: Any) -> None:
        path = flowforge.folder / "p" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(document if isinstance(document, str) else json.dumps(document))

    return write


@pytest.fixture
def folder(write, api) -> None:
    write("connections/bank.json", BANK)
    write("workflows/nightly.json", {"title": "The bank", "request": REQUEST})
    write("schedules/nightly.json", {"connection": "bank", "cron": "30 2 * * *"})
    api.answer("GET /api/connections", {"connections": []})
    api.answer("GET /api/schedules", {"schedules": []})
    api.answer("POST /api/connections", {"id": "bank"}, 201)
    api.answer("PUT /api/schedules/nightly", {"workflow_id": "nightly"})


def written(api) -> list[tuple[str, str]]:
    return [(one.method, one.path) for one in api.asked if one.method != "GET"]


INLINE = REQUEST | {"source_config": REQUEST["source_config"] | {"connection": SAVED | {"password": "x"}}}
WRONG = [
    ("connections/bank.json", BANK | {"password": "FlowForge2024!"}, "connections/bank.json: password"),
    ("connections/bank.json", BANK | {"prot": 1433}, "connections/bank.json: prot"),
    ("connections/bank.json", "{", "connections/bank.json"),
    ("workflows/nightly.json", {"request": INLINE}, "workflows/nightly.json: request.source_config.connection"),
    ("workflows/nightly.json", {"request": REQUEST | {"job_id": 1}}, "workflows/nightly.json: request.job_id"),
    ("schedules/nightly.json", {"connection": "bank", "cron": "30 2 * *"}, "schedules/nightly.json: cron"),
    ("schedules/nightly.json", {"connection": "bnak", "rate": "1 day"}, "schedules/nightly.json: connection"),
    ("schedules/nightly.json", {"rate": "1 day"}, "schedules/nightly.json: connection"),
    ("schedules/nightly.json", {"connection": "bank", "after": "nightly"}, "schedules/nightly.json: after"),
    ("schedules/other.json", {"rate": "1 day"}, "schedules/other.json"),
    ("conections/bank.json", BANK, "conections"),
]


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(("file", "document", "field"), WRONG)
def test_should_apply_nothing_and_name_the_file_and_the_field_that_is_wrong(
    flowforge, api, write, file, document, field
):
    write(file, document)
    ended = flowforge("apply", "p", "--json", env={"BANK_PASSWORD": "secret"})
    assert (ended.code, written(api)) == (2, [])
    assert field in [one["field"] for one in ended.document["mistakes"]], ended.out
    assert "FlowForge2024!" not in ended.out + ended.err
    assert "prot" not in field or "did you mean port?" in ended.out


@pytest.mark.usefixtures("folder")
def test_should_send_a_password_from_where_its_file_says_and_show_the_difference_first(flowforge, api):
    lacking = flowforge("apply", "p", "--json")
    assert (lacking.code, lacking.document["mistakes"][0]["field"]) == (2, "connections/bank.json: password")
    assert (flowforge("apply", "p", "--dry-run").code, written(api)) == (4, [])

    ended = flowforge("apply", "p", env={"BANK_PASSWORD": "secret"})
    assert (ended.code, written(api)) == (0, [("POST", "/api/connections"), ("PUT", "/api/schedules/nightly")])
    saved, schedule = (one.document for one in api.asked if one.method != "GET")
    assert saved["password"] == "secret"
    assert schedule["request"]["source_config"]["connection"] == {"connectionId": "bank"}
    assert (schedule["cron"], schedule["timezone"], schedule["paused"]) == ("30 2 * * *", "UTC", False)
    assert "secret" not in ended.out + ended.err
    assert "connection bank: created" in ended.err


@pytest.mark.usefixtures("folder")
def test_should_send_the_passwords_of_connections_that_are_the_same_only_when_asked(flowforge, api):
    api.answer("GET /api/connections", {"connections": [SAVED]})
    shown = [{"workflow_id": "nightly", "cron": "30 2 * * *", "timezone": "UTC", "paused": False}]
    api.answer("GET /api/schedules", {"schedules": shown})
    source = REQUEST["source_config"] | {"connection": {"connectionId": "bank"}}
    api.answer("GET /api/schedules/nightly", shown[0] | {"request": REQUEST | {"source_config": source}})
    same = flowforge("apply", "p")
    assert (same.code, written(api), "Nothing to do" in same.out) == (0, [], True)
    assert flowforge("apply", "p", "--passwords", env={"BANK_PASSWORD": "new"}).code == 0
    assert written(api) == [("POST", "/api/connections")]


@pytest.mark.usefixtures("folder")
def test_should_say_what_was_done_before_a_change_that_is_refused(flowforge, api):
    refusal = {"error": "InvalidRequest", "message": "1 mistake(s) in the request", "mistakes": []}
    api.answer("PUT /api/schedules/nightly", refusal, 400)
    ended = flowforge("apply", "p", env={"BANK_PASSWORD": "secret"})
    assert ended.code == 2
    assert "schedule nightly was not applied" in ended.err and "1 of 2 changes are done" in ended.err


@pytest.mark.usefixtures("folder")
def test_should_remove_nothing_where_nobody_can_be_asked(flowforge, api):
    api.answer("GET /api/connections", {"connections": [SAVED, SAVED | {"id": "old"}]})
    ended = flowforge("apply", "p", "--prune", env={"BANK_PASSWORD": "secret"})
    assert (ended.code, written(api)) == (2, [])
    assert "confirm with --yes" in ended.err


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("more", [(), ("--yes",)])
def test_should_show_what_would_go_and_remove_nothing_in_a_dry_run(flowforge, api, more):
    """Nobody is asked, whatever stands beside it, and no password is needed."""
    api.answer("GET /api/connections", {"connections": [SAVED, SAVED | {"id": "old"}]})
    shown = {"workflow_id": "gone", "connection_id": "old", "cron": "0 1 * * *", "timezone": "UTC", "paused": False}
    api.answer("GET /api/schedules", {"schedules": [shown]})
    api.answer("GET /api/schedules/gone", shown | {"request": {}})
    ended = flowforge("apply", "p", "--prune", "--dry-run", "--json", *more)
    changes = [(one["action"], one["kind"], one["name"]) for one in ended.document["changes"]]
    assert (ended.code, written(api), ended.document["applied"]) == (4, [], False)
    assert changes == [
        ("remove", "schedule", "gone"),
        ("create", "schedule", "nightly"),
        ("remove", "connection", "old"),
    ]
    assert ended.document["left"] == []
    text = flowforge("apply", "p", "--prune", "--dry-run", *more)
    assert text.code == 4 and "old" in text.out and "remove" in text.out and written(api) == []
