"""The sweeper: what landed and was not followed up is told again."""

import base64
import io
import json
import zlib
from itertools import pairwise

import pyarrow as pa
import pytest

from events.envelopes import eventbridge, http, sqs
from flowforge.aws import items
from flowforge.bronze.announcements import landed_fact
from flowforge.bronze.keys import bronze_keys
from flowforge.bronze.parquet import Encoder
from flowforge.domain.given import given
from flowforge.domain.slice_plan import KeyRange, SlicePlan
from flowforge.domain.source_columns import SourceColumn
from flowforge.domain.source_key import SourceKey
from flowforge.operations.sweep import sweep
from flowforge.runtime.settings import settings
from flowforge.state import batch_records, batches, claims, corrections, leases, outbox, runs, table
from functions.refine_silver.handler import handler as refine
from functions.track_run.handler import handler as track
from functions.watermark.handler import handler
from tests.helpers.batches import INTERVAL, claim, manifest
from tests.helpers.commands import command


@pytest.fixture(autouse=True)
def queues(aws, monkeypatch):
    aws.use("WatermarkQueue", "WatermarkDeadLetters", monkeypatch)
    sweep(-60, -60)
    for queue in ("WatermarkQueue", "RefineQueue", "TrackQueue", "IngestQueue"):
        aws.messages(queue)


def told_of(aws, batch, queue) -> list[str]:
    return [kind for kind, detail in aws.announced(queue) if detail["source_key"] == batch.source_key]


def test_should_tell_again_of_a_batch_whose_announcement_was_lost(aws, context, unique):
    batch = claim(unique("t"), unique("run"))
    batches.land(batch, manifest(batch))
    sweep(-60)
    assert told_of(aws, batch, "WatermarkQueue") == ["BronzeLanded"]
    assert told_of(aws, batch, "RefineQueue") == ["BronzeLanded"]


def test_should_queue_a_claim_again_whose_message_was_lost(aws, context, unique):
    batch = claim(unique("t"), unique("run"))
    sweep(-60)
    assert batch.command.run_id in [message["body"]["run_id"] for message in aws.messages("IngestQueue")]


def test_should_leave_alone_what_has_just_moved_or_is_published(aws, context, unique):
    batch = claim(unique("t"), unique("run"))
    landed = batches.land(batch, manifest(batch))
    assert handler({"sweep": True}, context)["landed"] == 0
    batches.mark(landed, published=True)
    sweep(-60)
    assert told_of(aws, batch, "RefineQueue") == []


def test_should_commit_a_batch_that_is_told_of_twice_once(aws, context, unique):
    batch = claim(unique("t"), unique("run"))
    landed = batches.land(batch, manifest(batch))
    body = eventbridge("BronzeLanded", json.loads(landed_fact(landed).model_dump_json()))
    assert handler(sqs(body, body), context) == {"batchItemFailures": []}
    state = table.read_state(batch.source_key)
    assert (state.active, state.watermarks["modified"].value) == (None, batch.interval.high)
    assert told_of(aws, batch, "TrackQueue") == ["WatermarkCommitted", "WatermarkCommitted"]


def test_should_not_sweep_a_batch_that_silver_has_given_up(aws, context, unique, monkeypatch):
    aws.use("RefineQueue", "RefineDeadLetters", monkeypatch)
    batch = claim(unique("t"), unique("run"))
    landed = batches.land(batch, manifest(batch))
    body = eventbridge("BronzeLanded", json.loads(landed_fact(landed).model_dump_json()))
    assert refine(sqs(body, attempt=9), context) == {"batchItemFailures": []}
    assert [kind for kind, detail in aws.announced() if detail["run_id"] == batch.command.run_id] == ["StepFailed"]
    sweep(-60)
    assert told_of(aws, batch, "RefineQueue") == []
    damage(batch)  # its record cannot be read: the message is given up all the same, and the run is told
    assert refine(sqs(body, attempt=9), context) == {"batchItemFailures": []}
    assert [kind for kind, detail in aws.announced() if detail["run_id"] == batch.command.run_id] == ["StepFailed"]


