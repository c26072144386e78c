"""submit_job by its events: the API, the bus, files in the bucket (S3's notice and MinIO's)."""

import copy
import json

import pytest

from events.envelopes import eventbridge, http, minio, s3_object_created, sqs
from events.sample_messages import FULL, INCREMENTAL
from flowforge.state import runs
from flowforge.state.run_list import list_runs
from functions.submit_job.handler import handler

PASSWORD = FULL["source_config"]["connection"]["password"]
ROUTE = "/api/workflows/{id}/run"


@pytest.fixture(autouse=True)
def queues(aws, monkeypatch):
    aws.use("SubmitQueue", "SubmitDeadLetters", monkeypatch)
    for queue in ("IngestQueue", "TrackQueue", "SubmitDeadLetters", "SubmitQueue"):
        aws.messages(queue)


def request(workflow_id: str = "wf_001", **changes) -> dict:
    document = copy.deepcopy(FULL)
    document["workflow_id"] = workflow_id
    document["source_config"]["databaseConfig"].update(changes)
    return document


def post(document, context, workflow_id="wf_001"):
    body = document if isinstance(document, str) else json.dumps(document)
    answer = handler(http("POST", f"/api/workflows/{workflow_id}/run", ROUTE, body), context)
    return answer["statusCode"], json.loads(answer["body"])


@pytest.mark.parametrize("document", [FULL, INCREMENTAL], ids=["full", "incremental"])
def test_should_take_both_documents_as_they_stand(aws, context, document):
    status, answer = post(document, context)
    assert status == 202
    assert answer["tables"] == ["bronze_customers"]
    assert runs.read_run(answer["run_id"])["status"] == "accepted"
    (message,) = aws.messages("IngestQueue")
    source = document["source_config"]["databaseConfig"]
    assert message["body"]["run_id"] == answer["run_id"]
    assert message["body"]["batch_id"] == "batch_20251108_061208"
    assert message["body"]["source"]["delta_column"] == source.get("deltaColumn")
    assert message["body"]["source"]["last_watermark"] == source.get("lastWatermark")
    assert [kind for kind, _ in aws.announced()] == ["JobAccepted"]


def test_should_take_the_first_of_a_composite_cursor_as_its_cursor(aws, context):
    composite = request(isIncremental=True, deltaColumn=["modified_date", "customer_id"])
    status, _ = post(composite, context)
    assert status == 202
    (message,) = aws.messages("IngestQueue")
    source = message["body"]["source"]
    assert (source["delta_column"], source["tie_columns"]) == ("modified_date", ["customer_id"])


def test_should_pass_a_reference_on_in_place_of_the_password(aws, context):
    _, answer = post(FULL, context)
    messages = aws.messages("IngestQueue") + aws.messages("TrackQueue")
    stored = json.dumps(runs.read_run(answer["run_id"]))
    assert PASSWORD not in json.dumps(messages, default=str) + stored + json.dumps(answer)
    reference = messages[0]["body"]["connection"]
    secret = aws.client("secretsmanager").get_secret_value(
        SecretId=reference["secret_id"], VersionId=reference["secret_version"]
    )
    place = {"host": "localhost", "port": 1433, "database": "BFSI_Test", "trustServerCertificate": False}
    assert json.loads(secret["SecretString"]) == {"username": "sa", "password": PASSWORD, **place}


def test_should_name_every_mistake_of_a_request_at_once(aws, context):
    document = request(deltaColumn=None, isIncremental=True)
    document["source_type"] = "file"
    document["surprise"] = 1
    del document["source_config"]["connection"]["host"]
    status, answer = post(document, context)
    assert status == 400
    fields = {mistake["field"]: mistake["problem"] for mistake in answer["mistakes"]}
    assert '"file"' in fields["source_type"]
    assert fields["surprise"] == "unknown field"
    assert "host" in fields["source_config.connection"]
    assert "deltaColumn" in fields["source_config.databaseConfig"]
    assert PASSWORD not in json.dumps(answer)
    assert aws.messages("IngestQueue") == []


@pytest.mark.parametrize("body", ["", "not json", "[]", '"text"', '{"workflow_id": '])
def test_should_refuse_a_body_that_is_no_json_object(context, body):
    status, answer = post(body, context)
    assert status == 400
    assert "JSON" in answer["mistakes"][0]["problem"]


def test_should_refuse_a_workflow_that_differs_from_the_address(context):
    status, answer = post(FULL, context, "wf_other")
    assert (status, answer["mistakes"][0]["field"]) == (400, "workflow_id")


