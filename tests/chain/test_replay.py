"""A failed run turns green when its messages are put back after the cause is gone."""

import json

import pytest

from tests.helpers.stack import flowforge, own, wait_for_green


def test_should_turn_a_failed_run_green_once_the_cause_is_gone(stack, name):
    entries = [
        {"tableName": "customers", "destination_config": own(f"{name}_sibling")},
        {"tableName": name, "destination_config": own(name)},
    ]
    run = stack.run(stack.request({"tables": entries}))
    assert (run["status"], {t["table"]: t["status"] for t in run["tables"]}) == (
        "failed",
        {f"bronze_{name}_sibling": "published", f"bronze_{name}": "failed"},
    )
    listed = flowforge(stack, "replay", "--json")
    assert listed.returncode == 0, listed.stderr
    assert f"bronze_{name}" in {message["table"] for message in json.loads(listed.stdout)["messages"]}
    assert "UnknownTable" in listed.stdout
    assert "FlowForge2024!" not in listed.stdout

    stack.execute(f"CREATE TABLE {name} (id int PRIMARY KEY, v int)", f"INSERT INTO {name} VALUES (1, 10), (2, 20)")
    replayed = flowforge(stack, "replay", "--run", run["run_id"])
    assert replayed.returncode == 0, replayed.stderr
    assert "1 message put back" in replayed.stdout
    again = wait_for_green(stack, run["run_id"])
    (table,) = [t for t in again["tables"] if t["table"] == f"bronze_{name}"]
    assert (table["status"], table["error"], table["silver_rows"]) == ("published", None, 2)
    assert flowforge(stack, "replay", "--run", run["run_id"]).returncode == 1  # there is nothing left


@pytest.mark.parametrize("selection", [("--all", "--table", "t"), ("--id",)])
def test_should_refuse_a_selection_that_says_two_things(stack, selection):
    assert flowforge(stack, "replay", *selection).returncode == 2
