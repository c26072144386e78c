"""A dead letter as people see it: which table and run it is of, and why it was given up. Its body is never shown."""

import time
from typing import Any

from flowforge.aws.message import body_of, run_of, tables_of

SILENT = "SQS moved it here: its function could not handle it, not even to say why"


def letter_of(queue: str, message: dict[str, Any]) -> tuple[dict[str, Any], str | None]:
    """What is shown of a message of a queue, and its source table's name."""
    said = {name: value.get("StringValue") for name, value in message.get("MessageAttributes", {}).items()}
    body = _body(message["Body"])
    sent_ms = int(message.get("Attributes", {}).get("SentTimestamp", 0))
    source = body.get("source")
    letter = {
        "id": message["MessageId"],
        "queue": queue,
        "table": ", ".join(tables_of(body)) or None,
        "run_id": run_of(body),
        "reason": said.get("reason") or said.get("ERROR_MESSAGE") or SILENT,  # the bus says why in ERROR_MESSAGE
        "at": sent_ms / 1000,
        "age_seconds": max(0, round(time.time() - sent_ms / 1000)),
    }
    name = source.get("table_name") if isinstance(source, dict) else None
    return letter, body.get("source_table") or name


def _body(text: str) -> dict[str, Any]:
    try:
        body = body_of(text)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
