"""`flowforge models`: the graph of gold tables, and files that are put only when they are right."""

import boto3
import pytest

from tests.helpers.lake_server import serving_table
from tests.helpers.servers import AWS_KEYS


@pytest.fixture(scope="module")
def s3():
    """A server with one silver table."""
    with serving_table("lake-of-models", "silver/payments", "SELECT 1 AS id, 12.50::DECIMAL(15, 2) AS amount") as url:
        yield url


def write(alone, **texts: str) -> list[str]:
    for name, text in texts.items():
        (alone.folder / f"{name}.sql").write_text(text)
    return [f"{name}.sql" for name in texts]


def test_should_put_models_and_show_their_graph(alone, stack_file, s3):
    stack_file(s3=s3, bucket="lake-of-models")
    files = write(
        alone,
        totals="SELECT sum(amount) AS total\nFROM silver.payments",
        twice="SELECT total * 2 AS t FROM gold.totals",
    )
    assert alone("models").out.strip() == "No gold tables."
    assert alone("models", "put", *files, "--json").document == {"put": ["models/totals.sql", "models/twice.sql"]}

    shown = alone("models", "--json")
    assert shown.code == 0
    first, second = shown.document["models"]
    assert (first["table"], first["reads"], first["state"]) == ("totals", ["silver.payments"], "stale")
    assert (first["reason"], first["origin"]) == ("it was never built", "models/totals.sql")
    assert second["state"] == "waits"
    assert "gold.totals" in alone("models").out
    assert [line.strip("│├└─ ") for line in alone("models", "--tree").out.splitlines()] == [
        "silver.payments",
        "gold.totals  stale",
        "gold.twice  waits",
    ]


def test_should_show_the_text_of_one_model(alone, stack_file, s3):
    stack_file(s3=s3, bucket="lake-of-models")
    text = "-- of payments\nSELECT id\nFROM silver.payments"
    assert alone("models", "put", *write(alone, shown=text)).code == 0
    assert alone("models", "show", "gold.shown").out == f"{text}\n"
    assert alone("models", "show", "shown", "--json").document["origin"] == "models/shown.sql"
    missing = alone("models", "show", "nothing")
    assert missing.code == 1 and "there is no model of gold.nothing" in missing.err


def test_should_put_nothing_when_one_of_the_models_is_wrong(alone, stack_file, s3):
    stack_file(s3=s3, bucket="lake-of-models")
    files = write(alone, fine="SELECT id FROM silver.payments", wrong="SELECT id,\n  amuont\nFROM silver.payments")
    ended = alone("models", "put", *files, "--json")
    assert ended.code == 2
    (mistake,) = ended.document["mistakes"]
    assert mistake["field"] == "gold.wrong (models/wrong.sql, line 2)"
    assert 'Referenced column "amuont" not found' in mistake["problem"]
    kept = boto3.client("s3", endpoint_url=s3, region_name="us-east-1", **AWS_KEYS).list_objects_v2(
        Bucket="lake-of-models", Prefix="models/"
    )
    assert not {"models/fine.sql", "models/wrong.sql"} & {item["Key"] for item in kept.get("Contents", [])}


def test_should_exit_with_1_when_a_model_cannot_work(alone, stack_file, s3):
    stack_file(s3=s3, bucket="lake-of-models")
    client = boto3.client("s3", endpoint_url=s3, region_name="us-east-1", **AWS_KEYS)
    client.put_object(Bucket="lake-of-models", Key="models/drops.sql", Body=b"DROP TABLE silver.payments")
    ended = alone("models", "--json")
    client.delete_object(Bucket="lake-of-models", Key="models/drops.sql")
    assert ended.code == 1
    assert ended.document["problems"] == [
        "gold.drops (models/drops.sql): DROP is not allowed: expected one SELECT or WITH query: "
        "a model is one SELECT over silver.<table> and gold.<table>"
    ]


def test_should_refuse_files_that_cannot_be_read(alone, stack_file, s3):
    stack_file(s3=s3, bucket="lake-of-models")
    assert alone("models", "put", "missing.sql").code == 2
    (alone.folder / "latin.sql").write_bytes(b"SELECT '\xe9' AS a")
    assert "not in UTF-8" in alone("models", "put", "latin.sql").err


def test_should_show_all_others_when_a_record_a_file_or_a_table_is_broken(alone, stack_file, s3):
    stack_file(s3=s3, bucket="lake-of-models")
    client = boto3.client("s3", endpoint_url=s3, region_name="us-east-1", **AWS_KEYS)
    lake = "lake-of-models"
    broken = {
        "gold/_models/torn.json": b"{",
        "models/_models.sql": b"SELECT 1 AS a FROM silver.payments",
        "models/long.sql": b"-- " + b"x" * 300_000,
        "models/good.sql": b"SELECT id FROM silver.payments",
        "models/of_torn.sql": b"SELECT id FROM silver.torn",
        "silver/torn/_delta_log/00000000000000000000.json": b"{ no JSON",
    }
    for key, body in broken.items():
        client.put_object(Bucket=lake, Key=key, Body=body)
    try:
        shown = alone("models", "--json")
        maintained = alone("maintain", "--all", "--json")
        refused = alone("models", "put", *write(alone, _quarantine="SELECT id FROM silver.payments"), "--json")
    finally:
        for key in broken:
            client.delete_object(Bucket=lake, Key=key)
    assert shown.code == 1, shown.err
    states = {one["table"]: one["state"] for one in shown.document["models"]}
    assert states["good"] == "stale"
    told = " ".join(shown.document["problems"])
    assert "gold/_models/torn.json cannot be read" in told and "next build writes it anew" in told
    assert (
        "models/_models.sql: a gold table must not begin with _" in told
        and "models/long.sql: the file is larger than" in told
    )
    assert "silver.torn cannot be opened" in told
    assert maintained.code == 1, maintained.err
    assert "silver.payments" in {one["table"] for one in maintained.document["tables"]}
    assert [one["table"] for one in maintained.document["failed"]] == ["silver.torn"]
    assert refused.code == 2 and "must not begin with _" in refused.out
