"""record_lineage: what is kept of an event of the bus, once and in any order, and what a receiver's answers lead to."""

import json
from collections import Counter
from typing import Any

import attr
import pytest
from openlineage.client import event_v2, facet_v2
from openlineage.client.serde import Serde

from events import facts
from events.envelopes import eventbridge, sqs
from events.model import Message
from flowforge.aws.bus import announce
from flowforge.bronze.announcements import about, landed_fact
from flowforge.domain.errors import TransformRejected
from flowforge.gold.models import copy_of_silver, read_model
from flowforge.gold.outcomes import ModelOutcome, write_outcome
from flowforge.runtime.settings import settings
from flowforge.state import batches, runs
from functions.record_lineage.handler import handler
from infra.sqlserver.certificate import ensure_certificate, server_context
from tests.helpers.batches import claim, manifest
from tests.helpers.receiver import receiving

NOON, ONE, TWO = (f"2026-11-23T{hour}:00:00Z" for hour in (12, 13, 14))


@pytest.fixture(autouse=True)
def queues(aws, monkeypatch):
    aws.use("LineageQueue", "LineageDeadLetters", monkeypatch)
    aws.messages("LineageDeadLetters")


@pytest.fixture
def set_endpoint(monkeypatch):
    """Sets the receiver's address, and whatever else, for this process."""

    def use(url: str, **more: str) -> None:
        for name, value in {"endpoint": url, **more}.items():
            monkeypatch.setenv(f"FLOWFORGE_LINEAGE_{name.upper()}", value)

    return use


@pytest.fixture
def receiver(set_endpoint):
    with receiving() as running:
        set_endpoint(running.url)
        yield running


@pytest.fixture
def batch(unique):
    """A batch that has landed."""
    return landed(unique("t"), unique("run"))


def landed(name: str, run_id: str) -> Any:
    claimed = claim(name, run_id)
    return batches.land(claimed, manifest(claimed))


def refined(batch: Any, version: int = 1, **known: Any) -> facts.SilverRefined:
    counts = {"inserted": 3, "updated": 0, "silver_rows": 3, "seconds": 2.5}
    types = {"id": "integer", "_seq": "long", "_sk_id": "string"}
    table = batch.command.silver.table
    return facts.SilverRefined(
        **{**about(batch), "silver_table": table, "version": version, "column_types": types, **counts, **known}
    )


def published(batch: Any, table: str, how: str = "full", **known: Any) -> facts.GoldPublished:
    silver = f"silver.{batch.command.silver.table}"
    model = {"table": table, "how": how, "rows": 3, "version": 4, "inputs": {silver: 1}, "definition": 7} | known
    return facts.GoldPublished(**about(batch), models=[facts.PublishedModel(**model)])


def tell(context, fact: Message, at: str = NOON, event_id: str = "e1", attempt: int = 1) -> bool:
    """Delivers an event as the queue does; whether its message is settled."""
    envelope = eventbridge(type(fact).__name__, json.loads(fact.model_dump_json()), event_id=event_id) | {"time": at}
    return handler(sqs(envelope, attempt=attempt), context) == {"batchItemFailures": []}


def objects(aws, prefix: str) -> dict[str, dict[str, Any]]:
    s3, bucket = aws.client("s3"), settings().bucket
    found = s3.list_objects_v2(Bucket=bucket, Prefix=f"lineage/{prefix}").get("Contents", [])
    return {o["Key"]: json.loads(s3.get_object(Bucket=bucket, Key=o["Key"])["Body"].read()) for o in found}


def kept(aws, table: str) -> list[dict[str, Any]]:
    return list(objects(aws, f"events/{table.replace('.', '/')}/").values())


def latest(aws, table: str) -> dict[str, Any]:
    (event,) = objects(aws, f"latest/{table.replace('.', '/')}").values()
    return event


def dead_letter(aws) -> str:
    (letter,) = aws.messages("LineageDeadLetters")
    return letter["MessageAttributes"]["reason"]["StringValue"]


def _is_facet(kind: Any) -> bool:
    return attr.has(kind) and hasattr(kind, "_get_schema")