def test_should_explain_what_sqs_has_moved_to_the_dead_letters_by_itself(aws, context, unique, monkeypatch):
    pairs = f"ingest={aws.name('IngestDeadLetters')} silver={aws.name('RefineDeadLetters')}"
    monkeypatch.setenv("FLOWFORGE_DEAD_LETTER_QUEUES", pairs)
    for queue in ("IngestDeadLetters", "RefineDeadLetters"):
        aws.messages(queue)
    wanted = command(unique("t"), unique("run"))
    sqs_client = aws.client("sqs")
    for text in (wanted.model_dump_json(), "not json"):
        sqs_client.send_message(QueueUrl=aws.name("IngestDeadLetters"), MessageBody=text)
    said = {"step": {"DataType": "String", "StringValue": "silver"}}
    sqs_client.send_message(QueueUrl=aws.name("RefineDeadLetters"), MessageBody="{}", MessageAttributes=said)
    assert handler({"sweep": True}, context)["dead_letters"] == 2
    assert handler({"sweep": True}, context)["dead_letters"] == 0
    monkeypatch.undo()
    told = [detail for kind, detail in aws.announced() if kind == "StepFailed"]
    assert [(d["run_id"], d["step"], d["bronze_table"]) for d in told] == [
        (wanted.run_id, "ingest", wanted.bronze.table)
    ]
    dead = aws.messages("IngestDeadLetters")
    assert sorted(d["Body"] for d in dead) == sorted([wanted.model_dump_json(), "not json"])
    assert all("reason" in d["MessageAttributes"] for d in dead)


def test_should_not_queue_a_claim_for_ever(aws, context, unique):
    batch = claim(unique("t"), unique("run"))
    queued = 0
    for _ in range(6):
        sweep(-60)
        queued += len([m for m in aws.messages("IngestQueue") if m["body"]["run_id"] == batch.command.run_id])
    assert queued == 2


def put_objects(aws, batch) -> None:
    """Puts the batch's objects into the bucket, without rows but with their footers."""
    for n, key in enumerate(bronze_keys(batch)):
        file = io.BytesIO()
        columns = [SourceColumn(name="id", sql_type="int")]
        Encoder(file, pa.schema([("id", pa.int32())]), batch, columns, "dbo.t", n).close()
        aws.client("s3").put_object(Bucket=aws.name("Lake"), Key=key, Body=file.getvalue())


def keys_of(aws, batch) -> list[str]:
    prefix = f"bronze/{batch.command.bronze.table}/"
    found = aws.client("s3").list_objects_v2(Bucket=aws.name("Lake"), Prefix=prefix)
    return [entry["Key"] for entry in found.get("Contents", [])]


def sliced_claim(name: str, run_id: str):
    """A claim of three slices."""
    wanted = command(name, run_id)
    key = str(SourceKey.of(wanted.connection, "dbo", name, wanted.bronze.table))
    columns = [SourceColumn(name="id", sql_type="int")]
    bounds = [None, ["1"], ["2"], None]
    ranges = [KeyRange(low=low, high=high) for low, high in pairwise(bounds)]
    plan = SlicePlan(schema_name="dbo", name=name, columns=columns, key=columns, primary_key=["id"], ranges=ranges)
    return claims.claim(table.read_state(key), wanted, f"dbo.{name}", INTERVAL, {}, [], plan)


def test_should_remove_the_objects_of_a_batch_that_was_given_up_and_no_others(aws, unique):
    name = unique("t")
    given_up = sliced_claim(name, unique("run"))
    put_objects(aws, given_up)
    leases.fail(given_up)
    batches.abandon(given_up)
    landed = claim(name, unique("run"), batch_id="other")
    put_objects(aws, landed)
    landed = batches.land(landed, manifest(landed))
    foreign = bronze_keys(given_up)[1]
    aws.client("s3").put_object(Bucket=aws.name("Lake"), Key=foreign, Body=b"somebody else's")
    assert sweep(-60)["removed"] == 0  # a worker may still be at it
    assert keys_of(aws, given_up) == sorted(bronze_keys(given_up) + bronze_keys(landed))
    assert sweep(-60, -60)["removed"] == 1
    assert keys_of(aws, given_up) == sorted([foreign, *bronze_keys(landed)])
    assert sweep(-60, -60)["removed"] == 0


