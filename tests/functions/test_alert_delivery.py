"""How alerts reach their receivers: signed, sent again, to no forbidden address; kept and shown where nobody takes them."""

import base64
import hashlib
import hmac
import json
import re
import uuid
from datetime import UTC, datetime, timedelta

import pytest

from tests.helpers.alerts import KEY, ask, deliver, failed, secret

pytestmark = pytest.mark.usefixtures("alert_queues")


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


@pytest.mark.parametrize("key", ["whsec_", "whsec_c2hvcnQ=", "short", "whsec_no base64", "", None])
def test_should_send_nothing_that_others_could_sign(aws, receiver, batch, monkeypatch, key):
    monkeypatch.setenv("FLOWFORGE_ALERT_SECRET", secret(aws, {"key": key}))
    assert deliver(failed(batch)) == {"batchItemFailures": []}
    assert receiver.taken == []
    (dead,) = aws.messages("AlertDeadLetters")
    assert re.search(
        'the key of AlertSecret|a JSON object with "key"', dead["MessageAttributes"]["reason"]["StringValue"]
    )


def test_should_try_each_address_of_a_name(receiver, batch, monkeypatch):
    port = receiver.url.rpartition(":")[2]
    monkeypatch.setenv("FLOWFORGE_ALERT_WEBHOOK", f"http://localhost:{port}/")  # ::1 too, where nobody listens
    assert deliver(failed(batch)) == {"batchItemFailures": []}
    assert receiver.taken[0].headers["host"] == f"localhost:{port}"


def test_should_send_again_what_was_not_taken_with_the_same_id(aws, receiver, batch):
    receiver.answers = [503]
    event_id = uuid.uuid4().hex
    assert deliver(failed(batch), event_id=event_id)["batchItemFailures"]
    assert deliver(failed(batch), attempt=2, event_id=event_id) == {"batchItemFailures": []}
    assert len({taken.document["id"] for taken in receiver.taken}) == 1
    assert len(receiver.taken) == 2


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
