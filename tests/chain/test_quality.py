"""Quality rules of a request, from the source to the command line."""

import json

from tests.helpers.stack import flowforge, own, wait_for_green
from tests.helpers.waiting import wait_for


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

    stack.execute(f"DELETE FROM {name} WHERE id = 2")
    stack.load({"tableName": name}, **ruled(name, rules[0] | {"min": -10}))
    released = flowforge(stack, "quality", name, "--release")
    assert released.returncode == 0, released.stderr
    assert "1 rows" in released.stdout
    wait_for(lambda: stack.lake(f"SELECT count(*) FROM quarantine.{name}") == [(0,)], "the release")
    assert stack.lake(f"SELECT id, _seq FROM silver.{name} ORDER BY id") == [(1, 2), (2, 1), (3, 2)]
    wait_for(lambda: stack.lake(f"SELECT count(*) FROM gold.{name}") == [(3,)], "gold")


def test_should_apply_a_batch_that_a_rule_has_stopped_once_the_rule_is_mended(stack, name):
    stack.execute(f"CREATE TABLE {name} (id int PRIMARY KEY, v int)", f"INSERT INTO {name} VALUES (1, 500)")
    strict = {"rule": "range", "column": "v", "max": 100, "severity": "fail"}
    stopped = stack.run(stack.request({"tableName": name}, **ruled(name, strict)))
    assert "range v: 1 of 1 failed" in stopped["tables"][0]["error"]["cause"]
    assert stack.load({"tableName": name}, **ruled(name, strict | {"max": 1000}))["status"] == "published"
    assert flowforge(stack, "replay", "--run", stopped["run_id"]).returncode == 0
    assert wait_for_green(stack, stopped["run_id"])["tables"][0]["quality"][0]["failed"] == 0


def test_should_publish_gold_only_when_its_rules_allow_it_and_show_what_they_found(stack, name):
    stack.execute(f"CREATE TABLE {name} (id int PRIMARY KEY, v int)", f"INSERT INTO {name} VALUES (1, 10), (2, NULL)")
    rules = [
        {"rule": "range", "column": "v", "max": 100, "severity": "fail"},
        {"rule": "not_null", "column": "v"},
    ]
    model = {"tableName": f"{name}_all", "sql": f"SELECT id, v FROM silver.{name}", "qualityRules": rules}
    where = own(name) | {"goldConfig": {"tableName": name, "models": [model]}}
    table = stack.load({"tableName": name}, **where)
    found = [("range v", 2, 0), ("not_null v", 2, 1)]
    assert [(f["rule"], f["checked"], f["failed"]) for f in table["gold_quality"][f"{name}_all"]] == found
    shown = json.loads(flowforge(stack, "quality", f"gold.{name}_all", "--json").stdout)
    assert [(rule["rule"], rule["checked"], rule["failed"]) for rule in shown["rules"]] == found
    assert shown["refused"] is None

    stack.execute(f"UPDATE {name} SET v = 500 WHERE id = 1")
    stopped = stack.load({"tableName": name}, **where)
    assert (stopped["status"], stopped["error"]["step"]) == ("failed", "gold")
    assert f"gold.{name}_all breaks quality rules: range v: 1 of 2 failed" in stopped["error"]["cause"]
    assert stack.lake(f"SELECT v FROM gold.{name}_all WHERE id = 1") == [(10,)]
    assert stack.lake(f"SELECT v FROM gold.{name} WHERE id = 1") == [(500,)]
    told = flowforge(stack, "quality", f"gold.{name}_all").stdout
    assert "Refused since, at " in told
    assert "range v: 1 of 2 failed" in told
    released = flowforge(stack, "quality", f"gold.{name}_all", "--release")
    assert (released.returncode, "has no quarantine" in released.stderr) == (2, True)
    unknown = flowforge(stack, "quality", f"gold.{name}_none")
    assert (unknown.returncode, "there is no table gold." in unknown.stderr) == (1, True)


def test_should_refuse_a_job_whose_gold_rules_are_wrong(stack, name):
    wrong = {
        "a gold table has no quarantine": {"rule": "not_null", "column": "id", "severity": "quarantine"},
        "getenv is not allowed": {"rule": "expression", "name": "sly", "sql": "getenv('HOME') = ''"},
    }
    for told, rule in wrong.items():
        model = {"tableName": f"{name}_m", "sql": f"SELECT id FROM silver.{name}", "qualityRules": [rule]}
        for gold in ({"models": [model]}, {"tableName": name, "qualityRules": [rule]}):
            answer = stack.post(stack.request({"tableName": name}, **own(name), goldConfig=gold))
            assert answer.status_code == 400
            assert told in answer.json()["mistakes"][0]["problem"]
            assert answer.json()["mistakes"][0]["field"].startswith("destination_config.goldConfig")


def test_should_refuse_a_rule_that_reaches_beyond_its_row(stack, name):
    rules = [{"rule": "expression", "name": "sly", "sql": "getenv('HOME') = ''"}, {"rule": "range", "column": "v"}]
    for rule, told in zip(rules, ("getenv is not allowed", "needs min, max or both"), strict=True):
        answer = stack.post(stack.request({"tableName": name}, **ruled(name, rule)))
        assert answer.status_code == 400
        assert told in answer.json()["mistakes"][0]["problem"]