@pytest.mark.parametrize("has_landed", [False, True])
def test_should_keep_what_is_in_a_manifest_when_a_batch_is_voided_by_hand(aws, unique, has_landed):
    batch = sliced_claim(unique("t"), unique("run"))
    put_objects(aws, batch)
    if has_landed:
        batch = batches.land(batch, manifest(batch))
    corrections.reset_watermarks(table.read_state(batch.source_key), "wrong")
    assert given(batch_records.find_batch(batch.source_key, batch.generation, batch.seq)).state == "voided"
    sweep(-60, -60)
    assert keys_of(aws, batch) == (bronze_keys(batch) if has_landed else [])


def test_should_tell_how_long_the_oldest_batch_has_stood_still_and_whose_it_is(aws, context, unique, capsys):
    batch = claim(unique("t"), unique("run"))
    expression, long_ago = "SET claimed_at = :at", {":at": 1_000_000.0}
    items.update(settings().watermarks_table, batch_records.key_of(batch), expression, long_ago)
    sweep(-60)
    (told,) = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "OldestBatchSeconds" in line]
    assert told["OldestBatchSeconds"][0] > 1_000_000
    assert told["oldest_table"] == batch.command.bronze.table
    corrections.reset_watermarks(table.read_state(batch.source_key), "given up")
    sweep(-60)
    assert batch.command.bronze.table not in capsys.readouterr().out


def damage(batch, field: str = "command") -> str:
    """Damages a part of a batch's record, as a person's edit in a console may; returns what was there."""
    before = given(items.get(settings().watermarks_table, batch_records.key_of(batch)))[field]
    expression, text = "SET #f = :text", {":text": before.replace('"run_id"', '"was"').replace('"bucket"', '"was"')}
    items.update(settings().watermarks_table, batch_records.key_of(batch), expression, text, f=field)
    return before


def track_all(aws, context) -> None:
    for message in aws.messages("TrackQueue"):
        track(sqs(message["body"]), context)


def test_should_follow_up_all_others_when_one_record_cannot_be_read(aws, context, unique, capsys):
    broken = claim(unique("t"), unique("run"))
    runs.open_run(broken.command.run_id, "wf", "job", "b", "http", [(broken.command.bronze.table, "dbo.t")])
    broken = batches.land(broken, manifest(broken))
    before = damage(broken, "manifest")
    others = [claim(unique("t"), unique("run")) for _ in range(2)]
    for other in others:
        batches.land(other, manifest(other))
    submitted = command(unique("t"), unique("run"))
    outbox.keep(submitted.run_id, [submitted])
    runs.open_run(submitted.run_id, "wf", "job", "b", "http", [(submitted.bronze.table, "dbo.t")])
    told = sweep(-60)
    assert told["submitted"] >= 1 and told["failed"] >= 1  # others may have left some, too
    assert "SweepFailures" in capsys.readouterr().out
    assert batch_records.open_batches(-60)[0] != batch_records.key_of(broken)  # it does not come first next time
    refined = {detail["source_key"] for _, detail in aws.announced("RefineQueue")}
    assert {other.source_key for other in others} <= refined
    assert submitted.run_id in [message["body"]["run_id"] for message in aws.messages("IngestQueue")]
    track_all(aws, context)
    (failed,) = runs.read_run(broken.command.run_id)["tables"]
    assert (failed["status"], failed["error"]["step"]) == ("failed", "silver")
    assert "cannot be read" in failed["error"]["cause"] and "watermark" in failed["error"]["remedy"]
    sweep(-60)
    assert [kind for kind, _ in aws.announced()].count("StepFailed") == 0  # a run is told once
    items.update(settings().watermarks_table, batch_records.key_of(broken), "SET manifest = :text", {":text": before})
    for queue in ("RefineQueue", "WatermarkQueue"):
        aws.messages(queue)
    sweep(-60)
    assert told_of(aws, broken, "RefineQueue") == ["BronzeLanded"]
    assert given(batch_records.find_batch(broken.source_key, broken.generation, broken.seq)).problem == ""


