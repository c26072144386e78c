"""Messages from queues: each is handled alone, retried, waited for, or given up with its reason on the run.

What a handler's outcome does to its message:

    returns           the message is deleted
    Wait              a copy is sent with a delay and the message is deleted: waiting does not use up its deliveries
    Fatal             StepFailed is announced, a copy with the reason goes to the dead-letter queue, the message is deleted
    any other error   the message comes back after a backoff, up to FLOWFORGE_MAX_ATTEMPTS deliveries, then as Fatal

A message that came more often than that without a verdict has killed its workers: it is given up before it is handled. The
queue's own redrive policy stands behind all this, for a function that cannot even start.
"""

import json
import os
from collections.abc import Callable, Mapping
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from botocore.exceptions import BotoCoreError, ClientError
from pydantic import ValidationError

from events.dispatch import UnknownMessage, opened, read_message
from events.documents import read_json
from events.facts import StepFailed
from events.model import Dispatched
from flowforge.aws import usage
from flowforge.aws.bus import announce
from flowforge.aws.clients import aws_errors, client
from flowforge.domain.errors import Fatal, FlowForgeError, UnreadableRecord, Wait
from flowforge.runtime.disk_space import no_space
from flowforge.runtime.settings import settings

logger = Logger(service="flowforge")
metrics = Metrics(namespace="FlowForge", service="flowforge")
SEND_WHAT_FITS = "Send what docs/events.md shows."
KNOW_THE_TYPE = f"{SEND_WHAT_FITS} If a newer version sent it, deploy that version's function, then replay the message."
BACKOFF_SECONDS = (2, 10, 30, 60)

Handle = Callable[[dict[str, Any], Any], None]
Handlers = Mapping[
    type[Dispatched], Callable[[Any, Any], None]
]  # the type of a message -> what takes it and the context
Read = Callable[[str], dict[str, Any]]
GiveUp = Callable[[dict[str, Any]], None]
Keep = Callable[[str], str]


def process_messages(
    event: dict[str, Any], context: Any, step: str, handlers: Handlers, on_give_up: GiveUp | None = None
) -> dict[str, Any]:
    """Hands each message of an SQS event to the handler of its type; returns the partial failures that SQS is to deliver again.

    A message is a command, or a fact in an event of the bus. One of another type is given up. `on_give_up` is called with the
    body of a message that is given up: its JSON, or the detail of the event.
    """

    def handle(body: dict[str, Any], context: Any) -> None:
        message = read_message(body, *handlers)
        handlers[type(message)](message, context)

    return _process(event, context, step, handle, on_give_up, body_of, str)


def process_envelopes(
    event: dict[str, Any],
    context: Any,
    step: str,
    handle: Handle,
    on_give_up: GiveUp | None = None,
    keep: Keep = str,
) -> dict[str, Any]:
    """The same with the whole envelope as the body, for a handler that needs its id or time, or takes foreign ones; it raises
    UnknownMessage for what it does not take. `keep` makes of a message's text, which need not be JSON, what may lie in a
    dead-letter queue."""
    return _process(event, context, step, handle, on_give_up, read_json, keep)


def is_http(event: dict[str, Any]) -> bool:
    """Whether the HTTP API has sent this event."""
    return "requestContext" in event


def is_queued(event: dict[str, Any]) -> bool:
    """Whether a queue has sent this event."""
    return any(record.get("eventSource") == "aws:sqs" for record in event.get("Records", []))


def body_of(text: str) -> dict[str, Any]:
    """The message inside: an EventBridge envelope's detail with its type, or the body itself."""
    return opened(json.loads(text))


def _process(
    event: dict, context: Any, step: str, handle: Handle, on_give_up: GiveUp | None, read: Read, keep: Keep
) -> dict:
    if not is_queued(event):  # invoked by hand, or by the bus directly: the caller sees the error
        handle(read(json.dumps(event)), context)
        return {"status": "done"}

    metrics.add_metric(name="Deliveries", unit=MetricUnit.Count, value=len(event["Records"]))
    failures: list[dict[str, str]] = []
    for record in event["Records"]:
        try:
            delivery = Delivery(record, step, on_give_up, keep)
            with usage.measured(step, delivery.attempts):
                delivery.run(handle, context, read)
        except Exception:  # it is logged; SQS delivers this one again, and deletes the others
            failures.append({"itemIdentifier": record["messageId"]})
    metrics.flush_metrics()
    return {"batchItemFailures": failures}


