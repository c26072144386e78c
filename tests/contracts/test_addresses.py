"""S3's addresses are those that boto3 finds by itself, whatever bucket or key they are of."""

from urllib.parse import urlsplit

import boto3
import pytest

from flowforge.aws.clients import CONFIG, client

ACCESS_POINT = "arn:aws:s3:eu-central-1:123456789012:accesspoint/lake"
ALIAS = "lake-abcdefghijklmnopqrstuvwxyz0123456789abcd-s3alias"


@pytest.mark.parametrize("endpoint", [None, "http://127.0.0.1:9000"])
@pytest.mark.parametrize("bucket", ["lake", "lake.with.dots", ALIAS, ACCESS_POINT])
def test_should_find_the_address_that_boto3_finds(monkeypatch, bucket, endpoint):
    monkeypatch.delenv("AWS_ENDPOINT_URL_S3", raising=False)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "none")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    if endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    plain = boto3.Session().client("s3", config=CONFIG)
    assert [_address(client("s3"), bucket, key) for key in KEYS] == [_address(plain, bucket, key) for key in KEYS]


KEYS = ["silver/t/part-1.parquet", "silver/é t/_delta_log/00000000000000000001.json", "a"]


def _address(s3, bucket: str, key: str) -> str:
    """Where an object is, or why it cannot be anywhere."""
    try:
        url = urlsplit(s3.generate_presigned_url("get_object", {"Bucket": bucket, "Key": key}))
    except Exception as error:  # both refuse alike
        return f"{type(error).__name__}: {error}"
    return f"{url.scheme}://{url.netloc}{url.path}"