def test_should_fan_out_one_message_per_table_with_destinations_of_their_own(aws, context):
    document = request()
    names = [f"t{n}" for n in range(57)]
    document["source_config"]["databaseConfig"] = {"tables": [{"tableName": name} for name in names]}
    document["destination_config"] = {}
    status, answer = post(document, context)
    assert status == 202
    bodies = [message["body"] for message in aws.messages("IngestQueue")]
    assert sorted(body["bronze"]["table"] for body in bodies) == sorted(f"bronze_{name}" for name in names)
    assert len(runs.read_run(answer["run_id"])["tables"]) == len(names)


def test_should_refuse_two_tables_with_one_destination(context):
    document = request()
    entry = {"tableName": "accounts", "destination_config": {"bronzeConfig": {"tableName": "bronze_customers"}}}
    document["source_config"]["databaseConfig"] = {"tables": [{"tableName": "customers"}, entry]}
    document["destination_config"] = {}
    status, answer = post(document, context)
    assert status == 400
    assert "bronze_customers" in answer["mistakes"][0]["problem"]


def test_should_never_give_two_source_names_one_default_destination(aws, context):
    document = request()
    names = ["[my table]", "[my-table]", "[sales].[orders]", "[sales_orders]", "[客户]", "[顧客]", "[a]]b]", "[a'b]"]
    document["source_config"]["databaseConfig"] = {"tables": [{"tableName": name} for name in names]}
    document["destination_config"] = {}
    status, answer = post(document, context)
    assert (status, len(set(answer.get("tables", [])))) == (202, len(names)) or "sales_orders" in json.dumps(answer)


def test_should_start_one_run_for_a_bus_event_however_often_it_comes(aws, context, unique):
    event = eventbridge("JobRequested", {"request": request()}, source="scheduler", event_id=unique("event"))
    for _ in range(3):
        assert handler(sqs(event), context) == {"batchItemFailures": []}
    bodies = [message["body"] for message in aws.messages("IngestQueue")]
    assert len(bodies) == 3
    assert len({body["run_id"] for body in bodies}) == 1


def drop(aws, key: str, document) -> None:
    body = document if isinstance(document, str) else json.dumps(document)
    aws.client("s3").put_object(Bucket=aws.name("Lake"), Key=key, Body=body.encode())


@pytest.mark.parametrize("form", ["eventbridge", "minio", "minio-direct"])
def test_should_start_a_run_for_a_file_in_the_bucket_and_take_its_password_out(aws, context, unique, form):
    key = f"requests/{unique('über nacht')}.json"
    bucket = aws.name("Lake")
    drop(aws, key, FULL)
    notice = s3_object_created(bucket, key) if form == "eventbridge" else minio(bucket, key)
    event = notice if form == "minio-direct" else sqs(notice)
    handler(event, context)
    (message,) = aws.messages("IngestQueue")
    kept = aws.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read().decode()
    assert PASSWORD not in kept
    assert json.loads(kept)["source_config"]["connection"]["secretId"] == message["body"]["connection"]["secret_id"]
    handler(event, context)
    assert aws.messages("IngestQueue") == []
    drop(aws, key, FULL)
    handler(event, context)
    assert len(aws.messages("IngestQueue")) == 1


def test_should_delete_older_versions_that_hold_the_password(aws, context, unique):
    key, bucket, s3 = f"requests/{unique('job')}.json", aws.name("Lake"), aws.client("s3")
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    try:
        drop(aws, key, FULL)
        handler(sqs(s3_object_created(bucket, key)), context)
        versions = s3.list_object_versions(Bucket=bucket, Prefix=key)["Versions"]
        assert len(versions) == 1
    finally:
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})


@pytest.mark.parametrize("text", ["not json", '{"workflow_id": "wf", "password": "hunter2!"'])
def test_should_keep_a_dropped_file_with_mistakes_as_a_rejected_run(aws, context, unique, text):
    key, bucket = f"requests/{unique('bad')}.json", aws.name("Lake")
    drop(aws, key, text)
    assert handler(sqs(s3_object_created(bucket, key)), context) == {"batchItemFailures": []}
    run = list_runs(1)["runs"][0]
    assert (run["status"], run["trigger"]) == ("rejected", "object")
    assert "JSON" in run["mistakes"][0]["problem"]
    assert b"hunter2!" not in aws.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    assert aws.messages("SubmitDeadLetters") == []


def test_should_ignore_files_that_are_no_requests(aws, context):
    for key in ("requests/readme.txt", "bronze/x.json", "requests/"):
        drop(aws, key, "{}")
        handler(sqs(s3_object_created(aws.name("Lake"), key)), context)
    handler(sqs(s3_object_created(aws.name("Lake"), "requests/gone.json")), context)
    assert aws.messages("IngestQueue") == []


