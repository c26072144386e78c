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
from flowforge.aws.bus import announce
from flowforge.bronze.announcements import about, landed_fact
from flowforge.domain.errors import TransformRejected
from flowforge.gold.models import read_model
from flowforge.gold.outcomes import ModelOutcome, write_outcome
from flowforge.runtime.settings import settings
from flowforge.state import runs
from functions.record_lineage.handler import handler
from tests.helpers.batches import claim
from tests.helpers.lineage_events import (
    NOON,
    ONE,
    TWO,
    dead_letter,
    kept,
    landed,
    latest,
    objects,
    published,
    refined,
    tell,
)

pytestmark = pytest.mark.usefixtures("lineage_queues")


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


def test_should_keep_events_that_openlineages_own_model_takes(aws, context, landed_batch):
    name = landed_batch.command.silver.table
    figure = {"rule": "range id", "severity": "quarantine", "checked": 3, "failed": 1}
    assert tell(context, landed_fact(landed_batch, 1.5))
    assert tell(context, refined(landed_batch, quality=[figure]))
    assert tell(context, published(landed_batch, name))
    failed = facts.StepFailed(
        **about(landed_batch), step="silver", error="TransformRejected", cause="no key", remedy="name one"
    )
    assert tell(context, failed)
    events = [event for layer in ("bronze.bronze_", "silver.", "gold.") for event in kept(aws, f"{layer}{name}")]
    assert sorted(event["eventType"] for event in events) == ["COMPLETE", "COMPLETE", "COMPLETE", "FAIL"]
    assert [as_openlineage_has_it(event) for event in events] == events


def test_should_keep_the_first_telling_of_a_batch_and_no_other(aws, context, landed_batch):
    assert tell(context, refined(landed_batch), NOON)
    assert tell(context, refined(landed_batch, seconds=99), ONE, event_id="e2")
    (event,) = kept(aws, f"silver.{landed_batch.command.silver.table}")
    assert event["eventTime"] == NOON
    assert latest(aws, f"silver.{landed_batch.command.silver.table}") == event


@pytest.mark.parametrize("order", [(1, 2, 3), (3, 2, 1), (2, 3, 1)])
def test_should_have_the_newest_event_in_whatever_order_they_come(aws, context, landed_batch, order):
    for version in order:
        assert tell(context, refined(landed_batch, version), (NOON, ONE, ONE)[version - 1])
    newest = latest(aws, f"silver.{landed_batch.command.silver.table}")
    assert newest["outputs"][0]["facets"]["version"]["datasetVersion"] == "3"


def test_should_not_replace_what_another_worker_has_put_in_its_place(aws, context, landed_batch):
    """Nor stumble over one that is gone: what a worker has written itself it replaces without a look, but not anything else."""
    table = f"silver.{landed_batch.command.silver.table}"
    tell(context, refined(landed_batch, 1), "2026-01-04T05:06:01Z")
    (key,) = objects(aws, table.replace(".", "/"))
    later = {**latest(aws, table), "eventTime": "2026-01-04T05:06:09Z"}
    aws.client("s3").put_object(Bucket=settings().bucket, Key=key, Body=json.dumps(later).encode())
    tell(context, refined(landed_batch, 2), "2026-01-04T05:06:02Z")
    assert latest(aws, table)["eventTime"] == "2026-01-04T05:06:09Z"
    tell(context, refined(landed_batch, 3), "2026-01-04T05:06:10Z")
    aws.client("s3").delete_object(Bucket=settings().bucket, Key=key)
    tell(context, refined(landed_batch, 4), "2026-01-04T05:06:11Z")
    assert latest(aws, table)["eventTime"] == "2026-01-04T05:06:11Z"


def test_should_not_let_a_failure_or_an_empty_interval_hide_what_a_table_was_made_from(aws, context, landed_batch):
    name = f"bronze.{landed_batch.command.bronze.table}"
    assert tell(context, landed_fact(landed_batch), NOON)
    empty = facts.IntervalEmpty(
        **about(landed_batch) | {"seq": landed_batch.seq}, source_table="dbo.t", reason="no rows"
    )
    assert tell(context, empty, ONE)
    assert tell(context, facts.StepFailed(**about(landed_batch), step="ingest", error="X", cause="y"), TWO)
    assert latest(aws, name)["eventTime"] == NOON


def test_should_hear_of_empty_batches_and_not_of_tables_with_nothing_new(aws, landed_batch):
    empty = facts.IntervalEmpty(
        **about(landed_batch) | {"seq": landed_batch.seq}, source_table="dbo.t", reason="no rows"
    )
    announce(empty, empty.model_copy(update={"claimed": False}))
    heard = [detail for _, detail in aws.announced("LineageQueue") if detail["run_id"] == landed_batch.command.run_id]
    assert [detail["claimed"] for detail in heard] == [True]


def test_should_wait_for_the_record_of_a_batch(aws, context, unique):
    claimed = claim(unique("t"), unique("run"))
    fact = refined(claimed).model_copy(update={"seq": 77})
    assert not tell(context, fact)
    assert kept(aws, f"silver.{claimed.command.silver.table}") == []


