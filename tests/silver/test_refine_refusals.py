"""What silver refuses of a batch, and what it takes of one whose columns or objects are not as before."""

import pyarrow as pa
import pytest

from flowforge.domain.errors import ConflictingTarget, StoreUnavailable, TransformRejected
from flowforge.gold.publish import publish
from flowforge.silver.refine import refine
from tests.helpers.silver_people import people, rows_of


def test_should_take_the_key_of_the_request_without_regard_to_case(lake):
    source = lake.source(key=["name"], requested_key=["ID"])
    refine(source.batch(1, people((1, "a", 1))), lake.bucket)
    assert refine(source.batch(2, people((1, "b", 2))), lake.bucket).updated == 1


def test_should_refuse_a_key_that_the_table_lacks_and_name_it(lake):
    with pytest.raises(TransformRejected, match="customer_no is not among") as refusal:
        refine(lake.source(requested_key=["customer_no"]).batch(1, people((1, "a", 1))), lake.bucket)
    assert "id, name, changed" in refusal.value.remedy


def test_should_refuse_an_object_that_is_not_the_landed_one(lake):
    batch = lake.source(key=["id"]).batch(1, people((1, "a", 1)))
    lake.s3.put_object(Bucket=lake.bucket, Key=batch.manifest.objects[0].key, Body=b"other")
    with pytest.raises(TransformRejected, match="ETag differs"):
        refine(batch, lake.bucket)
    lake.s3.delete_object(Bucket=lake.bucket, Key=batch.manifest.objects[0].key)
    with pytest.raises(TransformRejected, match="is gone"):
        refine(batch, lake.bucket)


def test_should_take_the_landed_object_once_what_lies_over_it_is_deleted_as_the_remedy_says(lake):
    lake.s3.put_bucket_versioning(Bucket=lake.bucket, VersioningConfiguration={"Status": "Enabled"})
    batch = lake.source(key=["id"]).batch(1, people((1, "a", 1)))
    place = {"Bucket": lake.bucket, "Key": batch.manifest.objects[0].key}
    lake.s3.put_object(**place, Body=b"other")
    lake.s3.delete_object(**place)
    with pytest.raises(TransformRejected) as refusal:
        refine(batch, lake.bucket)
    assert "delete what lies over it" in refusal.value.remedy
    assert "flowforge watermark reset bronze_customers" in refusal.value.remedy
    found = lake.s3.list_object_versions(Bucket=lake.bucket, Prefix=place["Key"])
    over = [
        version
        for version in found["Versions"]
        if version["ETag"].strip('"') != batch.manifest.objects[0].etag.strip('"')
    ]
    for version in [*over, *found["DeleteMarkers"]]:
        lake.s3.delete_object(**place, VersionId=version["VersionId"])
    assert refine(batch, lake.bucket).inserted == 1


def test_should_refuse_a_second_source_for_one_silver_table(lake):
    refine(lake.source(key=["id"]).batch(1, people((1, "a", 1))), lake.bucket)
    other = lake.source(key=["id"], source_key="other/db/dbo.customers")
    with pytest.raises(ConflictingTarget, match="belongs to srv/db"):
        refine(other.batch(1, people((1, "a", 1))), lake.bucket)


def test_should_add_a_new_column_and_keep_older_rows(lake):
    source = lake.source(key=["id"])
    names = ("id", "name")
    refine(source.batch(1, people((1, "a"), (2, "b"), names=names)), lake.bucket)
    refine(source.batch(2, people((2, "b", 20), (3, "c", 20))), lake.bucket)
    found = lake.read("silver", "customers")
    assert found.schema.field("changed").type == pa.timestamp("us")
    assert sorted((r["id"], r["changed"] is None) for r in found.to_pylist()) == [(1, True), (2, False), (3, False)]


def test_should_refuse_another_key_for_a_table_that_exists(lake):
    refine(lake.source(key=["id"]).batch(1, people((1, "a", 1))), lake.bucket)
    with pytest.raises(TransformRejected, match="tells rows apart by id, this batch by name"):
        refine(lake.source(key=["name"]).batch(2, people((1, "a", 1))), lake.bucket)
    with pytest.raises(TransformRejected, match="tells rows apart by id, this batch by nothing"):
        refine(lake.source(key=["id"], strategy="append").batch(3, people((1, "a", 1))), lake.bucket)


def test_should_keep_bronzes_audit_columns_whether_a_batch_has_them_or_not(lake):
    source = lake.source(key=["id"])
    audited = people((1, "a", 1), (2, "b", 1)).append_column("_batch_id", [["b1", "b1"]])
    refine(source.batch(1, audited, audit=["_batch_id"]), lake.bucket)
    refine(source.batch(2, people((2, "c", 2))), lake.bucket)
    assert [(row[0], row[3]) for row in rows_of(lake)] == [(1, "b1"), (2, None)]


def test_should_refuse_source_columns_with_names_of_its_own(lake):
    batch = lake.source().batch(1, pa.table({"id": [1], "_SEQ": [1]}))
    with pytest.raises(TransformRejected, match="_SEQ have names that silver needs itself"):
        refine(batch, lake.bucket)


def test_should_be_retriable_when_s3_cannot_be_reached(lake, monkeypatch):
    batch = lake.source(key=["id"]).batch(1, people((1, "a", 1)))
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")  # five take half a minute of waiting
    with pytest.raises(StoreUnavailable, match=r"silver\.customers: .*S3"):
        refine(batch, lake.bucket)
    with pytest.raises(StoreUnavailable):
        publish(batch, lake.bucket)
