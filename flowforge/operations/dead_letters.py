"""Dead letters that came without a word: SQS itself has moved them, since the function could not even start.

A step that gives up sends its message here with the step and the reason, after it has told the run. What SQS moves has neither;
the sweeper finds it, tells the run, and puts the message back with its reason,
and without the password that a request may hold.
"""

import time
from collections.abc import Sequence
from typing import Any

from events.facts import StepFailed
from flowforge.aws.bus import announce
from flowforge.aws.clients import aws_errors, client
from flowforge.aws.message import batch_identity, body_of, run_of, tables_of
from flowforge.domain.alone import Failure, each_alone
from flowforge.jobs.keeping import kept_message
from flowforge.runtime.settings import settings

CAUSE = "the function could not handle the message, not even to say why"
REMEDY = "Look at the function's log (does it start?), then replay the message: flowforge replay --run RUN."
HIDDEN_SECONDS = 60  # longer than looking takes
BUDGET_SECONDS = 8.0  # for all queues; the sweeper has more to do


def explain_dead_letters() -> tuple[int, list[Failure[str]]]:
    """Tells the runs of messages that were moved in silence; returns how many there were, and the queues and messages at which
    that failed. A queue is walked to its end, so that what nobody has explained yet is not hidden behind what somebody has."""
    pairs = [pair.partition("=") for pair in settings().dead_letter_queues.split()]
    failures: list[Failure[str]] = []
    deadline = time.monotonic() + BUDGET_SECONDS

    def walk(pair: tuple[str, str, str]) -> int:
        count, failed = _explain(pair[0], pair[2], deadline)
        failures.extend(failed)
        return count

    done, failed = each_alone(pairs, walk)
    failures += [Failure(f"dead letters of {failure.thing[0]}", failure.error) for failure in failed]
    return sum(count for _, count in done), failures


def _explain(step: str, url: str, deadline: float) -> tuple[int, list[Failure[str]]]:
    options = {"MaxNumberOfMessages": 10, "VisibilityTimeout": HIDDEN_SECONDS, "MessageAttributeNames": ["All"]}
    seen: dict[str, str] = {}
    count, failures = 0, []
    with aws_errors("SQS"):
        while time.monotonic() < deadline:
            found = client("sqs").receive_message(QueueUrl=url, **options).get("Messages", [])
            seen |= {message["MessageId"]: message["ReceiptHandle"] for message in found}
            silent = [message for message in found if "step" not in message.get("MessageAttributes", {})]
            done, failed = each_alone(silent, lambda message: _explain_one(step, url, message))
            for message, _ in done:
                del seen[message["MessageId"]]
            count += len(done)
            failures += [Failure(f"dead letter {one.thing['MessageId']} of {step}", one.error) for one in failed]
            if not found:
                break
        show(url, list(seen.values()))
    return count, failures


def show(url: str, handles: Sequence[str]) -> None:
    """Lets messages that were looked at be seen again at once."""
    for start in range(0, len(handles), 10):
        entries = [
            {"Id": str(n), "ReceiptHandle": handle, "VisibilityTimeout": 0}
            for n, handle in enumerate(handles[start : start + 10])
        ]
        client("sqs").change_message_visibility_batch(QueueUrl=url, Entries=entries)


def _explain_one(step: str, url: str, message: dict[str, Any]) -> None:
    _tell(step, message["Body"])
    reason = {"step": _text(step), "reason": _text(CAUSE)}
    text = kept_message(message["Body"], store_login=False) if step == "submit" else message["Body"]
    client("sqs").send_message(QueueUrl=url, MessageBody=text, MessageAttributes=reason)
    client("sqs").delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])


def _tell(step: str, text: str) -> None:
    try:
        body = body_of(text)
    except (ValueError, RecursionError):
        return
    if isinstance(body, dict) and (run_id := run_of(body)):
        told = {"error": "Dead", "cause": CAUSE, "remedy": REMEDY, **batch_identity(body)}
        announce(*(StepFailed(run_id=run_id, bronze_table=table, step=step, **told) for table in tables_of(body)))


def _text(value: str) -> dict[str, Any]:
    return {"DataType": "String", "StringValue": value}