@pytest.mark.parametrize(
    "sql",
    [
        "DROP TABLE silver.x",
        "SELECT * FROM read_parquet('s3://other/x')",
        "SELECT 1; SELECT 2",
        "SELECT * FROM sys.x",
        "SELEC 1",
    ],
)
def test_should_refuse_a_gold_model_that_is_not_one_query_over_the_lake(context, sql):
    document = request()
    document["destination_config"]["goldConfig"] = {"models": [{"tableName": "report", "sql": sql}]}
    status, answer = post(document, context)
    assert status == 400
    assert "report" in answer["mistakes"][0]["field"]


NO_RULES = {
    "product(customer_id) > 0": "a gold model and its rules",
    "approx_count_distinct(customer_id) > 0": "a gold model and its rules",
    "geomean(customer_id) > 0": "a gold model and its rules",
    "first(customer_id ORDER BY name) > 0": "a gold model and its rules",
    "row_number() OVER () = 1": "a gold model and its rules",
    "unnest([true, true])": "a gold model and its rules",
    "generate_subscripts([customer_id], 1) > 0": "a gold model and its rules",
    "columns('.*') IS NOT NULL": "a gold model and its rules",
    "customer_id IN (SELECT 1)": "a gold model and its rules",
    "getdate() > modified_date": "write now()",
    "greatst(customer_id, 1) > 0": "did you mean greatest",
}


@pytest.mark.parametrize("layer", ["silver", "gold"])
def test_should_refuse_a_rule_that_gives_no_answer_for_each_row_before_anything_is_queued(aws, context, layer):
    rules = [{"rule": "expression", "name": f"rule {n}", "sql": sql} for n, sql in enumerate(NO_RULES)]
    document = request()
    document["destination_config"][f"{layer}Config"] = {"qualityRules": rules}
    status, answer = post(document, context)
    assert status == 400
    assert aws.messages("IngestQueue") == []
    for n, ((sql, remedy), mistake) in enumerate(zip(NO_RULES.items(), answer["mistakes"], strict=True)):
        assert mistake["field"] == f"destination_config.{layer}Config.qualityRules rule {n}", sql
        assert mistake["problem"].startswith(f"{layer}.customers: ")
        assert remedy in mistake["problem"]


def test_should_refuse_a_gold_model_with_a_function_that_duckdb_does_not_have(context):
    document = request()
    sql = "SELECT customer_id,\n isnull(name, '') AS name FROM silver.customers"
    document["destination_config"]["goldConfig"] = {"models": [{"tableName": "report", "sql": sql}]}
    status, answer = post(document, context)
    assert status == 400
    problem = "gold.report (line 2): DuckDB has no function isnull: write coalesce(a, b)"
    assert answer["mistakes"] == [{"field": "destination_config.goldConfig model report", "problem": problem}]


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("SELECT 1 AS a; CREATE TABLE dbo.x (a int)", "CREATE"),
        ("SELECT * INTO dbo.copy FROM dbo.customers", "INTO"),
        ("WITH x AS (SELECT 1 AS a) DELETE FROM x", "DELETE"),
    ],
)
def test_should_refuse_a_query_that_changes_something_before_anything_is_queued(aws, context, query, named):
    status, answer = post(request(tableName=None, query=query), context)
    assert status == 400
    (mistake,) = answer["mistakes"]
    assert mistake["field"] == "source_config.databaseConfig.query"
    assert named in mistake["problem"]
    assert "one SELECT" in mistake["problem"]
    assert aws.messages("IngestQueue") == []


def test_should_refuse_a_query_with_nolock_where_no_later_load_mends_it(aws, context):
    query = "SELECT account_id, modified_date FROM dbo.accounts WITH (NOLOCK)"
    cases = [
        ({"isIncremental": True, "deltaColumn": "modified_date"}, {}, 400),
        ({}, {"silverConfig": {"mergeStrategy": "scd2", "primaryKey": "account_id"}}, 400),
        ({}, {"silverConfig": {"mergeStrategy": "append"}}, 400),
        ({}, {}, 202),
    ]
    for config, destination, expected in cases:
        document = request(tableName=None, query=query, **config)
        document["destination_config"] |= destination
        status, answer = post(document, context)
        assert status == expected, answer
        if status == 400:
            (mistake,) = answer["mistakes"]
            assert mistake["field"] == "source_config.databaseConfig.query"
            assert "NOLOCK" in mistake["problem"] and "Leave the hint out" in mistake["problem"]
    assert len(aws.messages("IngestQueue")) == 1


def test_should_take_a_query_with_what_it_defines(aws, context):
    status, _ = post(request(tableName=None, query="WITH x AS (SELECT 1 AS a) SELECT a FROM x ORDER BY a"), context)
    assert status == 202
