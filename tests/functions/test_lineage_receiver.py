"""What the receiver of lineage is sent: each event once, again where that may help, and to no other address."""

import pytest

from flowforge.domain.errors import TransformRejected
from flowforge.gold.models import copy_of_silver
from flowforge.gold.outcomes import ModelOutcome, write_outcome
from flowforge.runtime.settings import settings
from infra.sqlserver.certificate import ensure_certificate, server_context
from tests.helpers.lineage_events import NOON, ONE, dead_letter, kept, landed, published, refined, tell
from tests.helpers.receiver import receiving

pytestmark = pytest.mark.usefixtures("lineage_queues")


def test_should_tell_the_receiver_once_of_a_gold_table_that_stays_as_it_is(
    aws, context, lineage_receiver, landed_batch, unique
):
    name = landed_batch.command.silver.table
    model = copy_of_silver(name, name)
    write_outcome(
        settings().bucket,
        ModelOutcome.failed(model, TransformRejected("")).model_copy(update={"column_types": {"id": "integer"}}),
    )
    assert tell(context, published(landed_batch, name, definition=model.definition))
    another = published(landed(unique("t"), unique("run")), name, "unchanged", definition=model.definition)
    assert tell(context, another.model_copy(update={"models": [another.models[0].model_copy(
        update={"inputs": {f"silver.{name}": 1}})]}), ONE)  # fmt: skip
    assert [event["eventTime"] for event in lineage_receiver.of(f"gold.{name}")] == [NOON]
    assert len(kept(aws, f"gold.{name}")) == 1


@pytest.mark.parametrize(("status", "settled"), [(503, False), (429, False), (401, True), (400, True)])
def test_should_come_again_only_where_that_may_help(aws, context, lineage_receiver, landed_batch, status, settled):
    lineage_receiver.refuse(99, status)
    assert tell(context, refined(landed_batch)) == settled
    assert len(kept(aws, f"silver.{landed_batch.command.silver.table}")) == 1
    if settled:
        assert f"answered {status}" in dead_letter(aws)


def test_should_send_what_could_not_be_sent_when_the_message_comes_again(context, lineage_receiver, landed_batch):
    lineage_receiver.refuse(1)
    assert not tell(context, refined(landed_batch))
    assert tell(context, refined(landed_batch), attempt=2)
    kinds = [(event["eventType"], event["eventTime"]) for event in lineage_receiver.events]
    assert kinds == [("START", "2026-11-23T11:59:57.500Z"), ("COMPLETE", NOON)]


def test_should_follow_nobody_to_another_address(aws, context, lineage_receiver, landed_batch):
    lineage_receiver.refuse(1, 307)
    assert tell(context, refined(landed_batch))
    assert "sends to another address" in dead_letter(aws)
    assert lineage_receiver.events == []


@pytest.mark.parametrize(
    "url",
    ["http://lineage.example.com", "ftp://x", "lineage", "https://me:pa55word@x.example.com", "https://x/?k=pa55word"],
)
def test_should_refuse_an_address_that_is_not_one_to_send_to(aws, context, set_lineage_endpoint, landed_batch, url):
    set_lineage_endpoint(url)
    assert tell(context, refined(landed_batch))
    reason = dead_letter(aws)
    assert reason.startswith("EndpointRefused: LineageEndpoint")
    assert "pa55word" not in reason


def test_should_trust_only_a_certificate_that_is_signed_by_who_it_should_be(
    context, set_lineage_endpoint, landed_batch, tmp_path
):
    authority = ensure_certificate(tmp_path)
    with receiving(server_context(tmp_path)) as lineage_receiver:
        set_lineage_endpoint(lineage_receiver.url)
        assert not tell(context, refined(landed_batch))
        assert lineage_receiver.events == []
        set_lineage_endpoint(lineage_receiver.url, ca_file=str(authority))
        assert tell(context, refined(landed_batch))
    assert [event["eventType"] for event in lineage_receiver.events] == ["START", "COMPLETE"]


def test_should_say_which_secret_is_missing(aws, context, lineage_receiver, set_lineage_endpoint, landed_batch):
    set_lineage_endpoint(lineage_receiver.url, secret="flowforge/lineage/nobody")
    assert tell(context, refined(landed_batch))
    assert "flowforge/lineage/nobody" in dead_letter(aws)
    assert lineage_receiver.events == []
