"""EventBridge: events that arrive changed, or where nobody has asked for them.

moto's delivery goes through text templates, which changes values; it drops `account`, ignores `Input` and delivers for disabled
rules. Its S3 events all carry one id, are named `eTag`, and reach the rules of every bus.
"""

import json
import time
import uuid
from typing import Any

import moto.events.models as events
import moto.s3.notifications as s3_notifications
import moto.sqs.models as sqs

from infra.local.moto_mendings.edge import put_in_place


def send_to_targets(rule: Any, event: dict[str, Any], transform_input: bool = True) -> None:
    """Deliver an event to a rule's queues in the form that EventBridge documents, or as the target's `Input` says."""
    if rule.state == "DISABLED" or not may_match(rule, event) or not rule.event_pattern.matches_event(event):
        return
    seconds = event["time"]
    stamp = (
        time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(float(seconds))) if not isinstance(seconds, str) else seconds
    )
    message = {name: value for name, value in event.items() if name != "ingestion-time"} | {"time": stamp}
    for target in rule.targets:
        _, _, _, region, account, queue_name = target["Arn"].split(":", 5)
        sqs.sqs_backends[account][region].send_message(
            queue_name=queue_name,
            message_body=target.get("Input") or json.dumps(message),
            group_id=target.get("SqsParameters", {}).get("MessageGroupId"),
        )


def may_match(rule: Any, event: dict[str, Any]) -> bool:
    """Whether a rule's pattern has the event's source, or may: most are for another, and moto copies the event for each rule."""
    sources = rule.event_pattern.get_pattern().get("source")
    plain = isinstance(sources, list) and all(isinstance(source, str) for source in sources)
    return not plain or event.get("source") in sources


def send_s3_event(account_id: str, bucket: Any, event_name: str, key: Any) -> None:
    """Put an S3 event on the default bus, as the S3 user guide documents it ("EventBridge event message structure")."""
    stored = {"key": key.name, "size": key.size, "etag": key.etag.strip('"'), "sequencer": f"{time.time_ns():016X}"}
    if bucket.is_versioned and key.version_id:
        stored["version-id"] = key.version_id
    event = {
        "version": "0", "id": str(uuid.uuid4()), "detail-type": s3_notifications._detail_type(event_name), "source": "aws.s3",
        "account": account_id, "time": time.time(), "region": bucket.region_name, "resources": [bucket.arn],
        "detail": {
            "version": "0", "bucket": {"name": bucket.name}, "object": stored, "request-id": uuid.uuid4().hex[:16].upper(),
            "requester": account_id, "source-ip-address": "127.0.0.1", "reason": event_name.split(":")[1],
        },
    }  # fmt: skip
    for rule in list(events.events_backends[account_id][bucket.region_name].event_buses["default"].rules.values()):
        send_to_targets(rule, event)


def deliver_as_documented() -> None:
    """Put the replacements of this module in place, in this process."""
    put_in_place(events.Rule, send_to_targets=send_to_targets)
    put_in_place(s3_notifications, _send_event_bridge_message=send_s3_event)
