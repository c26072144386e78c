"""The functions of template.yaml beside this file; what they saw, they write into the bucket."""

import json
import os
import signal
import subprocess
import sys
import time

import boto3

s3, sqs, events = boto3.client("s3"), boto3.client("sqs"), boto3.client("events")
BUCKET = os.environ["BUCKET"]


def note(key, content):
    s3.put_object(Bucket=BUCKET, Key=key, Body=json.dumps(content).encode())


def api(event, context):
    route = event.get("routeKey")
    if route is None:
        return {"scheduled": event}
    if route == "GET /fail":
        raise ValueError("as asked")
    if route == "GET /exit":
        os._exit(3)
    if route == "GET /hold/{id}":
        wait_for_go(event["pathParameters"]["id"])
        return {"held": True}
    if route == "POST /child":
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
        return {"worker": os.getpid(), "child": child.pid}
    if route == "POST /items":
        sqs.send_message(QueueUrl=os.environ["WORK_QUEUE"], MessageBody=event["body"])
        return {
            "statusCode": 202,
            "body": json.dumps({"queued": True}),
            "headers": {"content-type": "application/json"},
        }
    if event["pathParameters"]["id"] == "large":
        return "x" * 7_000_000
    return {"event": event, "remaining_ms": context.get_remaining_time_in_millis(), "environment": dict(os.environ)}


def wait_for_go(name):
    while not s3.list_objects_v2(Bucket=BUCKET, Prefix=f"go/{name}")["KeyCount"]:
        time.sleep(0.05)


def work(event, context):
    if "routeKey" in event:
        return {"asked": event["pathParameters"]["id"]}
    failures = []
    for record in event["Records"]:
        item, delivery = json.loads(record["body"]), int(record["attributes"]["ApproximateReceiveCount"])
        print("working on", item["id"], "delivery", delivery)
        if item.get("die") and delivery == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        if item.get("hold"):
            wait_for_go(item["hold"])
        if item.get("fail", 0) >= delivery:
            failures.append({"itemIdentifier": record["messageId"]})
            show_again(record)
            continue
        note(f"done/{item['id']}", {"delivery": delivery, "worker": os.getpid()})
        detail = {"id": item["id"], "list": ["1", 2, True], "text": "<id> stays"}
        events.put_events(Entries=[{"Source": "tests", "DetailType": "Worked", "Detail": json.dumps(detail),
                                    "EventBusName": os.environ["BUS"]}])  # fmt: skip
    return {"batchItemFailures": failures}


def show_again(record):
    """At once: the queue's own time is longer than any test, so that no slow handler's message comes twice."""
    url = sqs.get_queue_url(QueueName=record["eventSourceARN"].rpartition(":")[2])["QueueUrl"]
    sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=record["receiptHandle"], VisibilityTimeout=0)


def hang(event, context):
    """Runs over its time when it gets a message first; on a slow machine later, too."""
    (record,) = event["Records"]
    item, delivery = json.loads(record["body"]), int(record["attributes"]["ApproximateReceiveCount"])
    if delivery == 1:
        time.sleep(600)
    note(f"done/{item['id']}", {"delivery": delivery})


def pair(event, context):
    """Goes on once two have begun, however slowly they start."""
    item = json.loads(event["Records"][0]["body"])
    note(f"begun/{item['id']}", item)
    while s3.list_objects_v2(Bucket=BUCKET, Prefix="begun/")["KeyCount"] < 2:
        time.sleep(0.05)
    note(f"done/{item['id']}", item)


def heard(event, context):
    for record in event["Records"]:
        message = json.loads(record["body"])
        note(f"heard/{message['detail']['id']}", message)


def dropped(event, context):
    note(f"seen/{event['detail']['object']['key']}", event)


def refusing(event, context):
    raise RuntimeError("never")