def as_openlineage_has_it(event: dict[str, Any]) -> dict[str, Any]:
    """The event after a way through the client's own classes, which check it and know every field of every facet."""
    modules = [module for module in vars(facet_v2).values() if hasattr(module, "__package__")]
    kinds: list[Any] = [kind for module in modules for kind in vars(module).values() if isinstance(kind, type)]
    classes: dict[str, Any] = {kind._get_schema(): kind for kind in kinds if _is_facet(kind)}

    def facets(given: dict[str, Any]) -> dict[str, Any]:
        made = {}
        for name, facet in given.items():
            kind = classes[facet["_schemaURL"]]
            known = {field.name for field in attr.fields(kind)}
            assert set(facet) <= known, (name, set(facet) - known)
            said = {k: v for k, v in facet.items() if not k.startswith("_")}
            made[name] = kind(**said, producer=facet["_producer"])
        return made

    def dataset(kind: type, given: dict[str, Any]) -> Any:
        parts = {k: facets(v) if k.lower().endswith("facets") else v for k, v in given.items()}
        return kind(**parts)

    job = {**event["job"], "facets": facets(event["job"]["facets"])}
    run = {**event["run"], "facets": facets(event["run"]["facets"])}
    made = event_v2.RunEvent(
        eventTime=event["eventTime"],
        eventType=event_v2.RunState(event["eventType"]),
        producer=event["producer"],
        run=event_v2.Run(**run),
        job=event_v2.Job(**job),
        inputs=[dataset(event_v2.InputDataset, given) for given in event["inputs"]],
        outputs=[dataset(event_v2.OutputDataset, given) for given in event["outputs"]],
    )
    return Serde.to_dict(made)


def test_should_keep_events_that_openlineages_own_model_takes(aws, context, batch):
    name = batch.command.silver.table
    figure = {"rule": "range id", "severity": "quarantine", "checked": 3, "failed": 1}
    assert tell(context, landed_fact(batch, 1.5))
    assert tell(context, refined(batch, quality=[figure]))
    assert tell(context, published(batch, name))
    failed = facts.StepFailed(
        **about(batch), step="silver", error="TransformRejected", cause="no key", remedy="name one"
    )
    assert tell(context, failed)
    events = [event for layer in ("bronze.bronze_", "silver.", "gold.") for event in kept(aws, f"{layer}{name}")]
    assert sorted(event["eventType"] for event in events) == ["COMPLETE", "COMPLETE", "COMPLETE", "FAIL"]
    assert [as_openlineage_has_it(event) for event in events] == events


def test_should_keep_the_first_telling_of_a_batch_and_no_other(aws, context, batch):
    assert tell(context, refined(batch), NOON)
    assert tell(context, refined(batch, seconds=99), ONE, event_id="e2")
    (event,) = kept(aws, f"silver.{batch.command.silver.table}")
    assert event["eventTime"] == NOON
    assert latest(aws, f"silver.{batch.command.silver.table}") == event


@pytest.mark.parametrize("order", [(1, 2, 3), (3, 2, 1), (2, 3, 1)])
def test_should_have_the_newest_event_in_whatever_order_they_come(aws, context, batch, order):
    for version in order:
        assert tell(context, refined(batch, version), (NOON, ONE, ONE)[version - 1])
    newest = latest(aws, f"silver.{batch.command.silver.table}")
    assert newest["outputs"][0]["facets"]["version"]["datasetVersion"] == "3"


def test_should_not_replace_what_another_worker_has_put_in_its_place(aws, context, batch):
    """Nor stumble over one that is gone: what a worker has written itself it replaces without a look, but not anything else."""
    table = f"silver.{batch.command.silver.table}"
    tell(context, refined(batch, 1), "2026-01-04T05:06:01Z")
    (key,) = objects(aws, f"latest/{table.replace('.', '/')}")
    later = {**latest(aws, table), "eventTime": "2026-01-04T05:06:09Z"}
    aws.client("s3").put_object(Bucket=settings().bucket, Key=key, Body=json.dumps(later).encode())
    tell(context, refined(batch, 2), "2026-01-04T05:06:02Z")
    assert latest(aws, table)["eventTime"] == "2026-01-04T05:06:09Z"
    tell(context, refined(batch, 3), "2026-01-04T05:06:10Z")
    aws.client("s3").delete_object(Bucket=settings().bucket, Key=key)
    tell(context, refined(batch, 4), "2026-01-04T05:06:11Z")
    assert latest(aws, table)["eventTime"] == "2026-01-04T05:06:11Z"


