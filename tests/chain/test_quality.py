"""Quality rules of a request, from the source to the command line."""

import json

from tests.chain.conftest import wait_for
from tests.chain.test_bank import own
from tests.chain.test_replay import flowforge, wait_for_green


def ruled(name: str, *rules: dict) -> dict:
    silver = own(name)["silverConfig"] | {"qualityRules": list(rules)}
    return own(name) | {"silverConfig": silver}


def test_should_keep_rows_out_and_show_what_the_rules_found(stack, name):
    stack.execute(f"CREATE TABLE {name} (id int PRIMARY KEY, amount decimal(9,2))")
    stack.execute(f"INSERT INTO {name} VALUES (1, 10), (2, -5), (3, NULL)")
    rules = [
        {"rule": "range", "column": "amount", "min": 0, "severity": "quarantine"},
        {"rule": "expression", "name": "small", "sql": "amount < 7", "severity": "warn"},
    ]
    table = stack.load({"tableName": name}, **ruled(name, *rules))
    assert (table["status"], table["silver_rows"], table["quarantined"]) == ("published", 2, 1)
    assert [(f["rule"], f["checked"], f["failed"]) for f in table["quality"]] == [
        ("range amount", 3, 1),
        ("small", 3, 1),
    ]
    shown = json.loads(flowforge(stack, "quality", name, "--json").stdout)
    assert shown["quarantine"] == [{"reason": "breaks range amount", "generation": 1, "seq": 1, "rows": 1}]
    assert [rule["failed"] for rule in shown["rules"]] == [1, 1]
    assert "breaks range amount" in flowforge(stack, "quality", name).stdout
    assert stack.lake(f"SELECT id, _reason FROM quarantine.{name}") == [(2, "breaks range amount")]

    stack.load({"tableName": name}, **ruled(name, rules[0] | {"min": -10}))
    stack.execute(f"DELETE FROM {name} WHERE id = 2")
    released = flowforge(stack, "quality", name, "--release")
    assert released.returncode == 0, released.stderr
    assert "1 rows" in released.stdout
    wait_for(lambda: stack.lake(f"SELECT count(*) FROM quarantine.{name}") == [(0,)], "the release")
    assert stack.lake(f"SELECT id, _seq FROM silver.{name} ORDER BY id") == [(1, 2), (2, 2), (3, 2)]
    wait_for(lambda: stack.lake(f"SELECT count(*) FROM gold.{name}") == [(3,)], "gold")


def test_should_apply_a_batch_that_a_rule_has_stopped_once_the_rule_is_mended(stack, name):
    stack.execute(f"CREATE TABLE {name} (id int PRIMARY KEY, v int)", f"INSERT INTO {name} VALUES (1, 500)")
    strict = {"rule": "range", "column": "v", "max": 100, "severity": "fail"}
    stopped = stack.run(stack.request({"tableName": name}, **ruled(name, strict)))
    assert "range v: 1 of 1 failed" in stopped["tables"][0]["error"]["cause"]
    assert stack.load({"tableName": name}, **ruled(name, strict | {"max": 1000}))["status"] == "published"
    assert flowforge(stack, "replay", "--run", stopped["run_id"]).returncode == 0
    assert wait_for_green(stack, stopped["run_id"])["tables"][0]["quality"][0]["failed"] == 0


def test_should_refuse_a_rule_that_reaches_beyond_its_row(stack, name):
    rules = [{"rule": "expression", "name": "sly", "sql": "getenv('HOME') = ''"}, {"rule": "range", "column": "v"}]
    for rule, told in zip(rules, ("getenv is not allowed", "needs min, max or both"), strict=True):
        answer = stack.post(stack.request({"tableName": name}, **ruled(name, rule)))
        assert answer.status_code == 400
        assert told in answer.json()["mistakes"][0]["problem"]
