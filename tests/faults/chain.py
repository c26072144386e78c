"""The functions under the test's own hand: queues are polled and workers started only while the test says so.

The functions and their queues are the template's, with its environment. A message is deleted when its function has answered for
it; one that failed, or whose worker died, is shown again at once, since nobody needs to wait here.
"""

import queue
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import boto3
from botocore.exceptions import ClientError

from flowforge.state import runs
from infra.local.event_sources import answered, as_record
from infra.local.function import FunctionSettings
from tests.faults.deliveries import Delivery, Source, name_of, run_of, table_in
from tests.faults.pool import Pool, Work

ENDED = ("succeeded", "failed", "rejected")
RUN_SECONDS = 180
LOOK_SECONDS = 0.25  # between two looks at queues that had nothing: seven calls; of a worker's end it is told at once
COUNTS = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed"]


@dataclass
class Chain:
    """Runs functions on what their queues hold. `endpoint` is where workers find AWS, `extra` goes into their environment."""

    sources: list[Source]
    functions: list[FunctionSettings]
    endpoint: str
    pool: Pool
    at_once: int = 3  # how many workers run side by side
    copies: int = 1  # how many workers get a message at once: the first about a table and run that a function gets
    copied: set[tuple[str, str, str]] = field(default_factory=set)
    held: frozenset[str] = frozenset()  # functions whose queues wait
    extra: dict[str, str] = field(default_factory=dict)
    deliveries: dict[str, Delivery] = field(default_factory=dict)  # the newest of each worker
    running: list[Delivery] = field(default_factory=list)
    history: list[Delivery] = field(default_factory=list)
    ends: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.sqs = boto3.client("sqs")

    @contextmanager
    def with_variables(self, **variables: str) -> Iterator[None]:
        """Adds to the workers' environment for the block."""
        before, self.extra = self.extra, self.extra | variables
        try:
            yield
        finally:
            self.extra = before

    def finish(self, *run_ids: str, seconds: float = RUN_SECONDS) -> list[dict[str, Any]]:
        """Runs the chain until these runs have come to an end; returns them."""
        waiting: dict[str, Any] = dict.fromkeys(run_ids)

        def ended() -> bool:
            for run_id in [run_id for run_id, run in waiting.items() if run is None]:
                waiting[run_id] = self.ended_run(run_id)
            return all(waiting.values())

        self.run_until(ended, seconds, "TrackRun")
        return list(waiting.values())

    def ended_run(self, run_id: str) -> dict[str, Any] | None:
        try:
            found = runs.read_run(run_id)
        except runs.NotFound:
            return None
        return found if found["status"] in ENDED else None

    def run_until(self, done: Callable[[], bool], seconds: float = RUN_SECONDS, looks_after: str = "") -> None:
        """Runs the chain until `done`, which is asked whenever a worker of the function `looks_after` has ended."""
        deadline, patience = time.monotonic() + seconds, 0.0
        while True:
            ended = self._settle(patience)
            if any(looks_after in delivery.function for delivery in ended) and done():
                return
            assert time.monotonic() < deadline, f"not done after {seconds} s: {self.trail()}"
            patience = 0.0 if self._start_workers() else LOOK_SECONDS

    def run_idle(self, seconds: float = RUN_SECONDS) -> None:
        """Runs the chain until no worker runs and no queue has a message, hidden and delayed ones included."""
        deadline, patience = time.monotonic() + seconds, 0.0
        while self._settle(patience) or self._start_workers() or self.running or self._waiting():
            assert time.monotonic() < deadline, f"not idle after {seconds} s: {self.trail()}"
            patience = LOOK_SECONDS

    def _waiting(self) -> int:
        asked = (self.sqs.get_queue_attributes(QueueUrl=s.url, AttributeNames=COUNTS) for s in self.sources)
        return sum(int(answer["Attributes"][name]) for answer in asked for name in COUNTS)

    def trail(self) -> str:
        """What happened last, for a failing test."""
        last = [
            f"{d.function} {d.table} attempt {d.attempt}: {d.work.exit} {d.work.answer}" for d in self.history[-12:]
        ]
        return "\n".join([*last, self.pool.log.read_text()[-3_000:]])

    def _start_workers(self) -> int:
        """A worker for each function that has messages, in turn: none waits for ever behind another's full queue."""
        started = 0
        for _ in self.sources:
            if len(self.running) >= self.at_once:
                break
            source = self.sources[0]
            self.sources.append(self.sources.pop(0))
            if source.function in self.held:
                continue
            if messages := self._receive(source):
                copies = self._copies(source, messages[0]["Body"])
                for _ in range(copies):
                    self.deliver(source, messages)
                started += copies
        return started

    def _receive(self, source: Source) -> list[dict[str, Any]]:
        wanted = {"MessageSystemAttributeNames": ["All"], "MessageAttributeNames": ["All"]}
        most = min(10, source.batch_size)
        return self.sqs.receive_message(QueueUrl=source.url, MaxNumberOfMessages=most, **wanted).get("Messages", [])

    def _copies(self, source: Source, text: str) -> int:
        """Workers for a message. What copies announce is not copied again, or there would be copies of copies without end."""
        about = source.function, table_in(text), run_of(text)
        if self.copies == 1 or about in self.copied:
            return 1
        self.copied.add(about)
        return self.copies

    def deliver(self, source: Source, messages: list[dict[str, Any]]) -> Delivery:
        """Gives messages to a worker of their own."""
        event = {"Records": [as_record(message, source.arn) for message in messages]}
        return self._start(source, messages, event)

    def invoke(self, function: str, event: dict[str, Any]) -> Work:
        """Invokes a function as the HTTP API does; returns the work once it has ended. No queue is looked at meanwhile."""
        (settings,) = [settings for settings in self.functions if name_of(settings) == function]
        delivery = self._start(Source("", "", settings, 0), [], event)
        while delivery.work.exit is None:
            self._settle(LOOK_SECONDS)
        return delivery.work

    def _start(self, source: Source, messages: list[dict[str, Any]], event: dict[str, Any]) -> Delivery:
        env = {**source.settings.env, "AWS_ENDPOINT_URL": self.endpoint, "PYTHONPATH": "", **self.extra}
        delivery = Delivery(
            source=source,
            messages=messages,
            work=self.pool.work_for(source.settings.handler, env),
            table=table_in(messages[0]["Body"]) if messages else "",
            attempt=int(messages[0]["Attributes"]["ApproximateReceiveCount"]) if messages else 1,
        )
        self.deliveries[delivery.work.name] = delivery
        self.running.append(delivery)
        self.pool.start(delivery.work, event)
        return delivery

    def _settle(self, patience: float) -> list[Delivery]:
        """Waits so many seconds for a worker's end. Deletes what was answered for and shows the rest again."""
        ended = []
        with suppress(queue.Empty):
            while True:
                work = self.pool.ended.get(timeout=0 if ended else patience)
                ended.append(next(delivery for delivery in self.running if delivery.work is work))
                self.running.remove(ended[-1])
        for delivery in ended:
            work, url = delivery.work, delivery.source.url
            self.history.append(delivery)
            self.ends["killed" if work.exit == -9 else "failed" if work.exit else "answered"] += 1
            done = answered(delivery.messages, work.answer) if work.exit == 0 else []
            for message in delivery.messages:
                if message in done:
                    self.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
                else:
                    self._show_again(url, message["ReceiptHandle"])
        return ended

    def _show_again(self, url: str, receipt: str) -> None:
        with suppress(ClientError):  # another copy's worker has answered for it meanwhile
            self.sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=receipt, VisibilityTimeout=0)
