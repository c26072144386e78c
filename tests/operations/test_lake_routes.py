"""The lake as the API shows it: tables, models, lineage, SQL."""

import json
import sys
import uuid
from itertools import pairwise
from urllib.parse import quote

import deltalake
import pyarrow as pa
import pytest

from events.envelopes import http
from flowforge.aws import items
from flowforge.aws.clients import client
from flowforge.gold.publish import publish
from flowforge.silver.refine import refine
from flowforge.tables.delta.access import storage_options
from functions.publish_gold.handler import handler as publish_gold
from functions.show_lake.handler import handler
from tests.helpers.function_calls import Context


def table_of_items(name: str) -> None:
    keys = [("pk", "HASH"), ("sk", "RANGE")]
    client("dynamodb").create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name, _ in keys],
        KeySchema=[{"AttributeName": name, "KeyType": kind} for name, kind in keys],
    )


@pytest.fixture
def filled(lake, monkeypatch):
    """A lake with a silver table, its quarantine and a gold table, and what is remembered of their source."""
    records = f"watermarks-{uuid.uuid4().hex[:8]}"
    table_of_items(records)
    monkeypatch.setenv("FLOWFORGE_BUCKET", lake.bucket)
    monkeypatch.setenv("FLOWFORGE_WATERMARKS_TABLE", records)
    batch = lake.source(key=["id"], gold={"table": "out"}).batch(
        1, pa.table({"id": [1, 2, 3], "name": ["a", "b", None]})
    )
    refine(batch, lake.bucket)
    publish(batch, lake.bucket)
    marks = {"id": {"value": "3", "sql_type": "int", "seq": 1, "committed_at": "", "identity": {}}}
    state = {"pk": batch.source_key, "sk": "STATE", "generation": 1, "seq": 1, "bronze_table": "b"}
    recent = {"run_id": "run_9", "at": "2026-11-29T00:00:00+00:00", "rows": [3, 0, 5]}
    items.put(records, state | {"watermarks": json.dumps(marks), "samples": "{}", "recent": json.dumps(recent)})
    return lake


def ask(path: str, route: str | None = None, **query: str) -> tuple[int, dict]:
    answer = handler(http("GET", path, route, query=query), Context())
    return answer["statusCode"], json.loads(answer["body"])


def sql(text: str, **more) -> tuple[int, dict]:
    answer = handler(http("POST", "/api/sql", body={"sql": text, **more}), Context())
    return answer["statusCode"], json.loads(answer["body"])


def one(table: str, what: str = "", **query: str) -> tuple[int, dict]:
    return ask(f"/api/tables/{quote(table)}{what}", f"/api/tables/{{table}}{what}", **query)


def test_should_list_every_table_with_what_people_ask_first(filled):
    status, answer = ask("/api/tables")
    assert status == 200
    assert [(t["layer"], t["table"], t["rows"]) for t in answer["tables"]] == [
        ("gold", "out", 3),
        ("silver", "customers", 3),
    ]
    silver = answer["tables"][1]
    assert [column["name"] for column in silver["columns"]][:2] == ["id", "name"]
    assert silver["watermarks"] == {"id": "3"}
    assert silver["bronze_table"] == "b"
    assert silver["recent"] == {"run_id": "run_9", "at": "2026-11-29T00:00:00+00:00", "rows": [3, 0, 5]}
    assert silver["written_at"].startswith("20")
    assert silver["files"] == 1 and silver["bytes"] > 0


def test_should_list_tables_page_by_page(filled):
    found, place = [], {}
    while True:
        _, answer = ask("/api/tables", limit="1", **place)
        found += [t["table"] for t in answer["tables"]]
        if "next" not in answer:
            break
        place = {"cursor": answer["next"]}
    assert found == ["out", "customers"]
    assert [t["layer"] for t in ask("/api/tables", layer="gold")[1]["tables"]] == ["gold"]
    assert ask("/api/tables", layer="bronze")[1]["mistakes"][0]["field"] == "layer"
    assert ask("/api/tables", cursor="x")[1]["mistakes"][0]["field"] == "cursor"


def test_should_list_what_was_committed_and_made_anew_since_it_looked(filled):
    uri, options = f"s3://{filled.bucket}/silver/customers", storage_options()
    assert listed_rows("customers") == 3
    deltalake.DeltaTable(uri, storage_options=options).delete("id = 1")
    assert listed_rows("customers") == 2
    content = pa.table({"other": [1, 2, 3, 4]})
    deltalake.write_deltalake(uri, content, mode="overwrite", schema_mode="overwrite", storage_options=options)
    assert (listed_rows("customers"), listed_rows("customers")) == (4, 4)
    for found in client("s3").list_objects_v2(Bucket=filled.bucket, Prefix="silver/customers/")["Contents"]:
        client("s3").delete_object(Bucket=filled.bucket, Key=found["Key"])
    deltalake.write_deltalake(uri, content.slice(0, 1), storage_options=options)
    assert listed_rows("customers") == 1


