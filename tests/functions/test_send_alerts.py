"""send_alerts: what the bus tells, as a webhook and Slack get it; and what never leaves."""

import base64
import hashlib
import hmac
import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from events.envelopes import eventbridge, http, sqs
from events.facts import BronzeLanded, GoldPublished, IntervalEmpty, SilverRefined, StepFailed, TablesUnchanged
from functions.send_alerts.handler import handler
from tests.helpers.alert_receiver import AlertReceiver, receiving_alerts
from tests.helpers.function_calls import Context

KEY = "a key of many signs"


@pytest.fixture(autouse=True)
def queues(aws, monkeypatch):
    aws.use("AlertQueue", "AlertDeadLetters", monkeypatch)
    monkeypatch.setenv("FLOWFORGE_MAX_ATTEMPTS", "2")
    for queue in ("AlertQueue", "AlertDeadLetters"):
        aws.messages(queue)


@pytest.fixture(scope="module")
def served() -> Iterator[AlertReceiver]:
    with receiving_alerts() as found:
        yield found


@pytest.fixture
def receiver(served, monkeypatch) -> AlertReceiver:
    served.taken.clear()
    served.answers.clear()
    monkeypatch.setenv("FLOWFORGE_ALERT_WEBHOOK", f"{served.url}/alerts?to=ops")
    monkeypatch.setenv("FLOWFORGE_ALERT_LOOPBACK", "true")
    return served


@pytest.fixture
def batch(unique) -> dict[str, Any]:
    table = unique("bronze_t")
    return {"run_id": unique("run"), "bronze_table": table, "source_key": f"k>{table}", "generation": 1, "seq": 1}


def secret(aws, document: dict[str, str]) -> str:
    name = f"flowforge/alerts/{uuid.uuid4().hex}"
    aws.client("secretsmanager").create_secret(Name=name, SecretString=json.dumps(document))
    return name


def deliver(fact: Any, attempt: int = 1, at: str = "2026-11-08T06:12:08Z", event_id: str = "") -> dict[str, Any]:
    """One event of the bus, as the queue gives it."""
    event = eventbridge(type(fact).__name__, fact.model_dump(mode="json"), event_id=event_id or uuid.uuid4().hex)
    return handler(sqs(event | {"time": at}, queue="flowforge-AlertQueue", attempt=attempt), Context())


def failed(batch: dict[str, Any], **more: Any) -> StepFailed:
    told: dict[str, Any] = {
        "step": "ingest",
        "error": "UnknownTable",
        "cause": "no <table> & no view",
        "remedy": "check it",
    }
    return StepFailed(**{name: batch[name] for name in ("run_id", "bronze_table")}, **told | more)


def refined(batch: dict[str, Any], **more: Any) -> SilverRefined:
    return SilverRefined(**batch, silver_table="t", version=1, inserted=1, updated=0, silver_rows=1, **more)


def ask(method: str, path: str, **query: str) -> tuple[int, dict[str, Any]]:
    answer = handler(http(method, path, path, query=query), Context())
    return answer["statusCode"], json.loads(answer["body"])


def kinds(receiver: AlertReceiver) -> list[str]:
    return [taken.document["kind"] for taken in receiver.taken]


@pytest.mark.parametrize("key", [KEY, "whsec_" + base64.b64encode(KEY.encode()).decode()])
def test_should_sign_an_alert_so_that_its_receiver_can_tell_whose_it_is(aws, receiver, batch, monkeypatch, key):
    monkeypatch.setenv("FLOWFORGE_ALERT_SECRET", secret(aws, {"key": key}))
    assert deliver(failed(batch)) == {"batchItemFailures": []}
    (taken,) = receiver.taken
    told = taken.document
    assert (told["kind"], told["table"], told["run_id"]) == ("failure", batch["bronze_table"], batch["run_id"])
    assert (told["cause"], told["remedy"]) == ("no <table> & no view", "check it")
    content = f"{told['id']}.{taken.headers['webhook-timestamp']}.".encode() + taken.body
    digest = base64.b64encode(hmac.new(KEY.encode(), content, hashlib.sha256).digest()).decode()
    assert taken.headers["webhook-signature"] == f"v1,{digest}"
    assert taken.headers["webhook-id"] == told["id"]
    assert abs(int(taken.headers["webhook-timestamp"]) - datetime.now(UTC).timestamp()) < 86_400
    assert taken.path == "/alerts?to=ops"
    assert KEY.encode() not in taken.body


def test_should_try_each_address_of_a_name(receiver, batch, monkeypatch):
    port = receiver.url.rpartition(":")[2]
    monkeypatch.setenv("FLOWFORGE_ALERT_WEBHOOK", f"http://localhost:{port}/")  # ::1 too, where nobody listens
    assert deliver(failed(batch)) == {"batchItemFailures": []}
    assert receiver.taken[0].headers["host"] == f"localhost:{port}"


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


def test_should_send_again_what_was_not_taken_with_the_same_id(aws, receiver, batch):
    receiver.answers = [503]
    event_id = uuid.uuid4().hex
    assert deliver(failed(batch), event_id=event_id)["batchItemFailures"]
    assert deliver(failed(batch), attempt=2, event_id=event_id) == {"batchItemFailures": []}
    assert len({taken.document["id"] for taken in receiver.taken}) == 1
    assert len(receiver.taken) == 2


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


