"""Gold models in the bucket, and the upkeep on its schedule, in the running stack."""

import pyarrow as pa
from deltalake import write_deltalake

from flowforge.domain.errors import NotFound
from flowforge.domain.given import given
from flowforge.gold.graph import model_states
from flowforge.tables.delta.access import storage_options
from flowforge.tables.lake import open_table, table_uri
from tests.helpers.lake import delta_table
from tests.helpers.stack import Stack, own, put
from tests.helpers.waiting import wait_for


def rows(stack: Stack, sql: str) -> list[tuple]:
    try:
        return stack.lake(sql)
    except NotFound:
        return []


def test_should_build_a_model_when_it_is_dropped_in_the_bucket_and_after_every_load(stack, name):
    stack.execute(f"CREATE TABLE {name} (id int PRIMARY KEY, v int)", f"INSERT INTO {name} VALUES (1, 10), (2, 20)")
    assert stack.load({"tableName": name}, **own(name))["status"] == "published"
    put(stack, f"{name}_sum", f"SELECT sum(v) AS total\nFROM gold.{name}")
    wait_for(lambda: rows(stack, f"SELECT total FROM gold.{name}_sum") == [(30,)], "the dropped model")
    stack.execute(f"INSERT INTO {name} VALUES (3, 70)")
    assert stack.load({"tableName": name}, **own(name))["gold_tables"] == {name: 3, f"{name}_sum": 1}
    assert stack.lake(f"SELECT total FROM gold.{name}_sum") == [(100,)]
    states = {state.table: state.state for state in model_states(stack.facts["bucket"])[0]}
    assert (states[name], states[f"{name}_sum"]) == ("current", "current")


def test_should_tell_the_run_why_a_model_failed_with_its_file_and_line(stack, name):
    stack.execute(f"CREATE TABLE {name} (id int PRIMARY KEY)", f"INSERT INTO {name} VALUES (1)")
    put(stack, f"{name}_wrong", f"SELECT id,\n  nmae\nFROM silver.{name}")
    put(stack, f"{name}_fine", f"SELECT id FROM silver.{name}")
    table = stack.load({"tableName": name}, **own(name))
    assert (table["status"], table["error"]["step"]) == ("failed", "gold")
    assert f"gold.{name}_wrong (models/{name}_wrong.sql, line 2)" in table["error"]["cause"]
    assert 'Referenced column "nmae" not found' in table["error"]["cause"]
    assert stack.lake(f"SELECT id FROM gold.{name}_fine") == stack.lake(f"SELECT id FROM gold.{name}") == [(1,)]
    stack.client("s3").delete_object(Bucket=stack.facts["bucket"], Key=f"models/{name}_wrong.sql")


def test_should_merge_small_files_on_its_schedule(stack, name):
    stack.execute(f"CREATE TABLE {name} (id int PRIMARY KEY)", f"INSERT INTO {name} VALUES (1)")
    stack.load({"tableName": name}, **own(name))
    uri = table_uri(stack.facts["bucket"], "silver", name)
    row = delta_table(uri).to_pyarrow_table()
    for n in range(2, 12):  # a tool that appends row by row
        another = row.set_column(row.schema.get_field_index("id"), "id", pa.array([n], row.schema.field("id").type))
        write_deltalake(uri, another, mode="append", storage_options=storage_options())
    assert len(given(open_table(uri)).file_uris()) > 8
    (fired,) = stack.http.post("/_local/schedule/MaintainLakeFunctionUpkeep").json()["outcomes"]
    assert fired["result"]["queued"] >= 1
    wait_for(lambda: len(given(open_table(uri)).file_uris()) == 1, "the upkeep")
    assert stack.lake(f"SELECT count(*) FROM silver.{name}") == [(11,)]
