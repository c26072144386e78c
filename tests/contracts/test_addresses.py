"""S3's addresses are those that boto3 finds by itself, whatever bucket or key they are of, and whoever asks S3."""

import os
from urllib.parse import urlsplit

import boto3
import pytest

from flowforge.aws.clients import CONFIG, client
from flowforge.aws.store_access import store_access

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


@pytest.mark.parametrize(
    ("said", "endpoint"),
    [
        ({}, None),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9000"}, "http://127.0.0.1:9000"),
        ({"AWS_ENDPOINT_URL": "http://a", "AWS_ENDPOINT_URL_S3": "https://minio.bank:9000"}, "https://minio.bank:9000"),
        ({"AWS_USE_FIPS_ENDPOINT": "true"}, "https://s3-fips.us-east-2.amazonaws.com"),
        ({"AWS_USE_DUALSTACK_ENDPOINT": "true"}, "https://s3.dualstack.us-east-2.amazonaws.com"),
        ({"AWS_REGION": "cn-north-1", "AWS_DEFAULT_REGION": "cn-north-1"}, "https://s3.cn-north-1.amazonaws.com.cn"),
        (  # delta-rs would go by the variable
            {"AWS_ENDPOINT_URL": "http://127.0.0.1:9000", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"},
            "https://s3.us-east-2.amazonaws.com",
        ),
        ({"AWS_PROFILE": "minio"}, "http://127.0.0.1:9001"),
        ({"AWS_PROFILE": "ours"}, "http://127.0.0.1:9002"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_should_have_every_library_ask_the_s3_that_boto3_asks(monkeypatch, tmp_path, said, endpoint):
    config = tmp_path / "config"
    config.write_text(
        "[profile minio]\nendpoint_url = http://127.0.0.1:9001\n"
        "[profile ours]\nservices = ours\n[services ours]\ns3 =\n  endpoint_url = http://127.0.0.1:9002\n"
    )
    for name in [one for one in os.environ if one.startswith("AWS_")]:
        monkeypatch.delenv(name)
    login = {"AWS_ACCESS_KEY_ID": "none", "AWS_SECRET_ACCESS_KEY": "none", "AWS_CONFIG_FILE": str(config)}
    region = {"AWS_REGION": "us-east-2", "AWS_DEFAULT_REGION": "us-east-2"}
    for name, value in (login | region | said).items():
        monkeypatch.setenv(name, value)
    assert store_access().endpoint == endpoint


KEYS = ["silver/t/part-1.parquet", "silver/é t/_delta_log/00000000000000000001.json", "a"]


def _address(s3, bucket: str, key: str) -> str:
    """Where an object is, or why it cannot be anywhere."""
    try:
        url = urlsplit(s3.generate_presigned_url("get_object", {"Bucket": bucket, "Key": key}))
    except Exception as error:  # both refuse alike
        return f"{type(error).__name__}: {error}"
    return f"{url.scheme}://{url.netloc}{url.path}"
