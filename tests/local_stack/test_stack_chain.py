"""The template's functions run as on AWS: requests, queues, rules, schedules, failures."""

import json
import os
import signal
from urllib.parse import quote_plus

from tests.helpers.local_stack import send
from tests.helpers.waiting import wait_for


def dead_letter(stack, matches):
    """Wait for a message in the dead-letter queue."""
    sqs = stack.client("sqs")
    url = sqs.get_queue_url(QueueName="flowforge-DeadLetters")["QueueUrl"]

    def look():
        answer = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1, VisibilityTimeout=1)
        return next((m for m in answer.get("Messages", []) if matches(json.loads(m["Body"]))), None)

    return wait_for(look, "a dead letter")


def test_should_carry_a_request_through_queue_function_bus_and_queue(stack):
    answer = stack.http.post("/items", json={"id": "chain"})

    assert (answer.status_code, answer.json()) == (202, {"queued": True})
    assert stack.object("done/chain")["delivery"] == 1
    event = stack.object("heard/chain")
    assert event["detail"] == {"id": "chain", "list": ["1", 2, True], "text": "<id> stays"}
    assert event["account"] == "123456789012"
    assert event["detail-type"] == "Worked"


def test_should_give_the_handler_the_event_and_environment_of_lambda(stack):
    answer = stack.http.get("/items/a%20b?n=1&n=2&q=%C3%A9", headers={"Cookie": "a=1; b=2", "X-Two": "x"}).json()

    event = answer["event"]
    assert event["version"] == "2.0"
    assert event["routeKey"] == "GET /items/{id}"
    assert event["rawPath"] == "/items/a b"
    assert event["pathParameters"] == {"id": "a b"}
    assert event["queryStringParameters"] == {"n": "1,2", "q": "é"}
    assert event["rawQueryString"] == "n=1&n=2&q=%C3%A9"
    assert event["cookies"] == ["a=1", "b=2"]
    assert event["headers"]["x-two"] == "x"
    assert event["requestContext"]["http"]["method"] == "GET"
    assert 0 < answer["remaining_ms"] <= 60_000
    environment = answer["environment"]
    assert environment["STAGE"] == "dev"
    assert environment["LEVEL"] == "DEBUG"
    assert environment["EXTRA"] == "given"
    assert environment["AWS_ENDPOINT_URL"] == stack.facts["s3"]
    assert environment["AWS_LAMBDA_FUNCTION_NAME"] == "flowforge-Api"


def test_should_encode_a_body_that_is_no_text(stack):
    form = stack.http.request(
        "GET", "/items/1", content=b"a=1", headers={"Content-Type": "application/x-www-form-urlencoded"}
    )
    text = stack.http.request("GET", "/items/1", content=b"{}", headers={"Content-Type": "application/json"})

    assert (form.json()["event"]["body"], form.json()["event"]["isBase64Encoded"]) == ("YT0x", True)
    assert (text.json()["event"]["body"], text.json()["event"]["isBase64Encoded"]) == ("{}", False)


def test_should_answer_404_for_what_no_route_matches(stack):
    for method, path in (("GET", "/nothing"), ("DELETE", "/items/1"), ("GET", "/items"), ("GET", "/items/1/2")):
        answer = stack.http.request(method, path)
        assert (answer.status_code, answer.json()) == (404, {"message": "Not Found"}), (method, path)


def test_should_answer_500_when_the_handler_raises_or_exits_and_go_on(stack):
    for path in ("/fail", "/exit", "/fail"):
        answer = stack.http.get(path)
        assert (answer.status_code, answer.json()) == (500, {"message": "Internal Server Error"})

    assert stack.http.get("/items/1").status_code == 200
    assert "as asked" in (stack.state / "logs" / "Api.log").read_text()


def test_should_refuse_an_answer_that_is_too_large_for_lambda(stack):
    assert stack.http.get("/items/large").status_code == 500
    assert "Response payload size exceeded" in (stack.state / "logs" / "Api.log").read_text()


def test_should_deliver_a_message_again_at_once_when_its_worker_was_killed(stack):
    send(stack, "WorkQueue", {"id": "killed", "die": True})

    # The queue's visibility timeout is ten minutes.
    assert stack.object("done/killed")["delivery"] == 2


def test_should_kill_a_handler_that_runs_over_its_time_and_deliver_again(stack):
    send(stack, "HangQueue", {"id": "hung"})

    assert stack.object("done/hung")["delivery"] >= 2  # on a slow machine later ones run over it, too
    assert "Task timed out after 3.00 seconds" in (stack.state / "logs" / "Hang.log").read_text()


def test_should_replace_a_worker_that_was_killed_between_events(stack):
    stack.http.get("/items/1").raise_for_status()
    (victim,) = stack.functions()["Api"]["workers"]

    os.kill(victim, signal.SIGKILL)
    wait_for(lambda: victim not in stack.functions()["Api"]["workers"], "the worker to be missed")

    assert stack.http.get("/items/1").status_code == 200


def test_should_deliver_again_only_the_messages_that_the_handler_refused(stack):
    send(stack, "BatchQueue", {"id": "good"}, {"id": "bad", "fail": 1})

    assert stack.object("done/bad")["delivery"] == 2
    assert stack.object("done/good")["delivery"] == 1


def test_should_move_a_message_that_always_fails_to_the_dead_letter_queue(stack):
    send(stack, "BatchQueue", {"id": "poison", "fail": 99})

    message = dead_letter(stack, lambda body: body.get("id") == "poison")

    assert json.loads(message["Body"]) == {"id": "poison", "fail": 99}


