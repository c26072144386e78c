"""The sample bank through the whole chain."""

import itertools
import json

from events.envelopes import minio
from tests.helpers.stack import own, put
from tests.helpers.waiting import wait_for

AUDIT = ["_batch_id", "_ingestion_time", "_source_system", "_source_file", "_file_modified_time"]


def test_should_say_of_which_times_silver_has_six_digits(stack, name):
    stack.execute(f"CREATE TABLE {name} (id int PRIMARY KEY, exact time, coarse time(3))")
    stack.execute(f"INSERT INTO {name} VALUES (1, '01:02:03.1234567', '01:02:03.123')")
    table = stack.load({"tableName": name}, **own(name))
    assert table["notes"] == [
        "exact is time(7): silver and gold have the first six digits of its seconds, bronze has all seven"
    ]
    assert stack.lake(f"SELECT exact, coarse FROM silver.{name}") == [("01:02:03.123456", "01:02:03.123")]
    assert stack.bronze(table["bronze_key"])["exact"].cast("int64").to_pylist() == [3_723_123_456_700]


def test_should_land_customers_with_their_21_columns_in_order(stack, name):
    table = stack.load({"tableName": "customers"}, **own(name))
    assert (table["status"], table["records"], table["columns"]) == ("published", 500, 21)
    landed = stack.bronze(table["bronze_key"])
    columns = [
        row[0]
        for row in stack.ask(
            "SELECT c.name FROM sys.columns c JOIN sys.tables t ON t.object_id = c.object_id "
            "WHERE t.name = 'customers' ORDER BY c.column_id"
        )
    ]
    assert landed.column_names == columns + AUDIT
    assert [str(landed.schema.field(c).type) for c in ("customer_id", "date_of_birth", "annual_income", "modified_date")] == [
        "int32", "date32[day]", "decimal128(15, 2)", "timestamp[ms]",
    ]  # fmt: skip
    assert str(landed.schema.field("_ingestion_time").type) == "timestamp[us, tz=UTC]"
    facts = json.loads(stack.bronze_file(table["bronze_key"]).metadata.metadata[b"flowforge"])
    assert (facts["rows"], facts["seq"], len(facts["columns"])) == (500, 1, 16)
    source = stack.ask("SELECT customer_id, last_name, annual_income FROM customers ORDER BY customer_id")
    rows = landed.select(["customer_id", "last_name", "annual_income"]).sort_by("customer_id").to_pylist()
    assert [tuple(row.values()) for row in rows] == source


def test_should_fan_out_to_three_tables_and_publish_each(stack, name):
    entries = [
        {"tableName": t, "destination_config": own(f"{name}_{t}")} for t in ("customers", "accounts", "transactions")
    ]
    run = stack.run(stack.request({"tables": entries}))
    assert run["status"] == "succeeded"
    counts = {t["source_table"]: (t["records"], t["silver_rows"], *t["gold_tables"].values()) for t in run["tables"]}
    assert counts == {
        "dbo.customers": (500, 500, 500),
        "dbo.accounts": (750, 750, 750),
        "dbo.transactions": (5000, 5000, 5000),
    }


def test_should_load_only_what_changed_and_apply_it_to_silver(stack, name):
    stack.execute(
        f"CREATE TABLE {name} (id int IDENTITY(1,1) PRIMARY KEY, v nvarchar(20), modified datetime NOT NULL)",
        f"INSERT INTO {name} (v, modified) VALUES (N'one', '2024-05-01'), (N'two', '2024-05-02'), (N'three', '2023-01-01')",
    )
    config = {"tableName": name, "isIncremental": True, "deltaColumn": "modified", "lastWatermark": "2024-01-01"}
    first = stack.load(config)
    assert (first["status"], first["records"], first["watermark_before"]) == ("published", 2, None)
    stack.execute(
        f"UPDATE {name} SET v = N'zwei', modified = GETDATE() WHERE id = 2",
        f"INSERT INTO {name} (v, modified) VALUES (N'vier', GETDATE())",
    )
    stack.settle()
    second = stack.load(config)
    assert (second["records"], second["inserted"], second["updated"]) == (2, 1, 1)
    assert second["watermark_before"] == first["watermark_after"]
    assert second["watermark_after"] > first["watermark_after"]
    assert stack.lake(f"SELECT id, v FROM silver.{name} ORDER BY id") == [(1, "one"), (2, "zwei"), (4, "vier")]
    assert stack.lake(f"SELECT id, v FROM gold.{name} ORDER BY id") == [(1, "one"), (2, "zwei"), (4, "vier")]
    watermark = stack.http.get(f"/api/watermarks/{name}").json()
    assert watermark["watermarks"]["modified"]["value"] == second["watermark_after"]
    assert [b["state"] for b in watermark["history"]] == ["refined", "refined"]


