"""send_alerts: what the bus tells, as a webhook and Slack get it; and what never leaves."""

import uuid
from typing import Any

import pytest

from events.envelopes import eventbridge, sqs
from events.facts import BronzeLanded, GoldPublished, IntervalEmpty, StepFailed, TablesUnchanged
from functions.send_alerts.handler import handler
from tests.helpers.alerts import deliver, failed, kinds, refined, secret
from tests.helpers.function_calls import Context

pytestmark = pytest.mark.usefixtures("alert_queues")


def test_should_tell_slack_in_its_own_form(aws, receiver, batch, monkeypatch):
    monkeypatch.setenv("FLOWFORGE_ALERT_WEBHOOK", "")
    monkeypatch.setenv("FLOWFORGE_ALERT_SLACK_SECRET", secret(aws, {"url": f"{receiver.url}/services/T/B/x"}))
    deliver(failed(batch))
    (taken,) = receiver.taken
    assert taken.path == "/services/T/B/x"
    assert list(taken.document) == ["text"]
    assert all(
        word in taken.document["text"]
        for word in ("*failure*", batch["bronze_table"], "no &lt;table&gt; &amp; no view")
    )


def test_should_tell_a_failure_once_until_it_changes_or_a_day_has_passed_and_its_end_once(receiver, batch):
    deliver(failed(batch), at="2026-11-08T06:00:00Z")
    deliver(failed(batch), at="2026-11-08T07:00:00Z")
    assert kinds(receiver) == ["failure"]
    deliver(failed(batch, error="LoginRefused"), at="2026-11-08T08:00:00Z")
    deliver(failed(batch, error="LoginRefused"), at="2026-11-09T09:00:00Z")
    assert kinds(receiver) == ["failure"] * 3
    deliver(GoldPublished(**batch), at="2026-11-09T10:00:00Z")
    deliver(GoldPublished(**batch), at="2026-11-09T11:00:00Z")
    assert kinds(receiver) == ["failure"] * 3 + ["recovery"]
    assert receiver.taken[-1].document["details"]["failing_since"] == "2026-11-08T06:00:00Z"
    deliver(failed(batch), at="2026-11-09T12:00:00Z")
    assert kinds(receiver)[-1] == "failure"


def test_should_take_a_load_without_news_for_a_recovery_of_reading_only(receiver, batch):
    empty = IntervalEmpty(**batch, source_table="dbo.t", reason="nothing new")
    deliver(failed(batch, step="silver", error="TransformRejected"))
    deliver(empty)
    assert kinds(receiver) == ["failure"]
    deliver(failed(batch))
    deliver(empty)
    assert kinds(receiver) == ["failure", "failure", "recovery"]


def test_should_take_tables_that_have_not_changed_for_read_again(receiver, batch, unique):
    other = unique("bronze_t")
    deliver(failed(batch))
    deliver(TablesUnchanged(run_id=batch["run_id"], tables=[other, batch["bronze_table"]]))
    assert kinds(receiver) == ["failure", "recovery"]
    assert receiver.taken[-1].document["table"] == batch["bronze_table"]
    deliver(failed(batch, step="silver", error="TransformRejected"))
    deliver(TablesUnchanged(run_id=batch["run_id"], tables=[batch["bronze_table"]]))
    assert kinds(receiver) == ["failure", "recovery", "failure"]


def test_should_tell_of_columns_that_changed_and_of_rows_in_quarantine(receiver, batch):
    deliver(refined(batch))
    assert receiver.taken == []
    deliver(refined(batch, schema_changes=["added email"], quarantined=3))
    assert kinds(receiver) == ["drift", "quarantine"]
    assert "added email" in receiver.taken[0].document["title"]
    assert receiver.taken[1].document["details"]["rows"] == 3
    deliver(refined(batch, schema_changes=["added email"], quarantined=3, already_applied=True))
    assert len(receiver.taken) == 2


