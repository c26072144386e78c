"""`flowforge alerts`."""

WEBHOOK = {"name": "webhook", "host": "hooks.example.com", "signed": True}
SLACK = {"name": "slack", "host": "", "signed": False}
ALERT = {"id": "alert_1", "kind": "failure", "at": "2026-11-08T06:12:08Z", "table": "bronze_customers", "run_id": "run_1",
         "title": "bronze_customers failed in step ingest: UnknownTable", "attempts": 1}  # fmt: skip
SENT = ALERT | {"sent_at": "2026-11-08T06:12:09Z", "problem": None}
LOST = ALERT | {"sent_at": None, "problem": "the alert webhook answered 503"}


def page(*alerts: dict, receivers: list) -> dict:
    return {"receivers": receivers, "kinds": ["failure", "drift"], "quiet_hours": 0, "alerts": list(alerts)}


def test_should_list_what_was_sent_and_fail_for_what_was_not_taken(flowforge, api):
    api.answer("GET /api/alerts", page(SENT, receivers=[WEBHOOK, SLACK]))
    listed = flowforge("alerts", "list", "--limit", "5")
    assert (listed.code, api.asked[0].query) == (0, {"limit": "5"})
    told = ("hooks.example.com, signed", "Slack", "failure, drift", "UnknownTable", "sent")
    assert all(word in listed.out for word in told)
    api.answer("GET /api/alerts", page(LOST, receivers=[WEBHOOK]))
    listed = flowforge("alerts", "list")
    assert listed.code == 1
    assert "answered 503" in listed.out


def test_should_say_that_nobody_is_told(flowforge, api):
    api.answer("GET /api/alerts", page(receivers=[]))
    listed = flowforge("alerts", "list")
    assert listed.code == 0
    assert "No receiver is set" in listed.out


def test_should_send_a_test_and_say_who_did_not_take_it(flowforge, api):
    failed = {"status": "failed", "problem": "Slack answered 404", "remedy": "Check AlertSlackSecret."}
    sent = {"status": "sent", "problem": None, "remedy": None}
    api.answer("POST /api/alerts/test", {"id": "alert_test_1", "receivers": [WEBHOOK | sent, SLACK | failed]})
    ended = flowforge("alerts", "test")
    assert ended.code == 1
    assert all(word in ended.out for word in ("hooks.example.com", "sent", "Slack answered 404", "AlertSlackSecret"))
    api.answer("POST /api/alerts/test", {"id": "alert_test_2", "receivers": [WEBHOOK | sent]})
    assert flowforge("alerts", "test", "--json").document["receivers"][0]["status"] == "sent"
