"""What lies in the dead-letter queues, and how it gets back to work or is given up for good.

Guarantees: a message is sent to its queue (or its end is written down, see `discard`) before it is deleted here, so a worker that
dies in between leaves it in both, and every step takes a message twice without harm. Only what was there when a person asked is
touched: what fails again at once comes back here, later than that, and stays. Each queue and message is judged alone. A message's
body is never shown: a request may hold a password.
"""

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from events.dispatch import type_of
from events.request import InvalidRequest
from flowforge.aws.clients import client, unavailable
from flowforge.domain.alone import Failure, each_alone
from flowforge.operations.dead_letters import show
from flowforge.operations.letters import letter_of
from flowforge.runtime.pages import PROBLEM, cursor_of, fitting, place_of
from flowforge.runtime.settings import settings
from flowforge.state import discards

HIDDEN_SECONDS = 60  # from each other's sight, while they are looked at; longer than an answer of the API may take
BUDGET_SECONDS = 6.0  # of one call: its caller shows how far it is, and asks again
MOST_PER_QUEUE = 1_000
MOST_LISTED = 6_000  # those of all queues
REPLAYED = ("IngestTable", "IngestCut", "IngestSlice")  # commands that are told so
MOST_NEWER = 5  # answers in a row that hold nothing but what came since: there is nothing older left


@dataclass(frozen=True)
class DeadLetterFilter:
    """Which messages: all, or those of a run, of a table (bronze or source name), or with one of these ids; in any case only
    those that lay there at `until` (epoch seconds, by default now)."""

    run_id: str | None = None
    table: str | None = None
    ids: frozenset[str] = frozenset()
    until: float = field(default_factory=time.time)

    def fits(self, letter: dict[str, Any], source_table: str | None) -> bool:
        """Whether a message is meant; what is not asked for does not exclude."""
        names = (*(letter["table"] or "").split(", "), source_table, (source_table or "").removeprefix("dbo."))
        named = {name.lower() for name in names if name}  # a load may have given a table the catalog's spelling since
        return (
            (self.run_id is None or letter["run_id"] == self.run_id)
            and (self.table is None or self.table.lower() in named)
            and (not self.ids or letter["id"] in self.ids)
        )

    def is_newer(self, letter: dict[str, Any]) -> bool:
        """Whether a message has come since."""
        return letter["at"] > self.until


def list_letters(limit: int = MOST_LISTED, cursor: str | None = None) -> dict[str, Any]:
    """{"messages": at most so many, oldest first, "next": where others were seen, "more": whether some were left unseen}. Looking
    hides a message from others for a moment.

    A queue gives its messages in no order, so each page looks through it anew. Raises InvalidRequest for a cursor that is none.
    """
    behind = _moment_of(cursor)
    found = _each_queue(DeadLetterFilter(until=float("inf")), None)
    letters = [one for one in found["messages"] if (one["at"], one["id"]) > behind]
    shown = fitting(letters[:limit])
    others = {"next": cursor_of(str(shown[-1]["at"]), shown[-1]["id"])} if shown and len(shown) < len(letters) else {}
    return {"messages": shown, "more": found["more"], "failed": found["failed"], **others}


def _moment_of(cursor: str | None) -> tuple[float, str]:
    try:
        at, message_id = place_of(cursor, 2) or ("0", "")
        return float(at), message_id
    except ValueError as error:
        raise InvalidRequest([{"field": "cursor", "problem": PROBLEM}]) from error


def put_back(chosen: DeadLetterFilter) -> dict[str, Any]:
    """Sends what is selected to its queue again; answers as `list_letters` does, with the messages that went back.

    With them: `failed`, the messages and queues at which that failed, each with its `problem`; `newer`, how many have come
    since; `left`, about how many lie in all the queues now; `until`, which the next call takes over. Where there is `more`, what
    was passed over stays hidden for a while, so that the next call sees what follows.
    """
    return _each_queue(chosen, _send_back)


def discard(chosen: DeadLetterFilter, reason: str) -> dict[str, Any]:
    """Writes down that what is selected is given up, and why, then deletes it; answers as `put_back` does. Each message has
    what that means for its table as its `consequence`."""

    def settle(queue: "_Queue", message: dict[str, Any], letter: dict[str, Any]) -> None:
        letter["consequence"] = discards.consequence(queue.name)
        discards.keep(letter, reason)
        client("sqs").delete_message(QueueUrl=queue.dead_letters, ReceiptHandle=message["ReceiptHandle"])

    return _each_queue(chosen, settle)


def preview(chosen: DeadLetterFilter) -> dict[str, Any]:
    """What would be settled: answers as `put_back` does, with the messages that are meant, and changes nothing. Each has what it
    would mean for its table to give it up as its `consequence`."""
    found = _each_queue(chosen, None)
    for letter in found["messages"]:
        letter["consequence"] = discards.consequence(letter["queue"])
    return found


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


