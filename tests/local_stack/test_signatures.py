"""The embedded AWS answers to its own keys only, whichever client has signed, and tells others what AWS tells them."""

import io
import os
import urllib.request

import boto3
import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from deltalake import DeltaTable, write_deltalake
from pyarrow import fs

from flowforge.engines.duckdb.storage import duckdb_connection
from flowforge.tables.delta.access import storage_options
from tests.helpers.servers import AWS_KEYS, AWS_VARIABLES, embedded_aws

BUCKET, CONTENT = "signed", b"content"
ODD = ["plain", "day=1+2024/x y.parquet", "a b/c+d=e&f?g#h%20i/é~*'(x)!$@:,;//q"]


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    """An embedded AWS with a bucket of objects with odd names, whose keys are this process's own."""
    with pytest.MonkeyPatch.context() as environment, embedded_aws(tmp_path_factory.mktemp("aws") / "log") as address:
        variables = AWS_VARIABLES | {"AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1"}
        for name, value in (variables | {"AWS_ENDPOINT_URL": address}).items():
            environment.setenv(name, value)
        s3 = client("s3")
        s3.create_bucket(Bucket=BUCKET)
        for key in ODD:
            s3.put_object(Bucket=BUCKET, Key=key, Body=CONTENT, Metadata={"with_underscore": "two  blanks"})
        yield address


def client(service, **changed):
    return boto3.client(
        service, **AWS_KEYS | changed, config=Config(signature_version="v4" if service != "s3" else "s3v4")
    )


WRONG_KEY = {"aws_access_key_id": "AKIAIOSFODNN7EXAMPLE"}
WRONG_SECRET = {"aws_secret_access_key": "guessed"}


@pytest.mark.parametrize(
    ("service", "ask"),
    [
        ("s3", lambda s3: s3.list_buckets()),
        ("s3", lambda s3: s3.put_object(Bucket=BUCKET, Key="new", Body=bytes(9_000_000))),
        ("secretsmanager", lambda secrets: secrets.list_secrets()),
        ("sqs", lambda sqs: sqs.list_queues()),
        ("dynamodb", lambda dynamodb: dynamodb.list_tables()),
        ("events", lambda events: events.list_event_buses()),
    ],
)
def test_should_answer_to_its_own_keys_only(url, service, ask):
    ask(client(service))
    of_s3 = "InvalidAccessKeyId", "SignatureDoesNotMatch"
    codes = of_s3 if service == "s3" else ("UnrecognizedClientException", "InvalidSignatureException")
    for changed, code in zip((WRONG_KEY, WRONG_SECRET), codes, strict=True):
        with pytest.raises(ClientError) as refused:
            ask(client(service, **changed))
        assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
        assert refused.value.response["Error"]["Code"] == code
        assert "stack.json" in str(refused.value)


@pytest.mark.parametrize("path", ["/", f"/{BUCKET}/plain", "/moto-api/data.json", "/_local/calls"])
def test_should_answer_nothing_that_is_not_signed(url, path):
    shown = {"Authorization": f"Bearer {AWS_KEYS['aws_secret_access_key']}"}
    old = {"Authorization": f"AWS {AWS_KEYS['aws_access_key_id']}:c2lnbmF0dXJl"}
    for headers in ({}, shown, old, {"Authorization": "AWS4-HMAC-SHA256 Credential=a/b, nonsense"}):
        answer = httpx.get(url + path, headers=headers)
        assert answer.status_code == 403
        assert CONTENT.decode() not in answer.text


def test_should_answer_a_presigned_address_until_it_ends_and_no_other_one(url):
    def presigned(key, seconds=60, /, **changed):
        return client("s3", **changed).generate_presigned_url(
            "get_object", Params={"Bucket": BUCKET, "Key": key}, ExpiresIn=seconds
        )

    for key in ODD:
        with urllib.request.urlopen(presigned(key)) as answer:  # noqa: S310  loopback; httpx would mend the path
            assert answer.read() == CONTENT
    good = presigned("plain")
    altered = good.replace("/plain", "/day%3D1%2B2024/x%20y.parquet")
    longer = good.replace("Expires=60", "Expires=6000")
    for address in (
        presigned("plain", -5),
        altered,
        longer,
        presigned("plain", **WRONG_SECRET),
        presigned("plain", **WRONG_KEY),
    ):
        answer = httpx.get(address)
        assert (answer.status_code, CONTENT in answer.content) == (403, False)


def test_should_know_the_signature_of_every_client_of_the_lake(url):
    rows = pa.table({"part": ["a b", "é+=/"], "value": [1, 2]})
    assert [client("s3").get_object(Bucket=BUCKET, Key=key)["Body"].read() for key in ODD] == [CONTENT] * 3
    assert client("s3").head_object(Bucket=BUCKET, Key=ODD[2])["Metadata"] == {"with_underscore": "two  blanks"}
    client("s3").upload_fileobj(io.BytesIO(bytes(9_000_000)), BUCKET, "in parts")
    files = fs.S3FileSystem(endpoint_override=os.environ["AWS_ENDPOINT_URL"], region="us-east-1")
    pq.write_table(rows, f"{BUCKET}/arrow/day=1+2 x/é.parquet", filesystem=files)
    table = f"s3://{BUCKET}/delta t/é+1"
    for _ in range(2):
        write_deltalake(table, rows, mode="append", partition_by=["part"], storage_options=storage_options())
    assert DeltaTable(table, storage_options=storage_options()).to_pyarrow_table().num_rows == 4
    with duckdb_connection() as duck:
        duck.execute(f"COPY (SELECT 7 AS value) TO 's3://{BUCKET}/duck/ö b=1.parquet' (FORMAT parquet)")
        for path, count in (("arrow/day=1+2 x/é.parquet", 2), ("arrow/**/*.parquet", 2), ("duck/ö b=1.parquet", 1)):
            assert duck.execute(f"SELECT count(*) FROM 's3://{BUCKET}/{path}'").fetchall() == [(count,)]