def test_should_land_nothing_and_move_nothing_when_nothing_changed(stack, name):
    stack.execute(
        f"CREATE TABLE {name} (id int PRIMARY KEY, v int)",
        f"INSERT INTO {name} VALUES (1, 10), (2, 20)",
    )
    config = {"tableName": name, "isIncremental": True, "deltaColumn": "id"}
    first = stack.load(config)
    second = stack.load(config)
    assert (first["status"], first["records"]) == ("published", 2)
    assert (second["status"], second["bronze_key"]) == ("empty", None)
    assert second["watermark_after"] == first["watermark_after"]
    assert second["reason"]


def test_should_follow_a_full_load_by_an_incremental_one_of_the_same_table(stack, name):
    stack.execute(
        f"CREATE TABLE {name} (id int PRIMARY KEY, modified datetime2(7))",
        f"INSERT INTO {name} VALUES (1, '2024-05-01'), (2, '2024-05-02')",
    )
    full = stack.load({"tableName": name})
    config = {"tableName": name, "isIncremental": True, "deltaColumn": "modified", "lastWatermark": "2024-05-02"}
    incremental = stack.load(config)
    assert (full["records"], incremental["records"], incremental["silver_rows"]) == (2, 1, 2)


def test_should_load_a_query(stack, name):
    question = "SELECT customer_segment, COUNT(*) AS customers FROM dbo.customers GROUP BY customer_segment"
    destination = own(name) | {"silverConfig": {"tableName": name, "primaryKey": "customer_segment"}}
    table = stack.load({"query": question}, **destination)
    assert (table["status"], table["records"]) == ("published", 3)
    assert sum(count for (count,) in stack.lake(f"SELECT customers FROM gold.{name}")) == 500


def test_should_expand_a_pattern_from_the_catalog(stack, name):
    stack.execute(f"CREATE SCHEMA {name}", *(f"CREATE TABLE {name}.x{n} (id int PRIMARY KEY)" for n in range(3)))
    stack.execute(*(f"INSERT INTO {name}.x{n} VALUES (1)" for n in range(3)))
    run = stack.run(stack.request({"tables": [f"{name}.*"]}))
    assert run["status"] == "succeeded"
    assert [t["table"] for t in run["tables"]] == [f"bronze_{name}_x{n}" for n in range(3)]


def test_should_publish_a_gold_model_over_two_silver_tables(stack, name):
    sql = (
        f"SELECT c.customer_segment, COUNT(*) AS accounts, SUM(a.balance) AS balance FROM silver.{name}_c c "
        f"JOIN silver.{name}_a a USING (customer_id) GROUP BY 1"
    )
    gold = {"goldConfig": {"models": [{"tableName": f"{name}_by_segment", "sql": sql}]}}
    first = stack.load({"tableName": "customers"}, **own(f"{name}_c"), **gold)
    assert first["deferred"]
    second = stack.load({"tableName": "accounts"}, **own(f"{name}_a"), **gold)
    assert second["gold_tables"][f"{name}_by_segment"] == 3
    ((total,),) = stack.lake(f"SELECT SUM(balance) FROM gold.{name}_by_segment")
    ((expected,),) = stack.ask("SELECT SUM(balance) FROM accounts")
    assert total == expected


def test_should_start_a_run_for_a_request_file_and_take_the_password_out(stack, name):
    key, s3, bucket = f"requests/{name}.json", stack.client("s3"), stack.facts["bucket"]
    document = stack.request({"tableName": "accounts"}, **own(name))
    s3.put_object(Bucket=bucket, Key=key, Body=json.dumps(document).encode())
    run = _run_of(stack, document["workflow_id"])
    assert (run["status"], run["trigger"]) == ("succeeded", "object")
    wait_for(lambda: b"FlowForge2024!" not in s3.get_object(Bucket=bucket, Key=key)["Body"].read(), "the redacted copy")


def test_should_start_a_run_for_a_notification_of_minio(stack, name):
    document = stack.request({"tableName": "accounts"}, **own(name))
    key, bucket = f"requests/nightly {name}.json", stack.facts["bucket"]
    stack.client("s3").put_object(Bucket=bucket, Key=f"staged/{name}", Body=json.dumps(document).encode())
    stack.client("s3").copy_object(Bucket=bucket, Key=key, CopySource={"Bucket": bucket, "Key": f"staged/{name}"})
    assert stack.http.post("/_local/minio", json=minio(bucket, key)).status_code == 200
    assert _run_of(stack, document["workflow_id"])["status"] == "succeeded"


