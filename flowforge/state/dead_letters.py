"""Dead letters that came without a word: SQS itself has moved them, since the function could not even start.

A step that gives up sends its message here with the step and the reason, after it has told the run. What SQS moves has neither;
the sweeper finds it, tells the run, and puts the message back with its reason.
"""

from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from events.facts import StepFailed
from flowforge.cloud.bus import announce
from flowforge.cloud.clients import client, unavailable
from flowforge.message import batch_identity, body_of, table_of
from flowforge.settings import settings

CAUSE = "the function could not handle the message, not even to say why"
REMEDY = "Look at the function's log (does it start?), then replay the message from the dead-letter queue."
HIDDEN_SECONDS = 60  # longer than telling takes


def explain_dead_letters() -> int:
    """Tells the runs of messages that were moved in silence; returns how many there were. Sees ten of each queue at a time."""
    try:
        pairs = [pair.partition("=") for pair in settings().dead_letter_queues.split()]
        return sum(_explain(step, url) for step, _, url in pairs)
    except (ClientError, BotoCoreError) as error:
        raise unavailable("SQS", error) from error


def _explain(step: str, url: str) -> int:
    options = {"MaxNumberOfMessages": 10, "VisibilityTimeout": HIDDEN_SECONDS, "MessageAttributeNames": ["All"]}
    found = client("sqs").receive_message(QueueUrl=url, **options).get("Messages", [])
    silent = [message for message in found if "step" not in message.get("MessageAttributes", {})]
    for message in silent:
        _tell(step, message["Body"])
        reason = {"step": _text(step), "reason": _text(CAUSE)}
        client("sqs").send_message(QueueUrl=url, MessageBody=message["Body"], MessageAttributes=reason)
        client("sqs").delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    for message in (message for message in found if message not in silent):
        client("sqs").change_message_visibility(
            QueueUrl=url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0
        )
    return len(silent)


def _tell(step: str, text: str) -> None:
    try:
        body = body_of(text)
    except ValueError:
        return
    if isinstance(body, dict) and body.get("run_id"):
        run_id, table = str(body["run_id"]), table_of(body) or ""
        told = {"error": "Dead", "cause": CAUSE, "remedy": REMEDY, **batch_identity(body)}
        announce(StepFailed(run_id=run_id, bronze_table=table, step=step, **told))


def _text(value: str) -> dict[str, Any]:
    return {"DataType": "String", "StringValue": value}
