"""The embedded AWS keeps the objects that it is given: of many conditional writes one wins, and parts make a whole."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore.exceptions import ClientError


def test_should_list_what_is_below_a_prefix_among_other_keys(aws):
    s3 = aws("s3")
    s3.create_bucket(Bucket="listed")
    keys = [f"{top}/{folder}/{number}" for top in ("a", "ab", "b") for folder in ("x", "y") for number in range(3)]
    for key in [*keys, "a/top", "gone"]:
        s3.put_object(Bucket="listed", Key=key, Body=b"1")
    s3.put_object(Bucket="listed", Key="a/top", Body=b"22")
    s3.delete_object(Bucket="listed", Key="gone")

    def listed(**asked):
        keys, folders = {}, []
        for page in s3.get_paginator("list_objects_v2").paginate(
            Bucket="listed", PaginationConfig={"PageSize": 2}, **asked
        ):
            keys |= {found["Key"]: found["Size"] for found in page.get("Contents", ())}
            folders += [folder["Prefix"] for folder in page.get("CommonPrefixes", ())]
        return keys, folders

    assert listed(Prefix="a/", Delimiter="/") == ({"a/top": 2}, ["a/x/", "a/y/"])
    assert listed(Prefix="a/x/1", StartAfter="a/x/0") == ({"a/x/1": 1}, [])
    assert listed(Prefix="ab/") == ({key: 1 for key in keys if key.startswith("ab/")}, [])
    assert listed(Prefix="gone") == ({}, [])
    assert listed() == (dict.fromkeys(keys, 1) | {"a/top": 2}, [])


def test_should_let_one_conditional_write_of_many_win(aws):
    s3 = aws("s3")
    s3.create_bucket(Bucket="contested")

    def put(writer, key):
        try:
            s3.put_object(Bucket="contested", Key=key, Body=str(writer).encode(), IfNoneMatch="*")
        except ClientError as error:
            assert error.response["Error"]["Code"] == "PreconditionFailed"
            return None
        return str(writer).encode()

    with ThreadPoolExecutor(8) as pool:
        for round_ in range(10):
            winners = [one for one in pool.map(lambda writer, key=f"k{round_}": put(writer, key), range(8)) if one]
            assert winners == [s3.get_object(Bucket="contested", Key=f"k{round_}")["Body"].read()]


def test_should_complete_one_conditional_multipart_upload_of_many(aws):
    s3 = aws("s3")
    s3.create_bucket(Bucket="parts")

    def upload(writer):
        target = {
            "Bucket": "parts",
            "Key": "whole",
            "UploadId": s3.create_multipart_upload(Bucket="parts", Key="whole")["UploadId"],
        }
        etag = s3.upload_part(**target, PartNumber=1, Body=bytes([writer]) * 1_000_000)["ETag"]
        try:
            s3.complete_multipart_upload(
                **target, IfNoneMatch="*", MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]}
            )
        except ClientError as error:
            assert error.response["Error"]["Code"] == "PreconditionFailed"
            return None
        return bytes([writer]) * 1_000_000

    with ThreadPoolExecutor(6) as pool:
        winners = [one for one in pool.map(upload, range(6)) if one]

    assert winners == [s3.get_object(Bucket="parts", Key="whole")["Body"].read()]


@pytest.fixture(scope="module")
def whole_and_joined(aws):
    """One text as two objects: put at once, and uploaded in three parts."""
    s3, text = aws("s3"), bytes(range(256)) * 50_000
    s3.create_bucket(Bucket="ranges")
    s3.put_object(Bucket="ranges", Key="whole", Body=text)
    upload = {"Bucket": "ranges", "Key": "joined"}
    upload["UploadId"] = s3.create_multipart_upload(**upload)["UploadId"]
    pieces = [text[:5_300_000], text[5_300_000:11_000_001], text[11_000_001:]]
    parts = [
        {"PartNumber": number, "ETag": s3.upload_part(**upload, PartNumber=number, Body=piece)["ETag"]}
        for number, piece in enumerate(pieces, 1)
    ]
    s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
    return text


@pytest.mark.parametrize("key", ["whole", "joined"])
@pytest.mark.parametrize(
    ("asked", "begin", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=5299999-5300000", 5_299_999, 5_300_001),
        ("bytes=5000000-11500000", 5_000_000, 11_500_001),
        ("bytes=12799990-", 12_799_990, 12_800_000),
        ("bytes=-7", 12_799_993, 12_800_000),
        ("bytes=12799999-99999999", 12_799_999, 12_800_000),
        ("", 0, 12_800_000),
        ("bytes=9-3", 0, 12_800_000),
    ],
)
def test_should_read_ranges_of_objects_where_they_lie(aws, whole_and_joined, key, asked, begin, end):
    range_ = {"Range": asked} if asked else {}
    answer = aws("s3").get_object(Bucket="ranges", Key=key, **range_)
    body = answer["Body"].read()
    assert (len(body), body == whole_and_joined[begin:end]) == (end - begin, True)
    if end - begin < len(whole_and_joined):
        assert answer["ContentRange"] == f"bytes {begin}-{end - 1}/12800000"


@pytest.mark.parametrize("key", ["whole", "joined"])
def test_should_refuse_a_range_beyond_the_object(aws, whole_and_joined, key):
    with pytest.raises(ClientError, match="InvalidRange"):
        aws("s3").get_object(Bucket="ranges", Key=key, Range="bytes=12800000-")
    assert aws("s3").head_object(Bucket="ranges", Key=key)["ContentLength"] == 12_800_000


def test_should_copy_and_replace_an_object_that_came_in_parts(aws, whole_and_joined):
    s3 = aws("s3")
    s3.copy_object(Bucket="ranges", Key="copy", CopySource="ranges/joined")
    assert s3.get_object(Bucket="ranges", Key="copy")["Body"].read() == whole_and_joined
    s3.put_object(Bucket="ranges", Key="copy", Body=b"new")
    assert s3.get_object(Bucket="ranges", Key="copy")["Body"].read() == b"new"


@pytest.mark.parametrize(
    ("sizes", "wrong", "code"),
    [((6_000_000, 10), 2, "InvalidPart"), ((10, 10), 0, "EntityTooSmall"), ((6_000_000,), 9, "MalformedXML")],
)
def test_should_refuse_parts_that_do_not_make_an_object(aws, whole_and_joined, sizes, wrong, code):
    s3, upload = aws("s3"), {"Bucket": "ranges", "Key": "refused"}
    upload["UploadId"] = s3.create_multipart_upload(**upload)["UploadId"]
    parts = [
        {"PartNumber": number, "ETag": s3.upload_part(**upload, PartNumber=number, Body=b"x" * size)["ETag"]}
        for number, size in enumerate(sizes, 1)
    ]
    for part in parts:
        if part["PartNumber"] == wrong:
            part["ETag"] = '"' + "0" * 32 + '"'
    with pytest.raises(ClientError, match=code):
        s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts if wrong != 9 else []})