@dataclass
class _Walk:
    """One way through a queue: what was settled, where that failed, what is younger than the question."""

    letters: dict[str, dict[str, Any]] = field(default_factory=dict)
    handles: dict[str, str] = field(default_factory=dict)
    failed: dict[str, dict[str, Any]] = field(default_factory=dict)
    newer: set[str] = field(default_factory=set)
    more: bool = True
    left: int = 0


_Settle = Callable[[_Queue, dict[str, Any], dict[str, Any]], None]


def _each_queue(chosen: DeadLetterFilter, settle: _Settle | None) -> dict[str, Any]:
    queues = [_Queue.named(text) for text in settings().replay_queues.split()]
    deadline = time.monotonic() + BUDGET_SECONDS

    def one(queue: _Queue) -> tuple[list[tuple[_Queue, _Walk]], list[Failure[_Queue]]]:
        return each_alone([queue], lambda queue: _walk(queue, chosen, settle, deadline))

    with ThreadPoolExecutor(max(1, len(queues))) as pool:
        found = list(pool.map(one, queues))
    walks = [walk for done, _ in found for _, walk in done]
    broken = [failure for _, failed in found for failure in failed]
    for failure in broken:
        if not walks or not isinstance(failure.error, ClientError | BotoCoreError):
            raise _translated(failure.error) from failure.error
    letters = sorted((one for walk in walks for one in walk.letters.values()), key=lambda one: (one["at"], one["id"]))
    answer = {"messages": letters, "more": any(walk.more for walk in walks)}
    answer["failed"] = [one for walk in walks for one in walk.failed.values()]
    answer["failed"] += [_unseen(failure) for failure in broken]
    newer = sum(len(walk.newer) for walk in walks)
    return answer | {"newer": newer, "left": sum(walk.left for walk in walks), "until": chosen.until}


def _translated(error: Exception) -> Exception:
    return unavailable("SQS", error) if isinstance(error, ClientError | BotoCoreError) else error


def _unseen(failure: Failure[_Queue]) -> dict[str, Any]:
    nothing = {"id": None, "table": None, "run_id": None, "reason": None, "at": None, "age_seconds": None}
    return {
        **nothing,
        "queue": failure.thing.name,
        "problem": f"the queue could not be looked through: {failure.error}",
    }


def _walk(queue: _Queue, chosen: DeadLetterFilter, settle: _Settle | None, deadline: float) -> _Walk:
    """Looks at what is in the queue and settles what fits; tells whether it came to the end."""
    walk, in_vain = _Walk(), 0
    while walk.more and in_vain < MOST_NEWER and len(walk.handles) < MOST_PER_QUEUE and time.monotonic() < deadline:
        found = _receive(queue)
        for message in found:
            _look_at(queue, message, chosen, settle, walk)
        newer = bool(found) and all(message["MessageId"] in walk.newer for message in found)
        in_vain = in_vain + 1 if newer else 0
        walk.more = bool(found)
    walk.more = walk.more and in_vain < MOST_NEWER
    if not (walk.more and settle):
        show(queue.dead_letters, list(walk.handles.values()))
    walk.left = _count(queue)
    return walk


def _look_at(
    queue: _Queue, message: dict[str, Any], chosen: DeadLetterFilter, settle: _Settle | None, walk: _Walk
) -> None:
    letter, source = letter_of(queue.name, message)
    walk.handles[letter["id"]] = message["ReceiptHandle"]
    if chosen.is_newer(letter):
        walk.newer.add(letter["id"])
        return
    if not chosen.fits(letter, source):
        return
    try:
        if settle:
            settle(queue, message, letter)
            del walk.handles[letter["id"]]
        walk.letters[letter["id"]] = letter
    except Exception as error:
        problem = str(_translated(error)) if isinstance(error, ClientError | BotoCoreError) else str(error)
        walk.failed[letter["id"]] = letter | {"problem": problem}


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


def _count(queue: _Queue) -> int:
    """About how many messages lie in the queue, those that somebody looks at included."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    told = client("sqs").get_queue_attributes(QueueUrl=queue.dead_letters, AttributeNames=names)["Attributes"]
    return sum(int(told.get(name, 0)) for name in names)


def _send_back(queue: _Queue, message: dict[str, Any], letter: dict[str, Any]) -> None:
    client("sqs").send_message(QueueUrl=queue.target, MessageBody=_again(message["Body"]))
    client("sqs").delete_message(QueueUrl=queue.dead_letters, ReceiptHandle=message["ReceiptHandle"])


def _again(text: str) -> str:
    """The message with the mark of a replay where it is a command: its batch may be tried anew, whatever it has cost before."""
    try:
        body = json.loads(text)
    except ValueError:
        return text
    is_command = isinstance(body, dict) and type_of(body) in REPLAYED
    compact = {"ensure_ascii": False, "separators": (",", ":")}  # no larger than it was, but for the mark
    return json.dumps(body | {"replayed": True}, **compact) if is_command else text
