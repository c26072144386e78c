"""The template's functions run as on AWS: requests, queues, rules, schedules, failures."""

import json

from tests.local_stack.conftest import wait_for


def send(stack, queue, *items):
    sqs = stack.client("sqs")
    url = sqs.get_queue_url(QueueName=f"flowforge-{queue}")["QueueUrl"]
    entries = [{"Id": str(n), "MessageBody": json.dumps(item)} for n, item in enumerate(items)]
    assert not sqs.send_message_batch(QueueUrl=url, Entries=entries).get("Failed")


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