def test_should_not_let_a_failure_or_an_empty_interval_hide_what_a_table_was_made_from(aws, context, batch):
    name = f"bronze.{batch.command.bronze.table}"
    assert tell(context, landed_fact(batch), NOON)
    empty = facts.IntervalEmpty(**about(batch) | {"seq": batch.seq}, source_table="dbo.t", reason="no rows")
    assert tell(context, empty, ONE)
    assert tell(context, facts.StepFailed(**about(batch), step="ingest", error="X", cause="y"), TWO)
    assert latest(aws, name)["eventTime"] == NOON


def test_should_hear_of_empty_batches_and_not_of_tables_with_nothing_new(aws, batch):
    empty = facts.IntervalEmpty(**about(batch) | {"seq": batch.seq}, source_table="dbo.t", reason="no rows")
    announce(empty, empty.model_copy(update={"claimed": False}))
    heard = [detail for _, detail in aws.announced("LineageQueue") if detail["run_id"] == batch.command.run_id]
    assert [detail["claimed"] for detail in heard] == [True]


def test_should_wait_for_the_record_of_a_batch(aws, context, unique):
    claimed = claim(unique("t"), unique("run"))
    fact = refined(claimed).model_copy(update={"seq": 77})
    assert not tell(context, fact)
    assert kept(aws, f"silver.{claimed.command.silver.table}") == []


def test_should_read_the_records_of_an_invocations_batches_in_one_call(aws, context, unique):
    several = [landed(unique("t"), unique("run")) for _ in range(3)]
    unknown = refined(several[0]).model_copy(update={"seq": 77})
    told = [fact for batch in several for fact in (landed_fact(batch), refined(batch))]
    bodies = [eventbridge(type(fact).__name__, json.loads(fact.model_dump_json())) for fact in (unknown, *told)]
    before = Counter(aws.calls())
    failed = handler(sqs(*bodies, "no event"), context)["batchItemFailures"]
    calls = Counter(aws.calls()) - before
    assert len(failed) == 1  # that of which there is no record yet
    assert calls["DynamoDB BatchGetItem"] == calls["DynamoDB GetItem"] == 1  # the latter for that one
    for batch in several:
        assert [
            event["run"]["facets"]["parent"]["job"]["name"]
            for event in kept(aws, f"silver.{batch.command.silver.table}")
        ]
    assert dead_letter(aws)


def test_should_read_a_models_columns_from_its_record_unless_that_has_moved_on(aws, context, batch):
    name = batch.command.silver.table
    model = read_model(name, f"SELECT upper(CAST(id AS VARCHAR)) AS x FROM silver.{name}")
    facts_of = {"how": "full", "rows": 3, "version": 4, "column_types": {"x": "string"}}
    record = ModelOutcome.failed(model, TransformRejected("")).model_copy(
        update={**facts_of, "input_columns": {f"silver.{name}": ["id"]}}
    )
    write_outcome(settings().bucket, record)
    assert tell(context, published(batch, name, definition=model.definition))
    assert tell(context, published(batch, name, definition=model.definition + 1, version=5), ONE)
    with_columns, without = sorted(kept(aws, f"gold.{name}"), key=lambda event: event["eventTime"])
    (origin,) = with_columns["outputs"][0]["facets"]["columnLineage"]["fields"]["x"]["inputFields"]
    assert (origin["field"], origin["transformations"][0]["subtype"]) == ("id", "TRANSFORMATION")
    assert "columnLineage" not in without["outputs"][0]["facets"]
    assert without["inputs"][0]["facets"]["version"]["datasetVersion"] == "1"
    assert latest(aws, f"gold.{name}") == with_columns


def test_should_know_the_columns_of_a_copy_from_its_event(aws, context, batch):
    name = batch.command.silver.table
    assert tell(context, published(batch, name, copied={"id": "integer"}))
    (event,) = kept(aws, f"gold.{name}")
    (origin,) = event["outputs"][0]["facets"]["columnLineage"]["fields"]["id"]["inputFields"]
    assert (origin["name"], origin["field"]) == (f"silver/{name}", "id")
    assert [(field["name"], field["type"]) for field in event["outputs"][0]["facets"]["schema"]["fields"]] == [
        ("id", "integer")
    ]


