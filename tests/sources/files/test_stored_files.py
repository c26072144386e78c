"""Files in a bucket: each is read as the version that was found, all of it, whatever happens to it or to the connection."""

import random

import pytest

from flowforge.aws.clients import client
from flowforge.aws.stored_files import RANGE_BYTES, find_file, list_files, open_file
from flowforge.domain.errors import FileChanged
from flowforge.domain.file_version import FileVersion
from tests.helpers.aws_proxy import AwsProxy, Call, Fault

CONTENT = random.Random(7).randbytes(3_000_000)


def put(bucket: str, body: bytes, key: str = "landing/sales/daily/a.csv") -> FileVersion:
    client("s3").put_object(Bucket=bucket, Key=key, Body=body)
    found = find_file(bucket, key)
    assert found is not None
    return found


def test_should_read_any_part_of_a_file(bucket):
    version = put(bucket, CONTENT)
    places = random.Random(3)
    with open_file(version) as stream:
        assert stream.seek(-10, 2) == len(CONTENT) - 10
        assert stream.read() == CONTENT[-10:]
        for _ in range(20):
            start, length = places.randrange(len(CONTENT) + 5), places.choice([0, 1, 100, 400_000, 2_000_000])
            stream.seek(start)
            assert stream.read(length) == CONTENT[start : start + length]
        stream.seek(0)
        assert stream.read() == CONTENT


def test_should_read_a_file_that_is_longer_than_one_call(bucket):
    body = random.Random(5).randbytes(1 << 20) * (RANGE_BYTES // (1 << 20)) + b"the end"
    with open_file(put(bucket, body)) as stream:
        assert stream.read() == body


def test_should_take_a_broken_connection_up_where_it_broke(bucket, monkeypatch):
    version = put(bucket, CONTENT)

    def four_times(call: Call) -> Fault | None:
        is_read = call.operation == "S3.GET" and proxy.struck["S3.GET"] < 4
        return Fault("cut", most=900_000) if is_read else None

    with AwsProxy(client("s3").meta.endpoint_url) as proxy, proxy.ruled_by(four_times):
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", proxy.url)
        with open_file(version) as stream:
            assert stream.read() == CONTENT
    assert proxy.struck["S3.GET"] == 4


def test_should_say_that_a_file_was_replaced_and_never_mix_two(bucket):
    version = put(bucket, CONTENT)
    with open_file(version) as stream:
        stream.read(10)
        put(bucket, CONTENT[::-1])
        stream.seek(2_900_000)
        with pytest.raises(FileChanged, match="was replaced") as told:
            stream.read(10)
    assert version.address in str(told.value)


def test_should_say_that_a_file_was_deleted(bucket):
    version = put(bucket, CONTENT)
    client("s3").delete_object(Bucket=bucket, Key=version.key)
    with open_file(version) as stream, pytest.raises(FileChanged, match="was deleted"):
        stream.read(1)
    assert find_file(bucket, version.key) is None


def test_should_read_the_version_that_was_found_in_a_bucket_with_versions(bucket):
    client("s3").put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    first = put(bucket, b"id\n1\n")
    second = put(bucket, b"id\n2\n")
    client("s3").delete_object(Bucket=bucket, Key=first.key)
    assert [open_file(one).read() for one in (first, second)] == [b"id\n1\n", b"id\n2\n"]


def test_should_list_files_in_the_order_of_their_keys_without_folders(bucket):
    for key in ("in/b.csv", "in/", "in/a.csv", "in/ä.csv", "in/empty.csv", "other.csv"):
        put(bucket, b"" if key in ("in/", "in/empty.csv") else b"x", key)
    found = list(list_files(bucket, "in/"))
    assert [one.key for one in found] == ["in/a.csv", "in/b.csv", "in/empty.csv", "in/ä.csv"]
    assert [one.size for one in found] == [1, 1, 0, 1]
    assert found[0].is_same_content(put(bucket, b"x", "in/a.csv"))  # sent twice
    assert not found[0].is_same_content(put(bucket, b"y", "in/a.csv"))
