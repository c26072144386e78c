"""The schedule of upkeep: one message for every table of silver, gold and quarantine, ten of them in a call."""

from collections import Counter

from flowforge.aws.clients import client
from flowforge.runtime.settings import settings
from functions.maintain_lake.handler import handler

TABLES = 34


def test_should_queue_the_upkeep_of_every_table(aws, context, monkeypatch, unique):
    aws.use("UpkeepQueue", "UpkeepDeadLetters", monkeypatch)
    aws.messages("UpkeepQueue")
    name, bucket = unique("kept"), settings().bucket
    made = {(layer, f"{name}_{n}") for layer in ("silver", "gold") for n in range(TABLES)} | {("quarantine", name)}
    folders = {"silver": "silver", "gold": "gold", "quarantine": "silver/_quarantine"}
    for layer, table in made:
        client("s3").put_object(Bucket=bucket, Key=f"{folders[layer]}/{table}/_delta_log/{0:020}.json", Body=b"{}")
    before = Counter(aws.calls())
    told = handler({"maintain": True}, context)
    calls = Counter(aws.calls()) - before
    queued = Counter((body["layer"], body["table"]) for body in (m["body"] for m in aws.messages("UpkeepQueue")))
    assert told == {"queued": queued.total(), "failed": 0}
    assert {one: queued[one] for one in made} == dict.fromkeys(made, 1)
    assert calls["SQS SendMessage"] == 0
    assert calls["SQS SendMessageBatch"] == -(-queued.total() // 10)
    for layer, table in made:
        client("s3").delete_object(Bucket=bucket, Key=f"{folders[layer]}/{table}/_delta_log/{0:020}.json")
