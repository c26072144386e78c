"""A folder of pipelines and a deployment: applied once it is as the files say, whatever it was, and also after a kill."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.servers import ROOT
from tests.helpers.stack import Stack, flowforge, own
from tests.helpers.waiting import wait_for

VARIABLE = "PASSWORD_OF_THE_BANK"
MODEL = "SELECT customer_id, count(*) AS accounts FROM silver.accounts_of_pipelines GROUP BY customer_id"


@pytest.fixture(autouse=True)
def password(monkeypatch) -> str:
    monkeypatch.setenv(VARIABLE, "FlowForge2024!")
    return "FlowForge2024!"


def write(folder: Path, name: str, document: Any) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(document if isinstance(document, str) else json.dumps(document))


def applied(stack: Stack, folder: Path, *options: str) -> tuple[int, dict[str, Any]]:
    done = flowforge(stack, "apply", str(folder), "--json", *options)
    assert done.returncode in (0, 4), done.stdout + done.stderr
    return done.returncode, json.loads(done.stdout)


def did(told: dict[str, Any]) -> list[tuple[str, ...]]:
    return [(one["action"], one["kind"], one["name"]) for one in told["changes"]]


@pytest.fixture
def folder(stack: Stack, tmp_path: Path) -> Path:
    address = {"host": "localhost", "port": stack.connection["port"], "database": "BFSI_Test", "username": "sa"}
    write(tmp_path, "connections/bank.json", address | {"password": {"env": VARIABLE}, "trustServerCertificate": True})
    write(tmp_path, "workflows/bank.json", (ROOT / "templates" / "customer_360.json").read_text())
    write(tmp_path, "schedules/bank.json", {"connection": "bank", "rate": "1 day", "paused": True})
    second = json.loads((ROOT / "templates" / "customer_360.json").read_text())
    second["request"]["workflow_id"] = "after_bank"
    write(tmp_path, "workflows/after.json", second)
    write(tmp_path, "schedules/after.json", {"connection": "bank", "after": "customer_360"})
    return tmp_path


def test_should_bring_a_deployment_to_what_the_files_say_and_then_have_nothing_to_do(stack, folder, name, password):
    write(folder, f"models/{name}.sql", MODEL)
    everything = [
        ("create", "connection", "bank"),
        ("create", "model", name),
        ("create", "schedule", "customer_360"),
        ("create", "schedule", "after_bank"),
    ]
    code, told = applied(stack, folder, "--dry-run")
    assert (code, did(told), told["applied"]) == (4, everything, False)
    code, told = applied(stack, folder)
    assert (code, did(told), told["applied"]) == (0, everything, True)
    assert password not in json.dumps(told)
    assert applied(stack, folder, "--dry-run") == (0, told | {"changes": [], "same": 4, "applied": False})

    write(folder, f"models/{name}.sql", MODEL + "\nHAVING count(*) > 1")
    write(folder, "schedules/bank.json", {"connection": "bank", "rate": "1 day"})
    write(folder, "schedules/after.json", {"connection": "bank", "cron": "30 2 * * *", "timezone": "Europe/Berlin"})
    _, told = applied(stack, folder)
    assert sorted(did(told)) == sorted(("change", *one[1:]) for one in everything[1:])
    named = {change["name"]: [one["field"] for one in change["fields"]] for change in told["changes"]}
    assert named == {name: ["line 2"], "customer_360": ["paused"], "after_bank": ["cron", "timezone", "after"]}
    assert applied(stack, folder)[1]["changes"] == []

    for file in ("schedules/after.json", "workflows/after.json"):
        (folder / file).unlink()
    (folder / f"models/{name}.sql").unlink()
    (folder / "models").rmdir()  # others have models and connections in this stack
    (folder / "connections/bank.json").unlink()
    (folder / "connections").rmdir()
    _, told = applied(stack, folder)
    assert (told["changes"], told["left"]) == ([], [{"kind": "schedule", "name": "after_bank"}])
    asked = flowforge(stack, "apply", str(folder), "--prune")
    assert (asked.returncode, "--yes" in asked.stderr) == (2, True)
    assert did(applied(stack, folder, "--prune", "--yes")[1]) == [("remove", "schedule", "after_bank")]
    assert applied(stack, folder, "--prune", "--yes")[1]["changes"] == []


def test_should_start_a_workflow_of_a_file_after_the_one_that_it_follows(stack, folder, name):
    """The clock, with the rights that the template gives it."""
    document = stack.request({"tables": [{"tableName": "customers", "destination_config": own(name)}]})
    document = {field: value for field, value in document.items() if field != "batch_id"}
    document |= {"workflow_id": f"first_{name}"}
    assert stack.run(document)["status"] == "succeeded"
    source = {name: value for name, value in document["source_config"].items() if name != "connection"}
    request = document | {"workflow_id": f"second_{name}", "source_config": source}
    write(folder, "workflows/second.json", {"request": request})
    write(folder, "schedules/second.json", {"connection": "bank", "after": f"first_{name}"})
    applied(stack, folder)
    assert stack.run(document)["status"] == "succeeded"

    def started() -> dict[str, Any] | None:
        (fired,) = stack.http.post("/_local/schedule/SchedulesFunctionClock").json()["outcomes"]
        assert "result" in fired, fired
        shown = json.loads(flowforge(stack, "schedules", "show", f"second_{name}", "--json").stdout)
        return shown if shown["last_run"] else None

    run = stack.finished(wait_for(started, "the run that follows")["last_run"])
    assert (run["workflow_id"], run["status"]) == (f"second_{name}", "succeeded")


def test_should_do_the_rest_where_the_one_before_was_killed(stack, folder):
    known = json.loads((folder / "connections/bank.json").read_text())
    for number in range(5):
        write(folder, f"connections/more_{number}.json", known | {"maxConcurrentReads": 3})
    env = os.environ | {"FLOWFORGE_API_URL": stack.facts["api"], "FLOWFORGE_STATE_DIR": str(stack.state)}
    command = [sys.executable, "-m", "flowforge.cli", "apply", str(folder)]
    first = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    with first:
        assert first.stderr is not None
        first.stderr.readline()
        first.send_signal(signal.SIGKILL)
    done = {name for _, _, name in did(applied(stack, folder, "--dry-run")[1])}
    assert len(done) < 8
    applied(stack, folder)
    assert applied(stack, folder)[1]["changes"] == []
