"""Landing a batch: whole or not at all, once, in bounded parts, with nothing left behind."""

import random
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flowforge.bronze.keys import bronze_key
from flowforge.bronze.landing import land, manifest_of
from flowforge.bronze.upload import PART_BYTES
from flowforge.domain.batch import Batch
from flowforge.domain.errors import ConflictingTarget, SourceUnavailable, StoreUnavailable
from flowforge.domain.given import given
from flowforge.domain.interval import Interval
from flowforge.domain.source_columns import SourceColumn
from flowforge.sources.reports import ReadReport
from tests.helpers.batches import claim

COLUMNS = [SourceColumn(name="id", sql_type="bigint"), SourceColumn(name="v", sql_type="varbinary(max)")]
SCHEMA = pa.schema([("id", pa.int64()), ("v", pa.binary())])


class Reader:
    """A source of batches; it may end with an error, as a connection does that breaks."""

    def __init__(self, *sizes: int, width: int = 16, error: Exception | None = None):
        self.schema, self.sizes, self.width, self.error, self.closed = SCHEMA, sizes, width, error, 0

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        start = 0
        for size in self.sizes:
            ids = range(start, start + size)
            cells = [random.Random(n).randbytes(self.width) for n in ids]
            yield pa.RecordBatch.from_arrays([pa.array(ids, pa.int64()), pa.array(cells, pa.binary())], schema=SCHEMA)
            start += size
        if self.error:
            raise self.error

    def __enter__(self):
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def report(self) -> ReadReport:
        return ReadReport()

    def close(self) -> None:
        self.closed += 1


class Bucket:
    """What a user sees in the bucket."""

    def __init__(self, aws):
        self.s3, self.name = aws.client("s3"), aws.name("Lake")

    def read(self, key: str) -> pq.ParquetFile:
        return pq.ParquetFile(pa.BufferReader(self.s3.get_object(Bucket=self.name, Key=key)["Body"].read()))

    def keys(self, batch: Batch) -> list[str]:
        prefix = f"bronze/{batch.command.bronze.table}/"
        return [e["Key"] for e in self.s3.list_objects_v2(Bucket=self.name, Prefix=prefix).get("Contents", [])]

    def uploads(self, batch: Batch) -> list[str]:
        found = self.s3.list_multipart_uploads(Bucket=self.name).get("Uploads", [])
        return [e["Key"] for e in found if e["Key"] == bronze_key(batch)]


@pytest.fixture
def bucket(aws) -> Bucket:
    return Bucket(aws)


@pytest.fixture
def batch(aws, unique) -> Batch:
    return claim(unique("t"), unique("run"), Interval(column="id", sql_type="bigint", high="1000000"))


def landed(batch: Batch, reader: Reader, **options):
    found = land(batch, COLUMNS, "dbo.t", lambda: reader, **options)
    return manifest_of(batch, COLUMNS, ["id"], [found]) if found.object else None


def test_should_land_small_batches_as_one_object(bucket, batch):
    reader = Reader(3, 0, 2)
    manifest = landed(batch, reader)
    (found,) = given(manifest).objects
    assert (found.rows, given(manifest).rows, given(manifest).max_cursor_value) == (5, 5, "4")
    file = bucket.read(found.key)
    assert file.read().column("id").to_pylist() == [0, 1, 2, 3, 4]
    assert bucket.s3.head_object(Bucket=bucket.name, Key=found.key)["ETag"] == found.etag
    assert bucket.s3.head_object(Bucket=bucket.name, Key=found.key)["ContentLength"] == found.bytes
    assert reader.closed == 1


def test_should_land_large_batches_in_parts(bucket, batch):
    manifest = landed(batch, Reader(*[500] * 8, width=16_000))
    (found,) = given(manifest).objects
    assert found.bytes > 2 * PART_BYTES
    assert "-" in found.etag
    assert bucket.read(found.key).read(["id"]).column("id").to_pylist() == list(range(4_000))


def test_should_land_nothing_for_no_rows(bucket, batch):
    assert landed(batch, Reader()) is None
    assert bucket.keys(batch) == []


def test_should_land_an_object_without_rows_when_asked(bucket, batch):
    manifest = landed(batch, Reader(), even_empty=True)
    assert (given(manifest).rows, bucket.read(given(manifest).objects[0].key).schema_arrow.names[:2]) == (
        0,
        ["id", "v"],
    )


@pytest.mark.parametrize("sizes", [(), (10,), (500,) * 6], ids=["at once", "early", "while parts go up"])
def test_should_leave_nothing_behind_when_the_source_breaks(bucket, batch, sizes):
    reader = Reader(*sizes, width=16_000, error=SourceUnavailable("connection lost"))
    with pytest.raises(SourceUnavailable, match="connection lost"):
        landed(batch, reader)
    assert (bucket.keys(batch), bucket.uploads(batch), reader.closed) == ([], [], 1)


@pytest.mark.parametrize("width", [16, 16_000], ids=["one call", "parts"])
def test_should_adopt_its_own_object_when_an_attempt_before_has_completed_it(bucket, batch, width):
    sizes = [500] * 4
    first = landed(batch, Reader(*sizes, width=width))
    again = landed(batch, Reader(*sizes, width=width))
    assert given(again).objects == given(first).objects
    assert given(again).max_cursor_value == given(first).max_cursor_value
    assert bucket.uploads(batch) == []


def test_should_refuse_an_object_of_somebody_else(bucket, batch):
    bucket.s3.put_object(Bucket=bucket.name, Key=bronze_key(batch), Body=b"not mine")
    with pytest.raises(ConflictingTarget, match="exists and is no bronze object") as caught:
        landed(batch, Reader(3))
    assert "Move that file" in caught.value.remedy
    assert bucket.s3.get_object(Bucket=bucket.name, Key=bronze_key(batch))["Body"].read() == b"not mine"


def test_should_never_advise_to_remove_rows_that_another_batch_has_landed(bucket, batch):
    landed(batch, Reader(3))
    with pytest.raises(ConflictingTarget, match=r"holds batch 1 \(generation 1\)") as caught:
        landed(batch.model_copy(update={"generation": 7}), Reader(3))
    assert "Keep it" in caught.value.remedy and "flowforge watermark rebuild" in caught.value.remedy
    assert "another batch_id" not in caught.value.remedy


def test_should_raise_and_stop_reading_when_the_store_fails(aws, batch, monkeypatch):
    monkeypatch.setenv("FLOWFORGE_BUCKET", "no-such-bucket")
    reader = Reader(*[500] * 40, width=16_000)
    with pytest.raises(StoreUnavailable, match="NoSuchBucket"):
        landed(batch, reader)
    assert reader.closed