def test_should_show_and_give_up_a_batch_whose_record_cannot_be_read(aws, context, unique):
    batch = claim(unique("t"), unique("run"))
    damage(batch)
    sweep(-60)
    name = f"bronze_{batch.command.source.title}"
    shown = json.loads(handler(http("GET", f"/api/watermarks/{name}", "/api/watermarks/{table}"), context)["body"])
    assert [(past["seq"], past["state"]) for past in shown["history"]] == [(batch.seq, "unreadable")]
    assert "cannot be read" in shown["history"][0]["problem"]
    corrections.reset_watermarks(table.read_state(batch.source_key), "damaged")
    assert claim(batch.command.source.title, unique("run")).seq == batch.seq + 1


def test_should_list_the_watermarks_of_all_others_when_one_state_cannot_be_read(aws, context, unique):
    broken, good = claim(unique("t"), unique("run")), claim(unique("t"), unique("run"))
    key = {"pk": broken.source_key, "sk": table.STATE}
    items.update(settings().watermarks_table, key, "SET watermarks = :text", {":text": "{"})
    answer = json.loads(handler(http("GET", "/api/watermarks"), context)["body"])
    by_key = {mark["source_key"]: mark for mark in answer["watermarks"]}
    assert by_key[good.source_key]["seq"] == good.seq
    assert "watermark rebuild" in by_key[broken.source_key]["problem"]
    items.delete(
        settings().watermarks_table, {"pk": table.TABLES, "sk": broken.source_key}
    )  # other tests list them, too


def test_should_queue_what_can_be_read_of_a_damaged_submission_and_say_what_is_lost(aws, context, unique):
    good, lost = command(unique("t"), unique("run")), unique("t")
    other = command(unique("t"), unique("run"))
    text = f'{good.model_dump_json()}\n{{"run_id": "{good.run_id}"}}'
    packed = base64.b85encode(zlib.compress(text.encode())).decode()
    for wanted in (good, other):
        outbox.keep(wanted.run_id, [wanted])
    key = {"pk": good.run_id, "sk": "COMMANDS#0000"}
    items.update(settings().runs_table, key, "SET commands = :text", {":text": packed})
    tables = [(good.bronze.table, "dbo.t"), (f"bronze_{lost}", "dbo.lost")]
    runs.open_run(good.run_id, "wf", "job", "b", "http", tables)
    runs.open_run(other.run_id, "wf", "job", "b", "http", [(other.bronze.table, "dbo.t")])
    assert sweep(-60)["submitted"] == 2
    queued = {message["body"]["run_id"] for message in aws.messages("IngestQueue")}
    assert {good.run_id, other.run_id} <= queued
    track_all(aws, context)
    statuses = {found["table"]: found["status"] for found in runs.read_run(good.run_id)["tables"]}
    assert statuses == {good.bronze.table: "queued", f"bronze_{lost}": "failed"}
    assert sweep(-60)["submitted"] == 0


def test_should_find_a_silent_dead_letter_behind_many_that_are_explained(aws, context, monkeypatch):
    monkeypatch.setenv("FLOWFORGE_DEAD_LETTER_QUEUES", f"ingest={aws.name('IngestDeadLetters')}")
    aws.messages("IngestDeadLetters")
    said = {"step": {"DataType": "String", "StringValue": "ingest"}}
    url, client = aws.name("IngestDeadLetters"), aws.client("sqs")
    for _ in range(23):
        client.send_message(QueueUrl=url, MessageBody="{}", MessageAttributes=said)
    client.send_message(QueueUrl=url, MessageBody='{"run_id": 5, "bronze_table": {"odd": true}}')
    client.send_message(QueueUrl=url, MessageBody="[]")
    assert sweep(-60)["dead_letters"] == 2
    monkeypatch.undo()
    assert len(aws.messages("IngestDeadLetters")) == 25
