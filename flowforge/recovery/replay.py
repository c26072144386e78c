"""What lies in the dead-letter queues, and how it gets back to work.

Guarantees: a message is sent to its queue before it is deleted here, so a worker that dies in between leaves it in both, and
every step takes a message twice without harm. A message's body is never shown: a request may hold a password.
"""

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from flowforge.cloud.clients import client, unavailable
from flowforge.message import body_of, table_of
from flowforge.settings import settings
from flowforge.state.dead_letters import show

HIDDEN_SECONDS = 60  # from each other's sight, while they are looked at; longer than an answer of the API may take
BUDGET_SECONDS = 15.0
MOST_PER_QUEUE = 1_000
SILENT = "SQS moved it here: its function could not handle it, not even to say why"


@dataclass(frozen=True)
class Selection:
    """Which messages: all, or those of a run, of a table (bronze or source name), or with one of these ids."""

    run_id: str | None = None
    table: str | None = None
    ids: frozenset[str] = frozenset()

    def fits(self, letter: dict[str, Any], source_table: str | None) -> bool:
        """Whether a message is meant; what is not asked for does not exclude."""
        named = {letter["table"], source_table, (source_table or "").removeprefix("dbo.")}
        return (
            (self.run_id is None or letter["run_id"] == self.run_id)
            and (self.table is None or self.table in named)
            and (not self.ids or letter["id"] in self.ids)
        )


def list_letters() -> dict[str, Any]:
    """{"messages": oldest first, "more": whether some were left unseen}. Looking hides a message from others for a moment."""
    return _each_queue(None, lambda letter, source: True)


def put_back(selection: Selection) -> dict[str, Any]:
    """Sends what is selected to its queue again; answers as `list_letters` does, with the messages that went back.

    Where there is `more`, what was passed over stays hidden for a while, so that the next call sees what follows.
    """
    return _each_queue(_send_back, selection.fits)


def _each_queue(settle: "_Settle | None", fits: "_Fits") -> dict[str, Any]:
    queues = [_Queue.named(text) for text in settings().replay_queues.split()]
    deadline = time.monotonic() + BUDGET_SECONDS
    try:
        with ThreadPoolExecutor(max(1, len(queues))) as pool:
            found = list(pool.map(lambda queue: _walk(queue, settle, fits, deadline), queues))
    except (ClientError, BotoCoreError) as error:
        raise unavailable("SQS", error) from error
    letters = sorted((one for letters, _ in found for one in letters), key=lambda letter: (letter["at"], letter["id"]))
    return {"messages": letters, "more": any(more for _, more in found)}


@dataclass(frozen=True)
class _Queue:
    """A dead-letter queue and the one it belongs to, as `name=DEAD_LETTERS>QUEUE` names them."""

    name: str
    dead_letters: str
    target: str

    @classmethod
    def named(cls, text: str) -> "_Queue":
        name, _, urls = text.partition("=")
        dead_letters, _, target = urls.partition(">")
        return cls(name, dead_letters, target)


_Settle = Callable[[_Queue, dict[str, Any]], None]
_Fits = Callable[[dict[str, Any], str | None], bool]


def _walk(queue: _Queue, settle: _Settle | None, fits: _Fits, deadline: float) -> tuple[list[dict[str, Any]], bool]:
    """Looks at what is in the queue and settles what fits; tells whether it came to the end."""
    letters: dict[str, dict[str, Any]] = {}
    handles: dict[str, str] = {}
    more = True
    while more and len(handles) < MOST_PER_QUEUE and time.monotonic() < deadline:
        found = _receive(queue)
        for message in found:
            letter, source = _letter(queue, message)
            handles[letter["id"]] = message["ReceiptHandle"]
            if fits(letter, source):
                letters[letter["id"]] = letter
                if settle:
                    settle(queue, message)
                    del handles[letter["id"]]
        more = bool(found)
    if not (more and settle):
        show(queue.dead_letters, list(handles.values()))
    return list(letters.values()), more


def _receive(queue: _Queue) -> list[dict[str, Any]]:
    answer = client("sqs").receive_message(
        QueueUrl=queue.dead_letters,
        MaxNumberOfMessages=10,
        VisibilityTimeout=HIDDEN_SECONDS,
        WaitTimeSeconds=1,  # asks every server of the queue; a short poll sees some of the messages
        MessageAttributeNames=["All"],
        MessageSystemAttributeNames=["SentTimestamp"],
    )
    return answer.get("Messages", [])


def _send_back(queue: _Queue, message: dict[str, Any]) -> None:
    client("sqs").send_message(QueueUrl=queue.target, MessageBody=_again(message["Body"]))
    client("sqs").delete_message(QueueUrl=queue.dead_letters, ReceiptHandle=message["ReceiptHandle"])


def _again(text: str) -> str:
    """The message with the mark of a replay where it is a command: its batch may be tried anew, whatever it has cost before."""
    try:
        body = json.loads(text)
    except ValueError:
        return text
    is_command = isinstance(body, dict) and (
        {"connection", "bronze"} <= set(body) or {"source_key", "index"} <= set(body)
    )
    return json.dumps(body | {"replayed": True}) if is_command else text


def _letter(queue: _Queue, message: dict[str, Any]) -> tuple[dict[str, Any], str | None]:
    """What is shown of a message, and its source table's name."""
    said = {name: value.get("StringValue") for name, value in message.get("MessageAttributes", {}).items()}
    body = _body(message["Body"])
    sent_ms = int(message.get("Attributes", {}).get("SentTimestamp", 0))
    source = body.get("source")
    letter = {
        "id": message["MessageId"],
        "queue": queue.name,
        "table": table_of(body),
        "run_id": str(body["run_id"]) if body.get("run_id") else None,
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