def test_should_read_the_records_of_an_invocations_batches_in_one_call(aws, context, unique):
    several = [landed(unique("t"), unique("run")) for _ in range(3)]
    unknown = refined(several[0]).model_copy(update={"seq": 77})
    told = [fact for landed_batch in several for fact in (landed_fact(landed_batch), refined(landed_batch))]
    bodies = [eventbridge(type(fact).__name__, json.loads(fact.model_dump_json())) for fact in (unknown, *told)]
    before = Counter(aws.calls())
    failed = handler(sqs(*bodies, "no event"), context)["batchItemFailures"]
    calls = Counter(aws.calls()) - before
    assert len(failed) == 1  # that of which there is no record yet
    assert calls["DynamoDB BatchGetItem"] == 1
    assert calls["DynamoDB GetItem"] == 2  # for that one, ahead of its turn and in it
    for landed_batch in several:
        assert [
            event["run"]["facets"]["parent"]["job"]["name"]
            for event in kept(aws, f"silver.{landed_batch.command.silver.table}")
        ]
    assert dead_letter(aws)


def test_should_keep_what_an_invocation_tells_by_one_object(aws, context, unique):
    several = [landed(unique("t"), unique("run")) for _ in range(3)]
    told = [fact for one in several for fact in (landed_fact(one), refined(one))]
    bodies = [eventbridge(type(fact).__name__, json.loads(fact.model_dump_json())) for fact in told]
    before = Counter(aws.calls())
    assert handler(sqs(*bodies), context) == {"batchItemFailures": []}
    puts = (Counter(aws.calls()) - before)["S3 PutObject"]
    assert puts == len(told) + 1  # the newest of each table, and all of them together
    for one in several:
        for table in (f"bronze.{one.command.bronze.table}", f"silver.{one.command.silver.table}"):
            assert kept(aws, table) == [latest(aws, table)]


def test_should_keep_an_event_whose_first_worker_died_before_it_had_kept_it(aws, context, landed_batch):
    table, s3 = f"silver.{landed_batch.command.silver.table}", aws.client("s3")
    assert tell(context, refined(landed_batch), NOON)
    newest = latest(aws, table)
    for item in s3.list_objects_v2(Bucket=settings().bucket, Prefix="lineage/events/")["Contents"]:
        s3.delete_object(Bucket=settings().bucket, Key=item["Key"])
    assert tell(context, refined(landed_batch), NOON, attempt=2)
    assert tell(context, refined(landed_batch), NOON, attempt=3)
    assert kept(aws, table) == [latest(aws, table)] == [newest]


def test_should_read_a_models_columns_from_its_record_unless_that_has_moved_on(aws, context, landed_batch):
    name = landed_batch.command.silver.table
    model = read_model(name, f"SELECT upper(CAST(id AS VARCHAR)) AS x FROM silver.{name}")
    facts_of = {"how": "full", "rows": 3, "version": 4, "column_types": {"x": "string"}}
    record = ModelOutcome.failed(model, TransformRejected("")).model_copy(
        update={**facts_of, "input_columns": {f"silver.{name}": ["id"]}}
    )
    write_outcome(settings().bucket, record)
    assert tell(context, published(landed_batch, name, definition=model.definition))
    assert tell(context, published(landed_batch, name, definition=model.definition + 1, version=5), ONE)
    with_columns, without = sorted(kept(aws, f"gold.{name}"), key=lambda event: event["eventTime"])
    (origin,) = with_columns["outputs"][0]["facets"]["columnLineage"]["fields"]["x"]["inputFields"]
    assert (origin["field"], origin["transformations"][0]["subtype"]) == ("id", "TRANSFORMATION")
    assert "columnLineage" not in without["outputs"][0]["facets"]
    assert without["inputs"][0]["facets"]["version"]["datasetVersion"] == "1"
    assert latest(aws, f"gold.{name}") == with_columns


def test_should_know_the_columns_of_a_copy_from_its_event(aws, context, landed_batch):
    name = landed_batch.command.silver.table
    assert tell(context, published(landed_batch, name, copied={"id": "integer"}))
    (event,) = kept(aws, f"gold.{name}")
    (origin,) = event["outputs"][0]["facets"]["columnLineage"]["fields"]["id"]["inputFields"]
    assert (origin["name"], origin["field"]) == (f"silver/{name}", "id")
    assert [(field["name"], field["type"]) for field in event["outputs"][0]["facets"]["schema"]["fields"]] == [
        ("id", "integer")
    ]


@pytest.mark.parametrize(("step", "made"), [("ingest", ["bronze.bronze_{}"]), ("silver", ["silver.{}"]),
                                            ("gold", ["gold.a", "gold.b"]), ("watermark", [])])  # fmt: skip
def test_should_tell_what_a_failed_step_would_have_made(context, lineage_receiver, landed_batch, step, made):
    runs.open_run(landed_batch.command.run_id, "wf", "job", "b", "http", [])
    told = {"error": "Boom", "cause": "it broke", "gold_tables": ["a", "b"] if step == "gold" else []}
    assert tell(context, facts.StepFailed(**about(landed_batch), step=step, **told))
    ends = [event for event in lineage_receiver.events if event["eventType"] == "FAIL"]
    assert [event["job"]["name"] for event in ends] == [name.format(landed_batch.command.silver.table) for name in made]
    for event in ends:
        assert event["run"]["facets"]["errorMessage"]["message"] == "Boom: it broke"
        assert event["run"]["facets"]["parent"]["job"]["name"] == "wf.job"


def test_should_give_each_failure_and_the_success_of_a_batch_a_run_of_its_own(context, lineage_receiver, landed_batch):
    failed = facts.StepFailed(**about(landed_batch), step="silver", error="Boom", cause="it broke")
    for event_id in ("e1", "e2", "e2"):
        assert tell(context, failed, event_id=event_id)
    assert tell(context, refined(landed_batch))
    assert len({event["run"]["runId"] for event in lineage_receiver.events}) == 3
