"""A type decided in the source's words keeps every cent, and a table that was spoilt comes back, from the command line."""

import json

import duckdb
from deltalake import write_deltalake

from flowforge.tables.delta.access import storage_options
from tests.helpers.stack import flowforge, own, wait_for_green


def test_should_go_on_in_float_and_come_back_from_bronze(stack, name):
    rows = ", ".join(f"({n}, {n}.44)" for n in range(1, 41))
    stack.execute(
        f"CREATE TABLE {name} (id int PRIMARY KEY, amount decimal(12,2))", f"INSERT INTO {name} VALUES {rows}"
    )
    stack.load({"tableName": name}, **own(name))
    stack.execute(f"ALTER TABLE {name} ALTER COLUMN amount float")
    run = stack.run(stack.request({"tableName": name}, **own(name)))
    assert "column amount was DECIMAL(12,2) and is DOUBLE now" in run["tables"][0]["error"]["cause"]
    decided = flowforge(stack, "schema", name, "--type", "amount=FLOAT")
    assert "FLOAT is DOUBLE in the lake: floating point of 64 bits" in decided.stdout
    assert flowforge(stack, "replay", "--run", run["run_id"]).returncode == 0
    wait_for_green(stack, run["run_id"])
    question = f"SELECT id, amount FROM silver.{name} ORDER BY id"
    before = stack.lake(question)
    assert before == [(n, n + 0.44) for n in range(1, 41)]
    same = flowforge(stack, "rebuild", "silver", name)
    assert (same.returncode, "the same, row by row" in same.stdout) == (0, True), same.stdout + same.stderr

    with duckdb.connect() as engine:
        made = engine.sql("SELECT 1::INTEGER AS id, 13.4399995803833::DOUBLE AS amount")
        uri = f"s3://{stack.facts['bucket']}/silver/{name}"
        write_deltalake(uri, made, mode="overwrite", schema_mode="overwrite", storage_options=storage_options())
    found = flowforge(stack, "rebuild", "silver", name, "--json")
    assert (found.returncode, json.loads(found.stdout)["equal"]) == (1, False), found.stderr
    written = flowforge(stack, "rebuild", "silver", name, "--write")
    assert written.returncode == 0, written.stderr
    assert stack.lake(question) == before
