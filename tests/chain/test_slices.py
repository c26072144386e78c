"""Large tables: slices of their own messages and objects, one batch, one watermark."""

import json
from collections.abc import Iterator

import pytest

from events.commands import IngestSlice
from tests.helpers.stack import Stack, in_lake_of, kill, large_table
from tests.helpers.waiting import wait_for

PER_SLICE = 10_000


@pytest.fixture(scope="module")
def sliced_stack(tmp_path_factory) -> Iterator[Stack]:
    """A stack for which 10,000 rows are many."""
    options = (
        "--parameter",
        f"SliceRows={PER_SLICE}",
        "--parameter",
        "MaxAttempts=5",
        "--env",
        "FLOWFORGE_LEASE_SECONDS=3",
    )
    running = Stack(tmp_path_factory.mktemp("sliced"), *options)
    with in_lake_of(running):
        try:
            yield running
        finally:
            running.stop()


def objects(stack: Stack, name: str) -> list[str]:
    prefix = f"bronze/bronze_{name}/"
    found = stack.client("s3").list_objects_v2(Bucket=stack.facts["bucket"], Prefix=prefix).get("Contents", [])
    return [entry["Key"].removeprefix(prefix) for entry in found]


def test_should_land_a_large_table_as_one_batch_of_many_objects(sliced_stack, name):
    rows = large_table(sliced_stack, name, 11)
    document = sliced_stack.request({"tableName": name, "isIncremental": True, "deltaColumn": "id"})
    (table,) = sliced_stack.run(document)["tables"]
    assert (table["status"], table["records"], table["silver_rows"]) == ("published", rows, rows)
    assert "6 slices" in table["promise"]
    assert table["consistency"] == "snapshot per slice"
    label = document["batch_id"]
    assert objects(sliced_stack, name) == [f"{label}/part-{n:05d}-of-00006.parquet" for n in range(6)]
    sizes = [sliced_stack.bronze(f"bronze/bronze_{name}/{key}").num_rows for key in objects(sliced_stack, name)]
    assert (sum(sizes), max(sizes) <= 1.5 * rows / 6) == (rows, True)
    file = sliced_stack.bronze_file(f"bronze/bronze_{name}/{label}/part-00002-of-00006.parquet")
    facts = json.loads(file.metadata.metadata[b"flowforge"])
    assert (facts["slice"], facts["slices"], facts["seq"], facts["consistency"]) == (2, 6, 1, "snapshot")
    source = sliced_stack.ask(f"SELECT COUNT(*), SUM(amount), MIN(id), MAX(id) FROM {name}")
    assert sliced_stack.lake(f"SELECT COUNT(*), SUM(amount), MIN(id), MAX(id) FROM gold.{name}") == source
    watermark = sliced_stack.http.get(f"/api/watermarks/{name}").json()
    assert [b["state"] for b in watermark["history"]] == ["refined"]
    assert int(watermark["watermarks"]["id"]["value"]) == source[0][3] + 1
    again = sliced_stack.run(document)["tables"][0]
    assert again["status"] == "empty"


def test_should_finish_a_batch_whose_slice_workers_are_killed(sliced_stack, name):
    rows = large_table(sliced_stack, name, 30)
    run_id = sliced_stack.post(sliced_stack.request({"tableName": name})).json()["run_id"]
    wait_for(lambda: objects(sliced_stack, name), "the first slice")
    for function in ("IngestSliceFunction", "IngestTableFunction"):
        for pid in sliced_stack.workers(function):
            kill(pid)
    (table,) = sliced_stack.finished(run_id)["tables"]
    assert (table["status"], table["records"], table["silver_rows"]) == ("published", rows, rows)
    assert len(objects(sliced_stack, name)) == 15


def test_should_say_which_view_of_the_source_a_read_had(sliced_stack, name):
    large_table(sliced_stack, name, 1)
    assert sliced_stack.load({"tableName": name})["consistency"] == "snapshot"
    held = sliced_stack.load({"tableName": name, "snapshotIsolation": False})["consistency"]
    assert held == "read committed snapshot"
    sliced_stack.execute("ALTER DATABASE CURRENT SET ALLOW_SNAPSHOT_ISOLATION OFF")
    sliced_stack.execute("ALTER DATABASE CURRENT SET READ_COMMITTED_SNAPSHOT OFF")
    try:
        after = sliced_stack.load({"tableName": name})
    finally:
        sliced_stack.execute("ALTER DATABASE CURRENT SET ALLOW_SNAPSHOT_ISOLATION ON")
        sliced_stack.execute("ALTER DATABASE CURRENT SET READ_COMMITTED_SNAPSHOT ON")
    assert (after["status"], after["consistency"]) == ("published", "read committed")


