"""A source's columns change: silver follows, or stops and goes on after a decision from the command line."""

import json

from tests.helpers.stack import flowforge, own, wait_for_green


def test_should_follow_safe_changes_and_apply_a_refused_batch_after_a_decision(stack, name):
    stack.execute(
        f"CREATE TABLE {name} (id int PRIMARY KEY, v int, zip int)", f"INSERT INTO {name} VALUES (1, 10, 123)"
    )
    stack.load({"tableName": name}, **own(name))
    stack.execute(f"ALTER TABLE {name} ALTER COLUMN v bigint", f"ALTER TABLE {name} ADD note nvarchar(10) NULL")
    followed = stack.load({"tableName": name}, **own(name))
    assert followed["schema_changes"] == ["column note is new (VARCHAR)", "column v was INTEGER and is BIGINT now"]

    stack.execute(
        f"ALTER TABLE {name} ALTER COLUMN zip varchar(10)", f"INSERT INTO {name} VALUES (2, 20, 'AB-1', NULL)"
    )
    run = stack.run(stack.request({"tableName": name}, **own(name)))
    (table,) = run["tables"]
    assert (table["status"], table["error"]["step"]) == ("failed", "silver")
    assert "column zip was INTEGER and is VARCHAR now" in table["error"]["cause"]
    assert "flowforge schema" in table["error"]["remedy"]

    decided = flowforge(stack, "schema", name, "--type", "zip=varchar", "--json")
    assert decided.returncode == 0, decided.stderr
    assert {"name": "zip", "type": "INTEGER", "decided": "VARCHAR"} in json.loads(decided.stdout)["columns"]
    assert flowforge(stack, "replay", "--run", run["run_id"]).returncode == 0
    (table,) = wait_for_green(stack, run["run_id"])["tables"]
    assert (table["inserted"], table["silver_rows"]) == (1, 2)
    assert stack.lake(f"SELECT id, v, zip FROM silver.{name} ORDER BY id") == [(1, 10, "123"), (2, 20, "AB-1")]
    shown = flowforge(stack, "schema", name)
    assert ["zip", "VARCHAR", "VARCHAR", "-"] in [line.split() for line in shown.stdout.splitlines()]


def test_should_have_in_old_rows_what_they_have_at_the_source(stack, name):
    config = {"tableName": name, "isIncremental": True, "deltaColumn": "at"}
    stack.execute(
        f"CREATE TABLE {name} (id int PRIMARY KEY, at datetime2 DEFAULT SYSUTCDATETIME(), city nvarchar(9))",
        f"INSERT INTO {name} (id, city) VALUES (1, 'Rome'), (2, 'Oslo')",
    )
    stack.settle()
    stack.load(config, **own(name))
    stack.execute(
        f"ALTER TABLE {name} ADD c int NOT NULL DEFAULT 5",
        f"ALTER TABLE {name} ADD n int NULL DEFAULT 6",
        f"EXEC sp_rename 'dbo.{name}.city', 'town', 'COLUMN'",
        f"INSERT INTO {name} (id, town) VALUES (3, 'Bern')",
    )
    stack.settle()
    told = stack.load(config, **own(name))["schema_changes"]
    assert any(one.startswith("column c is new (INTEGER); rows of before got its default") for one in told)
    assert any("unless it was added WITH VALUES" in one for one in told)
    assert any(one.startswith("column city is called town at the source now") for one in told)
    question = f"SELECT id, c, n FROM {{}}{name} ORDER BY id"
    assert (
        stack.lake(question.format("silver."))
        == stack.ask(question.format(""))
        == [(1, 5, None), (2, 5, None), (3, 5, 6)]
    )


def test_should_accept_what_changed_under_a_contract(stack, name):
    contract = own(name) | {"silverConfig": own(name).get("silverConfig", {}) | {"schemaMode": "contract"}}
    stack.execute(f"CREATE TABLE {name} (id int PRIMARY KEY)", f"INSERT INTO {name} VALUES (1)")
    stack.load({"tableName": name}, **contract)
    stack.execute(f"ALTER TABLE {name} ADD extra int NULL")
    run = stack.run(stack.request({"tableName": name}, **contract))
    assert "has a contract" in run["tables"][0]["error"]["cause"]
    accepted = flowforge(stack, "schema", name, "--accept")
    assert accepted.returncode == 0, accepted.stderr
    assert flowforge(stack, "replay", "--run", run["run_id"]).returncode == 0
    assert wait_for_green(stack, run["run_id"])["tables"][0]["schema_changes"] == ["column extra is new (INTEGER)"]


def test_should_tell_what_is_wrong_with_a_decision(stack, name):
    assert flowforge(stack, "schema", name).returncode == 1
    assert flowforge(stack, "schema", name, "--type", "zip").returncode == 2
    answer = stack.http.put(f"/api/silver/{name}/schema", json={"typs": 1, "accept": "yes"})
    assert answer.status_code == 400
    assert {m["field"] for m in answer.json()["mistakes"]} == {"typs", "accept"}
