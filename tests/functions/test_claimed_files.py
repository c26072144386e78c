"""What a claim has fixed of a job's files is what lands, whatever becomes of worker, file or state in between."""

import pytest
from botocore.exceptions import ClientError

from events.api.watermarks import Acceptance, NewWatermark
from events.files import FileContract
from events.request import InvalidRequest
from flowforge.aws.clients import client
from flowforge.bronze.ingest import ingest
from flowforge.bronze.orphaned_objects import remove_orphaned_objects
from flowforge.domain.errors import LakeChanged, StoreUnavailable, Wait
from flowforge.operations.rebuild import rebuild
from flowforge.operations.watermarks import accept_by_hand, reset_by_hand, set_by_hand
from flowforge.runtime.settings import settings
from flowforge.state import batch_records
from tests.helpers.aws_proxy import AwsProxy, Call, Fault
from tests.helpers.file_jobs import CSV, forget, only, why_nothing


def test_should_read_what_is_there_where_a_file_is_replaced_before_it_is_read(job, aws, monkeypatch):
    files = job()
    key = files.put("a.csv", "1,1,old")
    direct, meanwhile = aws.client("s3"), ["Id,Amount,Note\n2,2,new\n3,3,new\n"]

    def replaced(call: Call) -> None:
        if call.operation == "S3.GET" and key in call.path and meanwhile:
            direct.put_object(Bucket=settings().bucket, Key=key, Body=meanwhile.pop())

    command = files.command()
    with AwsProxy(aws.endpoint) as proxy:
        proxy.rule = replaced
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        with pytest.raises(Wait, match="was replaced"):
            ingest(command)
        monkeypatch.undo()
    files.follow(ingest(command))
    assert files.ids() == [2, 3]
    assert files.states() == ["voided", "committed"]
    assert files.taken()[key].rows == 2


@pytest.mark.parametrize(
    ("operation", "part"), [("S3.PUT", "bronze_"), ("DynamoDB.BatchWriteItem", "")], ids=["before", "after"]
)
def test_should_land_what_was_claimed_where_a_worker_ends_before_or_after_its_object_is_there(
    job, aws, monkeypatch, operation, part
):
    files = job()
    first = files.put("a.csv", "1,1,a")
    command = files.command()

    def ended(call: Call) -> Fault | None:
        mine = call.operation == operation and part in call.path
        return Fault("instead", status=400, code="AccessDenied") if mine else None

    with AwsProxy(aws.endpoint) as proxy:
        proxy.rule = ended
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        with pytest.raises(StoreUnavailable):
            ingest(command)
        monkeypatch.undo()
    files.put("b.csv", "2,2,b")
    assert files.states() == ["claimed"]
    files.follow(ingest(command))
    assert files.ids() == [1]
    assert files.states() == ["committed"]
    assert files.taken()[first].rows == 1
    files.load()
    assert files.ids() == [1, 2]


def test_should_keep_what_was_read_of_a_file_that_is_replaced_before_its_batch_lands(job, aws, monkeypatch):
    files = job(contract=FileContract(format="csv", bad_rows="quarantine", most_bad_share=0.5))
    key = files.put("a.csv", "1,1,a", "2,2", header="id,amount,note")
    command = files.command()
    with AwsProxy(aws.endpoint) as proxy:
        proxy.rule = lambda call: (
            Fault("instead", status=400, code="AccessDenied") if call.operation == "DynamoDB.BatchWriteItem" else None
        )
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        with pytest.raises(StoreUnavailable):
            ingest(command)
        monkeypatch.undo()
    files.put("a.csv", "3,3,c", header="id,amount,note")
    fact = only(files.follow(ingest(command)))
    assert (fact.records, fact.source_rows) == (1, 1)
    assert (files.taken()[key].rows, files.taken()[key].rejected) == (1, 1)
    files.load()
    assert files.ids() == ["1", "3"]


def test_should_know_after_a_rebuild_of_its_state_what_was_loaded(job, aws):
    files = job()
    first, second = files.put("a.csv", "1,1,a"), files.put("b.csv", "2,2,b", "3,3,c")
    files.load()
    forget(files.key)
    files.put("c.csv", "4,4,d")
    with pytest.raises(LakeChanged, match="does not know"):
        files.load()
    (told,) = rebuild(settings().bucket, f"bronze_{files.name}", write=True)["tables"]
    assert (told["action"], told["files"]) == ("written", 2)
    assert {key: one.rows for key, one in files.taken().items()} == {first: 1, second: 2}
    files.load()
    assert files.ids() == [1, 2, 3, 4]
    assert "no new file" in why_nothing(files.load()).reason


def test_should_refuse_to_set_or_accept_a_watermark_of_files_and_load_all_again_after_a_reset(job, aws):
    files = job(silver={"strategy": "merge", "primary_key": ["id"]})
    files.put("a.csv", "1,1,a")
    files.load()
    name = f"bronze_{files.name}"
    with pytest.raises(InvalidRequest, match="loaded from files, which have no watermark"):
        set_by_hand(name, NewWatermark(column="id", value="1"))
    with pytest.raises(InvalidRequest, match="only a reset is possible"):
        accept_by_hand(name, Acceptance())
    reset_by_hand(name, "again")
    assert only(files.load()).records == 1
    assert files.ids() == [1]


def test_should_remove_the_rejects_of_a_batch_that_was_given_up(job):
    files = job(contract=CSV.model_copy(update={"bad_rows": "quarantine", "most_bad_share": 1.0}))
    files.put("a.csv", "x,1,a")
    fact = why_nothing(files.load())
    (batch,) = batch_records.all_batches(files.key)
    stored = {"Bucket": settings().bucket, "Key": f"rejected/bronze_{files.name}/{batch.label}.parquet"}
    assert client("s3").head_object(**stored)["ContentLength"]
    assert any("1 of 1 records were rejected" in note for note in fact.notes)
    other = batch.model_copy(update={"claim": "another"})
    assert remove_orphaned_objects(other, -60)
    assert client("s3").head_object(**stored)["ContentLength"]
    assert remove_orphaned_objects(batch, -60)
    with pytest.raises(ClientError, match="404"):
        client("s3").head_object(**stored)