def one_at_a_time(stack: Stack, *names: str) -> dict:
    """A request for tables of a source that allows one read at a time."""
    document = stack.request({"tables": [{"tableName": name} for name in names]})
    document["source_config"]["connection"]["maxConcurrentReads"] = 1
    return document


def test_should_read_no_more_at_once_than_the_source_allows(sliced_stack, name):
    names = [f"{name}_{n}" for n in range(3)]
    rows = [large_table(sliced_stack, table, times) for table, times in zip(names, (5, 2, 2), strict=True)]
    run_id = sliced_stack.post(one_at_a_time(sliced_stack, *names)).json()["run_id"]
    running = "SELECT COUNT(*) FROM sys.dm_exec_sessions WHERE status = 'running' AND session_id <> @@SPID"
    seen = set()

    def ended() -> bool:
        seen.update(sliced_stack.ask(running)[0])
        return sliced_stack.http.get(f"/api/runs/{run_id}").json()["status"] in ("failed", "succeeded")

    wait_for(ended, "the run to end")
    assert seen <= {0, 1}
    tables = {t["table"]: (t["status"], t["records"]) for t in sliced_stack.finished(run_id)["tables"]}
    assert sorted(tables.values()) == sorted(("published", count) for count in rows)


def test_should_read_on_when_the_only_reader_that_is_allowed_is_killed(sliced_stack, name):
    rows = large_table(sliced_stack, name, 8)
    run_id = sliced_stack.post(one_at_a_time(sliced_stack, name)).json()["run_id"]
    wait_for(lambda: objects(sliced_stack, name), "the first slice")
    for pid in sliced_stack.workers("IngestSliceFunction"):
        kill(pid)
    (table,) = sliced_stack.finished(run_id)["tables"]
    assert (table["status"], table["records"], table["silver_rows"]) == ("published", rows, rows)


def test_should_change_nothing_when_slices_are_delivered_again(sliced_stack, name):
    rows = large_table(sliced_stack, name, 5)
    run = sliced_stack.run(sliced_stack.request({"tableName": name}))
    watermark = sliced_stack.http.get(f"/api/watermarks/{name}").json()
    sqs = sliced_stack.client("sqs")
    url = sqs.get_queue_url(QueueName="flowforge-SliceQueue")["QueueUrl"]
    identity = {"source_key": watermark["source_key"], "generation": 1, "seq": 1}
    for index in (0, 1, 2, 0):
        again = IngestSlice(run_id=run["run_id"], bronze_table=f"bronze_{name}", index=index, **identity)
        sqs.send_message(QueueUrl=url, MessageBody=again.model_dump_json())
    wait_for(lambda: _is_empty(sqs, url), "the slices to be handled")
    assert sliced_stack.http.get(f"/api/watermarks/{name}").json()["history"] == watermark["history"]
    assert sliced_stack.lake(f"SELECT COUNT(*) FROM silver.{name}") == [(rows,)]


def _is_empty(sqs, url: str) -> bool:
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    counts = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    return {int(counts[name]) for name in names} == {0}


def test_should_give_up_a_batch_whose_source_is_gone_and_let_the_next_load_through(sliced_stack, name):
    large_table(sliced_stack, name, 4)
    run_id = sliced_stack.post(sliced_stack.request({"tableName": name})).json()["run_id"]
    sliced_stack.execute(f"DROP TABLE {name}")
    (table,) = sliced_stack.finished(run_id)["tables"]
    assert table["status"] == "published" or table["error"]["error"] in ("UnknownTable", "QueryRefused")
    rows = large_table(sliced_stack, name, 1)
    after = sliced_stack.load({"tableName": name})
    assert (after["status"], after["records"]) == ("published", rows)


def test_should_read_derived_columns_in_every_slice(sliced_stack, name):
    sliced_stack.execute(
        f"CREATE TABLE {name} (id bigint PRIMARY KEY, at datetimeoffset(3))",
        *(
            f"INSERT INTO {name} SELECT transaction_id + {n * 100_000}, '2024-02-29 12:00:00 +0{n}:30' FROM transactions"
            for n in range(3)
        ),
    )
    table = sliced_stack.load({"tableName": name, "derivedColumns": ["offset"]})
    assert "2 slices" in table["promise"]
    found = sliced_stack.lake(f"SELECT at_offset_minutes, COUNT(*) FROM silver.{name} GROUP BY ALL ORDER BY 1")
    assert found == [(30, 5_000), (90, 5_000), (150, 5_000)]