@pytest.mark.parametrize("status", [400, 404, 302])
def test_should_keep_as_a_dead_letter_what_is_never_taken_and_follow_nowhere(aws, receiver, batch, status):
    receiver.answers = [status]
    assert deliver(failed(batch)) == {"batchItemFailures": []}
    assert len(receiver.taken) == 1
    (dead,) = aws.messages("AlertDeadLetters")
    assert str(status) in dead["MessageAttributes"]["reason"]["StringValue"]


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data/",
        "https://169.254.170.2/",
        "https://[fd00:ec2::254]/",
        "https://[::ffff:169.254.169.254]/",
        "https://0.0.0.0/",
        "http://10.0.0.1/",  # not https
        "https://user:word@example.com/",
        "ftp://example.com/",
        "https://",
    ],
)
def test_should_go_to_no_address_that_is_none_for_alerts(aws, receiver, batch, monkeypatch, url):
    monkeypatch.setenv("FLOWFORGE_ALERT_WEBHOOK", url)
    assert deliver(failed(batch)) == {"batchItemFailures": []}
    (dead,) = aws.messages("AlertDeadLetters")
    assert "EndpointRefused" in dead["MessageAttributes"]["reason"]["StringValue"]
    assert receiver.taken == []


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"])
def test_should_go_to_its_own_machine_in_the_local_stack_only(aws, receiver, batch, monkeypatch, host):
    monkeypatch.setenv("FLOWFORGE_ALERT_LOOPBACK", "false")
    port = receiver.url.rpartition(":")[2]
    for scheme in ("http", "https"):
        monkeypatch.setenv("FLOWFORGE_ALERT_WEBHOOK", f"{scheme}://{host}:{port}/")
        deliver(failed(batch))
        (dead,) = aws.messages("AlertDeadLetters")
        assert "EndpointRefused" in dead["MessageAttributes"]["reason"]["StringValue"]
    assert receiver.taken == []


def test_should_not_tell_a_secret_that_cannot_be_used(aws, receiver, batch, monkeypatch):
    address = "http://169.254.169.254/services/hidden-word"
    monkeypatch.setenv("FLOWFORGE_ALERT_WEBHOOK", "")
    monkeypatch.setenv("FLOWFORGE_ALERT_SLACK_SECRET", secret(aws, {"url": address}))
    deliver(failed(batch))
    (dead,) = aws.messages("AlertDeadLetters")
    assert "hidden-word" not in json.dumps(dead)


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


def test_should_announce_nothing_of_its_own_failures(aws, receiver, batch):
    receiver.answers = [400]
    aws.messages("TrackQueue")
    deliver(failed(batch), at=(datetime.now(UTC) + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ"))
    assert [detail for _, detail in aws.announced() if detail.get("run_id") == batch["run_id"]] == []


def test_should_show_what_was_sent_and_what_was_not_taken_yet(receiver, batch):
    receiver.answers = [503]
    lost, late = uuid.uuid4().hex, uuid.uuid4().hex
    deliver(failed(batch), at="2099-01-01T00:00:00Z", event_id=lost)
    status, told = ask("GET", "/api/alerts", limit="1")
    (entry,) = told["alerts"]
    assert status == 200
    assert (entry["table"], entry["kind"], entry["attempts"]) == (batch["bronze_table"], "failure", 1)
    assert "503" in entry["problem"]
    assert entry["sent_at"] is None
    deliver(failed(batch), attempt=2, at="2099-01-01T00:00:00Z", event_id=lost)
    deliver(failed(batch, error="LoginRefused"), at="2099-01-01T00:00:01Z", event_id=late)
    _, told = ask("GET", "/api/alerts", limit="1")
    _, rest = ask("GET", "/api/alerts", limit="1", cursor=told["next"])
    assert [one["id"] for page in (told, rest) for one in page["alerts"]] == [f"alert_{late}", f"alert_{lost}"]
    assert (rest["alerts"][0]["attempts"], rest["alerts"][0]["problem"]) == (2, None)
    assert rest["alerts"][0]["sent_at"]


def test_should_send_a_signed_test_to_each_receiver_and_say_which_took_it(aws, receiver, monkeypatch):
    monkeypatch.setenv("FLOWFORGE_ALERT_SECRET", secret(aws, {"key": KEY}))
    monkeypatch.setenv("FLOWFORGE_ALERT_SLACK_SECRET", secret(aws, {"url": f"{receiver.url}/services/T/B/x"}))
    receiver.answers = [204, 404]
    status, told = ask("POST", "/api/alerts/test")
    assert status == 200
    assert [(one["name"], one["status"]) for one in told["receivers"]] == [("webhook", "sent"), ("slack", "failed")]
    assert "404" in told["receivers"][1]["problem"]
    assert told["receivers"][1]["remedy"]
    webhook, slack = receiver.taken
    assert (webhook.document["kind"], webhook.document["id"]) == ("test", told["id"])
    content = f"{told['id']}.{webhook.headers['webhook-timestamp']}.".encode() + webhook.body
    digest = base64.b64encode(hmac.new(KEY.encode(), content, hashlib.sha256).digest()).decode()
    assert webhook.headers["webhook-signature"] == f"v1,{digest}"
    assert "*test*" in slack.document["text"]
    _, shown = ask("GET", "/api/alerts", limit="200")
    (entry,) = [one for one in shown["alerts"] if one["id"] == told["id"]]
    assert "404" in entry["problem"]
    assert {(one["name"], one["signed"]) for one in shown["receivers"]} == {("webhook", True), ("slack", False)}
    assert "/services/" not in json.dumps([told, shown])


def test_should_say_that_there_is_nobody_to_tell(aws):
    status, told = ask("POST", "/api/alerts/test")
    assert (status, told["error"]) == (422, "EndpointRefused")
    assert "AlertWebhook" in told["remedy"]
    assert ask("GET", "/api/alerts")[1]["receivers"] == []