def listed_rows(table: str) -> int:
    return next(one["rows"] for one in ask("/api/tables", layer="silver")[1]["tables"] if one["table"] == table)


def test_should_tell_of_a_table_that_cannot_be_opened_beside_the_others(filled):
    client("s3").put_object(Bucket=filled.bucket, Key=f"silver/broken/_delta_log/{0:020}.json", Body=b"{nothing")
    shown = {t["table"]: t for t in ask("/api/tables")[1]["tables"]}
    assert shown["customers"]["rows"] == 3
    assert shown["broken"]["problem"]


def test_should_show_one_table_with_its_versions(filled):
    status, answer = one("silver.customers")
    assert (status, answer["rows"], answer["version"]) == (200, 3, answer["versions"][0]["version"])
    assert [v["version"] for v in answer["versions"]] == sorted(
        (v["version"] for v in answer["versions"]), reverse=True
    )
    assert one("silver.nothing")[0] == 404
    assert one("nothing")[1]["mistakes"][0]["field"] == "table"


def test_should_tell_what_makes_each_gold_table(filled):
    status, answer = ask("/api/models")
    assert (status, answer["problems"]) == (200, [])
    assert [(m["table"], m["state"], m["reads"]) for m in answer["models"]] == [
        ("out", "current", ["silver.customers"])
    ]


def test_should_show_the_neighbourhood_of_a_table(filled):
    def dataset(layer: str, table: str) -> dict:
        named = {"symlinks": {"identifiers": [{"namespace": "s3://lake", "name": f"{layer}.{table}", "type": "TABLE"}]}}
        return {"namespace": "s3://lake", "name": f"{layer}/{table}", "facets": named}

    chain = [dataset("bronze", "a"), dataset("silver", "b"), dataset("gold", "c"), dataset("gold", "d")]
    for above, below in pairwise(chain):
        event = {"eventTime": "2026-01-01T00:00:00Z", "inputs": [above], "outputs": [below], "run": {"runId": "r"}}
        key = f"lineage/latest/{below['name']}.json"
        client("s3").put_object(Bucket=filled.bucket, Key=key, Body=json.dumps(event).encode())
    status, answer = one("gold.c", "/lineage")
    assert (status, answer["edges"]) == (
        200,
        [{"from": "gold.c", "to": "gold.d"}, {"from": "silver.b", "to": "gold.c"}],
    )
    assert len(one("gold.c", "/lineage", depth="2")[1]["tables"]) == 4
    assert one("gold.x", "/lineage")[0] == 404


def test_should_answer_sql_within_bounds(filled):
    assert sql("SELECT id, name FROM silver.customers ORDER BY id", limit=2)[1] | {"seconds": 0} == {
        "columns": ["id", "name"],
        "rows": [[1, "a"], [2, "b"]],
        "more": True,
        "seconds": 0,
    }
    assert sql("SELECT count(*) FROM silver.customers", asOf=0)[0] in (200, 404)
    status, answer = sql("DELETE FROM silver.customers")
    assert (status, answer["error"]) == (422, "QueryRefused")
    assert sql("SELECT 1", asOf="soon")[1]["mistakes"][0]["field"] == "asOf"
    assert sql("")[1]["mistakes"][0]["field"] == "sql"


def test_should_stop_a_question_that_nobody_wants_any_more(filled, monkeypatch):
    runs = f"runs-{uuid.uuid4().hex[:8]}"
    table_of_items(runs)
    monkeypatch.setenv("FLOWFORGE_RUNS_TABLE", runs)
    answer = handler(http("DELETE", "/api/sql/question-1", "/api/sql/{id}"), Context())
    assert (answer["statusCode"], json.loads(answer["body"])) == (202, {"id": "question-1"})
    endless = "SELECT count(*) FROM range(4000000000) a, range(4000000000) b WHERE (a.range + b.range) % 7 = 1"
    status, told = sql(endless, id="question-1")
    assert (status, told["error"], told["message"]) == (
        422,
        "QueryRefused",
        "the query was stopped, as somebody has asked for",
    )
    assert sql("SELECT 1 AS one", id="question-2")[1]["rows"] == [[1]]
    assert sql("SELECT 1", id="no id")[1]["mistakes"][0]["field"] == "id"
    assert handler(http("DELETE", "/api/sql/short", "/api/sql/{id}"), Context())["statusCode"] == 400


@pytest.mark.skipif(sys.platform != "linux", reason="memory is bounded where RLIMIT_DATA is")
@pytest.mark.parametrize("text", ["SELECT repeat('x', 4000000000)", "SELECT range(1000000000)"])
def test_should_refuse_sql_that_needs_more_memory_than_the_function_has(filled, monkeypatch, text):
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512")
    status, answer = sql(text)
    assert (status, answer["error"]) == (422, "QueryRefused")
    assert "more memory" in answer["message"] and "ask for less" in answer["remedy"]
    assert sql("SELECT count(*) FROM silver.customers")[1]["rows"] == [[3]]