def test_should_tell_only_what_is_wanted(receiver, batch, monkeypatch):
    monkeypatch.setenv("FLOWFORGE_ALERT_KINDS", "drift")
    deliver(failed(batch))
    deliver(GoldPublished(**batch))
    deliver(refined(batch, schema_changes=["added email"], quarantined=3))
    assert kinds(receiver) == ["drift"]


def test_should_tell_once_that_a_table_gets_nothing_new(aws, receiver, batch, monkeypatch):
    monkeypatch.setenv("FLOWFORGE_ALERT_QUIET_HOURS", "6")
    place: dict[str, Any] = {
        "source_table": "dbo.t",
        "batch_id": "b",
        "bronze_file_path": "s3://b/k",
        "bronze_key": "k",
    }
    landed = BronzeLanded(**batch, **place, records=5, columns=2, file_size_bytes=1)
    deliver(landed, at="2026-11-08T06:00:00Z")

    def look(at: str) -> None:
        handler(eventbridge("Scheduled Event", {}, source="aws.events") | {"time": at}, Context())
        for message in aws.messages("AlertQueue"):
            if message["body"]["bronze_table"] == batch["bronze_table"]:
                handler(sqs(message["body"], queue="flowforge-AlertQueue"), Context())

    look("2026-11-08T11:59:00Z")
    assert receiver.taken == []
    look("2026-11-08T12:00:00Z")
    look("2026-11-08T18:00:00Z")
    assert kinds(receiver) == ["nothing-new"]
    deliver(landed, at="2026-11-09T06:00:00Z")
    look("2026-11-09T13:00:00Z")
    assert kinds(receiver) == ["nothing-new"] * 2


def test_should_tell_of_a_recovery_that_comes_before_its_failure_is_taken(receiver, batch):
    receiver.answers = [503]
    event_id = uuid.uuid4().hex
    assert deliver(failed(batch), at="2026-11-08T06:00:00Z", event_id=event_id)["batchItemFailures"]
    deliver(GoldPublished(**batch), at="2026-11-08T06:00:30Z")
    assert kinds(receiver) == ["failure", "recovery"]
    deliver(failed(batch), attempt=2, at="2026-11-08T06:00:00Z", event_id=event_id)
    assert kinds(receiver) == ["failure", "recovery", "failure"]
    assert "has been loaded again since" in receiver.taken[-1].document["title"]
    deliver(GoldPublished(**batch), at="2026-11-08T07:00:00Z")
    assert kinds(receiver) == ["failure", "recovery", "failure"]  # the table was not failing any more


def test_should_take_no_earlier_load_for_the_end_of_a_failure(receiver, batch):
    deliver(failed(batch), at="2026-11-08T06:00:00Z")
    deliver(GoldPublished(**batch), at="2026-11-08T05:59:00Z")
    assert kinds(receiver) == ["failure"]
    deliver(GoldPublished(**batch), at="2026-11-08T06:01:00Z")
    assert kinds(receiver) == ["failure", "recovery"]


def test_should_tell_the_first_failures_of_a_run_one_by_one_and_say_where_it_stops(receiver, unique):
    run = unique("run")
    for _ in range(22):
        deliver(
            StepFailed(run_id=run, bronze_table=unique("t"), step="ingest", error="SourceUnavailable", cause="gone")
        )
    assert len(receiver.taken) == 20
    assert "Further failures" in receiver.taken[-1].document["remedy"]
    assert "Further failures" not in receiver.taken[-2].document.get("remedy", "")


def test_should_count_a_failure_of_a_run_once_however_often_it_is_tried(receiver, unique):
    run = unique("run")
    receiver.answers = [503] * 25
    for attempt in range(25):
        gone = StepFailed(run_id=run, bronze_table=f"{run}_t", step="ingest", error="SourceUnavailable", cause="gone")
        assert deliver(gone, event_id=f"{run}-first")["batchItemFailures"], attempt
    other = StepFailed(run_id=run, bronze_table=f"{run}_u", step="ingest", error="SourceUnavailable", cause="gone")
    deliver(other, event_id=f"{run}-second")
    assert receiver.taken[-1].document["table"] == f"{run}_u"