class Delivery:
    """One delivery of one message."""

    def __init__(self, record: dict[str, Any], step: str, on_give_up: GiveUp | None, keep: Keep):
        self.text, self.receipt_handle = str(record["body"]), str(record["receiptHandle"])
        self.step, self.on_give_up, self.keep = step, on_give_up, keep
        self.attempts = int(record["attributes"]["ApproximateReceiveCount"])

    def run(self, handle: Handle, context: Any, read: Read) -> None:
        """Handles the message and settles it; raises when it is to be delivered again."""
        try:
            body = read(self.text)
        except (ValueError, RecursionError):
            body = None
        if not isinstance(body, dict):
            return self.give_up({}, Fatal("the message is not a JSON object", SEND_WHAT_FITS))
        about = {"run_id": run_of(body), "table": table_of(body)}
        with logger.append_context_keys(step=self.step, **about, attempt=self.attempts):  # not of lines that follow
            self._judge(body, handle, context)
        return None

    def _judge(self, body: dict[str, Any], handle: Handle, context: Any) -> None:
        if self.attempts > settings().max_attempts:
            died = Fatal(
                f"the worker died or ran out of time {self.attempts - 1} times, or could not tell what failed",
                "Look at the function's log for this run, then replay the message: flowforge replay --run RUN.",
            )
            return self.give_up(body, died)
        try:
            handle(body, context)
        except Wait as wait:
            logger.info("waiting", reason=str(wait), seconds=wait.seconds)
            self.send_again(wait.seconds)
        except Fatal as error:
            self.give_up(body, error)
        except UnknownMessage as error:
            self.give_up(body, Fatal(str(error), KNOW_THE_TYPE))
        except ValidationError as error:
            fields = ", ".join(".".join(map(str, detail["loc"])) for detail in error.errors())
            self.give_up(body, Fatal(f"the message does not fit its contract in: {fields}", SEND_WHAT_FITS))
        except Exception as error:
            self.retry(body, no_space(error) or error)
        return None

    def send_again(self, seconds: int) -> None:
        """Puts a copy of the message behind the others, before this delivery is deleted."""
        self._send(os.environ["FLOWFORGE_QUEUE_URL"], self.text, DelaySeconds=seconds)

    def retry(self, body: dict[str, Any], error: Exception) -> None:
        """Lets the message come back soon, or gives it up after its last attempt."""
        logger.warning("attempt failed", error=type(error).__name__, cause=str(error), exc_info=not _ours(error))
        if self.attempts >= settings().max_attempts:
            return self.give_up(body, error)
        seconds = BACKOFF_SECONDS[min(self.attempts, len(BACKOFF_SECONDS)) - 1]
        try:
            client("sqs").change_message_visibility(
                QueueUrl=os.environ["FLOWFORGE_QUEUE_URL"],
                ReceiptHandle=self.receipt_handle,
                VisibilityTimeout=seconds,
            )
        except (ClientError, BotoCoreError):
            logger.warning("the message keeps its queue's visibility timeout")
        raise error

    def give_up(self, body: dict[str, Any], error: Exception) -> None:
        """Records the failure on the run and keeps the message with its reason, for a replay."""
        logger.error("step failed", error=type(error).__name__, cause=str(error), exc_info=not _ours(error))
        metrics.add_metric(name="StepFailures", unit=MetricUnit.Count, value=1)
        try:
            self._tell(body, error)
        except FlowForgeError:
            raise  # a service does not answer: it comes again
        except Exception as wrong:  # of what anybody may have written; the message is kept all the same
            logger.warning("what was given up cannot be told", error=type(wrong).__name__)
        reason = {"DataType": "String", "StringValue": f"{type(error).__name__}: {error}"[:900]}
        attributes = {"step": {"DataType": "String", "StringValue": self.step}, "reason": reason}
        self._send(os.environ["FLOWFORGE_DEAD_LETTER_QUEUE_URL"], self.keep(self.text), MessageAttributes=attributes)

    def _tell(self, body: dict[str, Any], error: Exception) -> None:
        """Tells those who follow the message's run and batch. What is recorded of the batch may be what cannot be read."""
        if self.on_give_up and body:
            try:
                self.on_give_up(body)
            except UnreadableRecord as unreadable:
                logger.warning("the batch of what was given up cannot be read", cause=str(unreadable))
        if run_id := run_of(body):
            facts = [
                StepFailed(
                    run_id=run_id,
                    bronze_table=table,
                    step=self.step,
                    error=type(error).__name__,
                    cause=str(error) if _ours(error) else f"unexpected {type(error).__name__}; the log has its trace",
                    remedy=getattr(error, "remedy", "")
                    or f"Replay the message once the cause is gone: flowforge replay --run {run_id}.",
                    attempts=self.attempts,
                    gold_tables=list(getattr(error, "gold_tables", ())),
                    **batch_identity(body),
                )
                for table in tables_of(body)
            ]
            announce(*facts)

    def _send(self, url: str, text: str, **options: Any) -> None:
        with aws_errors("SQS"):
            client("sqs").send_message(QueueUrl=url, MessageBody=text, **options)


def run_of(body: dict[str, Any]) -> str | None:
    """The run that a message belongs to, or that it is to begin; None where it names none."""
    run_id = body.get("run_id") or body.get("new_run_id")
    return str(run_id) if run_id else None


def table_of(body: dict[str, Any]) -> str | None:
    """The bronze table that a message is about, be it by the load that it holds."""
    load = body.get("load")
    body = load if isinstance(load, dict) else body
    bronze = body.get("bronze")
    return body.get("bronze_table") or (bronze.get("table") if isinstance(bronze, dict) else None)


def tables_of(body: dict[str, Any]) -> list[str]:
    """The bronze tables that a message is about: of a cut all of its tables; one without a name where it tells none."""
    tables = body.get("tables")
    named = [table_of(one) for one in tables if isinstance(one, dict)] if isinstance(tables, list) else []
    return [str(name) for name in named if name] or [str(table_of(body) or "")]


def batch_identity(body: dict[str, Any]) -> dict[str, Any]:
    """The fields by which a message names its batch; empty where it names none."""
    kinds = {"source_key": str, "generation": int, "seq": int}
    named = all(isinstance(body.get(field), kind) for field, kind in kinds.items())
    return {field: body[field] for field in kinds} if named else {}


def _ours(error: Exception) -> bool:
    return isinstance(error, FlowForgeError)