def test_should_start_a_run_for_an_event_on_the_bus(stack, name):
    document = stack.request({"tableName": "accounts"}, **own(name))
    entry = {"Source": "scheduler", "DetailType": "JobRequested", "EventBusName": "flowforge-events"}
    stack.client("events").put_events(Entries=[entry | {"Detail": json.dumps({"request": document})}])
    run = _run_of(stack, document["workflow_id"])
    assert (run["status"], run["trigger"]) == ("succeeded", "bus")


def _run_of(stack, workflow_id: str) -> dict:
    def found():
        runs = stack.http.get("/api/runs", params={"workflow_id": workflow_id}).json()["runs"]
        return runs and runs[0]["run_id"]

    return stack.finished(wait_for(found, f"a run of {workflow_id}"))


def test_should_write_each_codec(stack, name):
    for codec, expected in (("snappy", "SNAPPY"), ("gzip", "GZIP"), ("zstd", "ZSTD"), ("none", "UNCOMPRESSED")):
        table = stack.load(
            {"tableName": "accounts"}, **own(f"{name}_{codec}", {"compression": codec, "auditColumns": False})
        )
        metadata = stack.bronze_file(table["bronze_key"]).metadata
        assert metadata.row_group(0).column(0).compression == expected
        assert (table["columns"], metadata.num_columns) == (10, 10)


def test_should_use_a_saved_connection_by_its_id(stack, name):
    saved = stack.http.post("/api/connections", json={"id": name, **stack.connection})
    assert saved.status_code == 201
    assert "password" not in saved.json()
    document = stack.request({"tableName": "accounts"}, **own(name))
    document["source_config"]["connection"] = {"connectionId": name}
    assert stack.run(document)["status"] == "succeeded"
    listed = stack.http.get("/api/database/tables", params={"connectionId": name}).json()["tables"]
    assert {"accounts", "customers", "transactions"} <= {table["name"] for table in listed}
    described = stack.http.get(
        "/api/database/schema", params={"connection_id": name, "table": "accounts", "preview": 2}
    ).json()
    assert described["primary_key"] == ["account_id"]
    assert len(described["preview"]["rows"]) == 2
    tried = stack.http.post("/api/test-connection/database", json={"connection": {"connectionId": name}}).json()
    assert (tried["status"], tried["database"]) == ("success", stack.connection["database"])
    assert name in [one["id"] for one in stack.http.get("/api/connections").json()["connections"]]
    assert stack.http.delete(f"/api/connections/{name}").status_code == 204
    assert stack.http.get("/api/database/tables", params={"connection_id": name}).status_code == 404


def test_should_serve_two_loads_of_one_table_one_after_the_other(stack, name):
    document = stack.request({"tableName": "transactions"}, **own(name))
    run_ids = [stack.post(document).json()["run_id"] for _ in range(3)]
    runs = [stack.finished(run_id) for run_id in run_ids]
    assert {run["status"] for run in runs} == {"succeeded"}
    keys = [run["tables"][0]["bronze_key"] for run in runs]
    assert len(set(keys)) == 3
    assert all(a != b for a, b in itertools.combinations(keys, 2))
    assert {run["tables"][0]["silver_rows"] for run in runs} == {5000}


def test_should_show_a_loaded_table_by_every_reading_route(stack, name):
    document = stack.request({"tableName": "accounts"}, **own(name))
    run = stack.run(document)
    assert run["status"] == "succeeded"
    put(stack, f"{name}_count", f"SELECT COUNT(*) AS n FROM silver.{name}")

    def shown(*path: str, **parameters: str) -> dict:
        answer = stack.http.get("/".join(["/api", *path]), params=parameters)
        assert answer.status_code == 200, answer.text
        return answer.json()

    listed = shown("runs", workflow_id=document["workflow_id"])["runs"]
    assert [one["run_id"] for one in listed] == [run["run_id"]]
    assert shown("tables")["tables"]
    found = shown("tables", f"silver.{name}")
    assert (found["table"], found["rows"]) == (name, 750)
    assert f"{name}_count" in [one["table"] for one in shown("models")["models"]]
    lineage = f"/api/tables/gold.{name}/lineage"  # which is told after the run
    wait_for(lambda: stack.http.get(lineage).status_code == 200, "lineage")
    assert shown("silver", name, "schema") and shown("silver", name, "quality")
    for table in (f"bronze.bronze_{name}", f"silver.{name}", f"gold.{name}"):
        asked = stack.http.post("/api/sql", json={"sql": f"SELECT COUNT(*) FROM {table}"}).json()
        assert asked["rows"] == [[750]], table