def test_should_tell_the_receiver_once_of_a_gold_table_that_stays_as_it_is(aws, context, receiver, batch, unique):
    name = batch.command.silver.table
    model = copy_of_silver(name, name)
    write_outcome(
        settings().bucket,
        ModelOutcome.failed(model, TransformRejected("")).model_copy(update={"column_types": {"id": "integer"}}),
    )
    assert tell(context, published(batch, name, definition=model.definition))
    another = published(landed(unique("t"), unique("run")), name, "unchanged", definition=model.definition)
    assert tell(context, another.model_copy(update={"models": [another.models[0].model_copy(
        update={"inputs": {f"silver.{name}": 1}})]}), ONE)  # fmt: skip
    assert [event["eventTime"] for event in receiver.of(f"gold.{name}")] == [NOON]
    assert len(kept(aws, f"gold.{name}")) == 1


@pytest.mark.parametrize(("step", "made"), [("ingest", ["bronze.bronze_{}"]), ("silver", ["silver.{}"]),
                                            ("gold", ["gold.a", "gold.b"]), ("watermark", [])])  # fmt: skip
def test_should_tell_what_a_failed_step_would_have_made(context, receiver, batch, step, made):
    runs.open_run(batch.command.run_id, "wf", "job", "b", "http", [])
    told = {"error": "Boom", "cause": "it broke", "gold_tables": ["a", "b"] if step == "gold" else []}
    assert tell(context, facts.StepFailed(**about(batch), step=step, **told))
    ends = [event for event in receiver.events if event["eventType"] == "FAIL"]
    assert [event["job"]["name"] for event in ends] == [name.format(batch.command.silver.table) for name in made]
    for event in ends:
        assert event["run"]["facets"]["errorMessage"]["message"] == "Boom: it broke"
        assert event["run"]["facets"]["parent"]["job"]["name"] == "wf.job"


def test_should_give_each_failure_and_the_success_of_a_batch_a_run_of_its_own(context, receiver, batch):
    failed = facts.StepFailed(**about(batch), step="silver", error="Boom", cause="it broke")
    for event_id in ("e1", "e2", "e2"):
        assert tell(context, failed, event_id=event_id)
    assert tell(context, refined(batch))
    assert len({event["run"]["runId"] for event in receiver.events}) == 3


@pytest.mark.parametrize(("status", "settled"), [(503, False), (429, False), (401, True), (400, True)])
def test_should_come_again_only_where_that_may_help(aws, context, receiver, batch, status, settled):
    receiver.refuse(99, status)
    assert tell(context, refined(batch)) == settled
    assert len(kept(aws, f"silver.{batch.command.silver.table}")) == 1
    if settled:
        assert f"answered {status}" in dead_letter(aws)


def test_should_send_what_could_not_be_sent_when_the_message_comes_again(context, receiver, batch):
    receiver.refuse(1)
    assert not tell(context, refined(batch))
    assert tell(context, refined(batch), attempt=2)
    kinds = [(event["eventType"], event["eventTime"]) for event in receiver.events]
    assert kinds == [("START", "2026-11-23T11:59:57.500Z"), ("COMPLETE", NOON)]


def test_should_follow_nobody_to_another_address(aws, context, receiver, batch):
    receiver.refuse(1, 307)
    assert tell(context, refined(batch))
    assert "sends to another address" in dead_letter(aws)
    assert receiver.events == []


@pytest.mark.parametrize(
    "url",
    ["http://lineage.example.com", "ftp://x", "lineage", "https://me:pa55word@x.example.com", "https://x/?k=pa55word"],
)
def test_should_refuse_an_address_that_is_not_one_to_send_to(aws, context, set_endpoint, batch, url):
    set_endpoint(url)
    assert tell(context, refined(batch))
    reason = dead_letter(aws)
    assert reason.startswith("EndpointRefused: LineageEndpoint")
    assert "pa55word" not in reason


def test_should_trust_only_a_certificate_that_is_signed_by_who_it_should_be(context, set_endpoint, batch, tmp_path):
    authority = ensure_certificate(tmp_path)
    with receiving(server_context(tmp_path)) as receiver:
        set_endpoint(receiver.url)
        assert not tell(context, refined(batch))
        assert receiver.events == []
        set_endpoint(receiver.url, ca_file=str(authority))
        assert tell(context, refined(batch))
    assert [event["eventType"] for event in receiver.events] == ["START", "COMPLETE"]


def test_should_say_which_secret_is_missing(aws, context, receiver, set_endpoint, batch):
    set_endpoint(receiver.url, secret="flowforge/lineage/nobody")
    assert tell(context, refined(batch))
    assert "flowforge/lineage/nobody" in dead_letter(aws)
    assert receiver.events == []