def test_should_end_a_page_of_rows_where_an_answer_is_full(filled):
    status, answer = sql("SELECT repeat('x', 1000000) AS text FROM range(8)")
    assert (status, answer["more"]) == (200, True)
    assert 1 <= len(answer["rows"]) < 8


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("SELECT id\nFROM silver.customers\nWHERE nothing = 1", 3),
        ("SELECT id\nFROM nowhere.x", 2),
        ("SELECT\n  id\nFROM silver.customers ORDER BY (", 3),
    ],
)
def test_should_tell_the_line_of_sql_that_is_refused(filled, text, line):
    status, answer = sql(text)
    assert (status, answer["error"], answer["line"]) == (422, "QueryRefused", line)


def put(table: str, text: str, **more) -> tuple[int, dict]:
    body = {"sql": text, **more}
    answer = publish_gold(http("PUT", f"/api/models/{table}", "/api/models/{table}", body), Context())
    return answer["statusCode"], json.loads(answer["body"])


def test_should_keep_a_model_that_can_be_built(filled):
    text = "SELECT id, name FROM silver.customers WHERE id > 1"
    status, told = put("chosen", text)
    assert (status, told["bucket"], told["key"]) == (200, filled.bucket, "models/chosen.sql")
    assert client("s3").get_object(Bucket=filled.bucket, Key="models/chosen.sql")["Body"].read().decode() == text


def model(table: str) -> tuple[int, dict]:
    return ask(f"/api/models/{table}", "/api/models/{table}")


def test_should_open_a_model_and_replace_the_version_that_was_read_alone(filled):
    first, second = "SELECT id FROM silver.customers", "SELECT id, name FROM silver.customers"
    assert model("opened")[0] == 404
    assert put("opened", first, etag="")[0] == 200
    status, read = model("opened")
    assert (status, read["origin"], read["sql"]) == (200, "models/opened.sql", first)
    status, kept = put("opened", second, etag=read["etag"])
    assert (status, kept["etag"]) == (200, model("opened")[1]["etag"])
    status, refused = put("opened", first, etag=read["etag"])
    assert (status, refused["error"]) == (409, "ConflictingTarget")
    assert "was changed or removed" in refused["message"]
    assert put("opened", first, etag="")[0] == 409
    assert model("opened")[1]["sql"] == second
    client("s3").put_object(Bucket=filled.bucket, Key="models/opened.sql", Body=b"SELECT nothing that can be read (")
    assert model("opened")[1]["sql"] == "SELECT nothing that can be read ("
    client("s3").delete_object(Bucket=filled.bucket, Key="models/opened.sql")
    assert put("opened", first, etag=read["etag"])[0] == 409


def test_should_tell_that_a_copy_came_with_a_job_and_that_a_file_is_too_large(filled):
    assert model("out") == (200, {"table": "out", "origin": "goldConfig", "sql": None, "etag": None})
    client("s3").put_object(Bucket=filled.bucket, Key="models/large.sql", Body=b"-" * 300_000)
    assert model("large")[1]["error"] == "TooLarge"


def test_should_list_models_page_by_page_each_after_those_that_it_reads(filled):
    texts = {"a_last": "SELECT id FROM gold.m_middle", "m_middle": "SELECT id FROM gold.z_first",
             "z_first": "SELECT id FROM silver.customers"}  # fmt: skip
    for table, text in texts.items():
        client("s3").put_object(Bucket=filled.bucket, Key=f"models/{table}.sql", Body=text.encode())
    client("s3").put_object(Bucket=filled.bucket, Key="models/broken.sql", Body=b"DROP TABLE x")
    whole = ask("/api/models")[1]
    found, place = [], {}
    while True:
        _, answer = ask("/api/models", limit="1", **place)
        found += answer["models"]
        assert any("broken" in problem for problem in answer["problems"]) != bool(place)
        if "next" not in answer:
            break
        place = {"cursor": answer["next"]}
    assert found == whole["models"] and "next" not in whole
    order = [one["table"] for one in found]
    assert order.index("z_first") < order.index("m_middle") < order.index("a_last")
    assert {one["state"] for one in found if one["table"] in ("m_middle", "a_last")} == {"waits"}
    assert ask("/api/models", cursor="YQ.YQ")[1]["mistakes"][0]["field"] == "cursor"


@pytest.mark.parametrize(
    ("table", "text", "told"),
    [
        ("chosen", "SELECT id\nFROM silver.nowhere", "models/chosen.sql, line 2"),
        ("chosen", "SELECT nothing FROM silver.customers", "nothing"),
        ("chosen", "DROP TABLE x", "models/chosen.sql"),
        ("_chosen", "SELECT 1 AS id", "must not begin with _"),
        ("a%2Fb", "SELECT id FROM silver.customers", "names no gold table"),
    ],
)
def test_should_keep_no_model_that_cannot(filled, table, text, told):
    status, answer = put(table, text)
    assert status == 400
    assert told in answer["mistakes"][0]["problem"], answer
    assert client("s3").list_objects_v2(Bucket=filled.bucket, Prefix="models/")["KeyCount"] == 0