def test_should_run_no_more_at_once_than_the_template_allows(stack):
    send(stack, "PairQueue", *({"id": f"pair{n}"} for n in range(6)))

    for n in range(6):
        stack.object(f"done/pair{n}")
    assert stack.functions()["Pair"]["peak"] == 2


def test_should_start_the_function_whose_rule_matches_an_object(stack):
    bucket = stack.facts["bucket"]
    for key in ("other/a.json", "requests/a b+c.json"):
        stack.s3.put_object(Bucket=bucket, Key=key, Body=b"{}")

    event = stack.object("seen/requests/a b+c.json")

    assert event["detail"]["object"] | {"sequencer": ""} == {
        "key": "requests/a b+c.json", "size": 2, "etag": "99914b932bd37a50b983c5e7c90ae93b", "sequencer": "",
        "version-id": event["detail"]["object"]["version-id"],
    }  # fmt: skip
    assert event["source"] == "aws.s3"
    assert "Contents" not in stack.s3.list_objects_v2(Bucket=bucket, Prefix="seen/other/")


def test_should_treat_a_minio_notification_as_an_object_that_was_created(stack):
    answer = stack.http.post("/_local/minio", json=minio_notification(stack.facts["bucket"], "requests/min io+é.json"))

    assert (answer.status_code, answer.json()) == (200, {"events": 1})
    event = stack.object("seen/requests/min io+é.json")
    assert event["detail-type"] == "Object Created"
    assert event["detail"]["bucket"] == {"name": stack.facts["bucket"]}
    assert event["detail"]["object"]["version-id"] == "6c4a2e1f-1111-4d2b-9d0b-1a2b3c4d5e6f"


def test_should_leave_minio_notifications_that_no_rule_matches_without_effect(stack):
    for key in ("silver/x.json", "requests/after.json"):
        stack.http.post("/_local/minio", json=minio_notification(stack.facts["bucket"], key)).raise_for_status()
    stack.http.post("/_local/minio", json=minio_notification("another", "requests/y.json")).raise_for_status()

    stack.object("seen/requests/after.json")
    keys = {o["Key"] for o in stack.s3.list_objects_v2(Bucket=stack.facts["bucket"], Prefix="seen/")["Contents"]}
    assert not {"seen/silver/x.json", "seen/requests/y.json"} & keys


def test_should_answer_minio_probes_and_refuse_what_is_no_notification(stack):
    assert stack.http.head("/_local/minio").status_code == 200
    assert stack.http.post("/_local/minio", content=b"").json() == {"events": 0}
    assert stack.http.post("/_local/minio", content=b"no json").status_code == 400
    assert (
        stack.http.post("/_local/minio", json={"Records": [{"eventName": "s3:ObjectCreated:Put"}]}).status_code == 400
    )


def test_should_fire_a_schedule_when_asked(stack):
    answer = stack.http.post("/_local/schedule/ApiNightly")

    assert answer.json() == {
        "fired": "ApiNightly",
        "outcomes": [{"function": "Api", "result": {"scheduled": {"nightly": True}}}],
    }
    assert stack.http.post("/_local/schedule/Nothing").status_code == 404


def test_should_retry_an_asynchronous_event_and_then_send_it_to_the_failure_destination(stack):
    events = stack.client("events")
    detail = {"n": 1}
    events.put_events(
        Entries=[
            {"Source": "tests", "DetailType": "Refuse", "Detail": json.dumps(detail), "EventBusName": "flowforge-bus"}
        ]
    )

    message = dead_letter(stack, lambda body: body.get("requestPayload", {}).get("detail-type") == "Refuse")

    record = json.loads(message["Body"])
    assert record["requestPayload"]["detail"] == {"n": 1}
    assert record["requestContext"]["approximateInvokeCount"] == 2
    assert record["responsePayload"] == {"errorType": "RuntimeError", "errorMessage": "never"}


def minio_notification(bucket, key):
    """A notification in the form of MinIO's documentation, "Publish events to webhook"."""
    stored = {
        "key": quote_plus(key), "size": 2, "eTag": "99914b932bd37a50b983c5e7c90ae93b", "contentType": "application/json",
        "userMetadata": {"content-type": "application/json"}, "versionId": "6c4a2e1f-1111-4d2b-9d0b-1a2b3c4d5e6f",
        "sequencer": "17A0F2B3C4D5E6F7",
    }  # fmt: skip
    record = {
        "eventVersion": "2.0", "eventSource": "minio:s3", "awsRegion": "", "eventTime": "2026-11-08T06:12:08.000Z",
        "eventName": "s3:ObjectCreated:Put", "userIdentity": {"principalId": "flowforge"},
        "requestParameters": {"principalId": "flowforge", "region": "", "sourceIPAddress": "172.18.0.1"},
        "responseElements": {"x-amz-request-id": "17A0F2B3C4D5E6F7", "x-minio-origin-endpoint": "http://127.0.0.1:9000"},
        "s3": {
            "s3SchemaVersion": "1.0", "configurationId": "Config",
            "bucket": {"name": bucket, "ownerIdentity": {"principalId": "flowforge"}, "arn": f"arn:aws:s3:::{bucket}"},
            "object": stored,
        },
        "source": {"host": "172.18.0.1", "port": "", "userAgent": "MinIO (linux; amd64) minio-go/v7.0.90"},
    }  # fmt: skip
    return {"EventName": "s3:ObjectCreated:Put", "Key": f"{bucket}/{key}", "Records": [record]}
