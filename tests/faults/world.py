"""The whole chain under the test's own hand: queues are polled and workers started only while the test says so.

What the template declares is created on the embedded AWS; the functions are the template's, with its environment; the source is a
stand-in of its own. Every call of a worker passes the proxies. A message is deleted when its function has answered for it; one
whose worker died is shown again at once, since nobody needs to wait here.
"""

import json
import time
import uuid
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import boto3
from botocore.exceptions import ClientError

from events.export import FULL
from flowforge.jobs.submission import run_id_of_delivery
from flowforge.lake.query import query
from flowforge.message import body_of, table_of
from flowforge.state import batches, runs, table
from infra.local.event_sources import answered, as_record
from infra.local.function import FunctionSettings, read_functions
from infra.local.resources import Resources
from tests.faults.aws_proxy import AwsProxy
from tests.faults.pool import Pool, Work
from tests.faults.tds_proxy import TdsProxy

ENDED = ("succeeded", "failed", "rejected")
RUN_SECONDS = 300


@dataclass(frozen=True)
class Source:
    """A queue of the template and the function that gets its messages."""

    url: str
    arn: str
    function: FunctionSettings
    batch_size: int


@dataclass
class Delivery:
    """Messages in a worker's hands; `attempt` is the first one's receive count, `table` its bronze table or ''."""

    source: Source
    messages: list[dict[str, Any]]
    work: Work
    table: str
    attempt: int

    @property
    def function(self) -> str:
        return self.source.function.logical_id.removesuffix("Function")


@dataclass
class World:
    """The chain and its source. `at_once` is how many workers run side by side."""

    aws_url: str
    aws: AwsProxy
    tds: TdsProxy
    pool: Pool
    resources: Resources
    login: dict[str, Any]
    connect: Callable[[], Any]
    environment: dict[str, str]
    at_once: int = 3
    copies: int = 1  # how many workers get a message at once: the first about a table and run that a function gets
    copied: set[tuple[str, str, str]] = field(default_factory=set)
    held: frozenset[str] = frozenset()  # functions whose queues wait
    extra: dict[str, str] = field(default_factory=dict)
    deliveries: dict[str, Delivery] = field(default_factory=dict)
    running: dict[str, Delivery] = field(default_factory=dict)
    history: list[Delivery] = field(default_factory=list)
    ends: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        functions = {f.arn: f for f in read_functions(self.resources, self.environment)}
        functions |= {f.name: f for f in functions.values()}
        urls = {made["Arn"]: url for url, made in map(self.resources.make, self.resources.of_kind("AWS::SQS::Queue"))}
        self.sources = [
            Source(
                urls[mapping["EventSourceArn"]],
                mapping["EventSourceArn"],
                functions[mapping["FunctionName"]],
                int(mapping["BatchSize"]),
            )
            for mapping in self.resources.of_kind("AWS::Lambda::EventSourceMapping").values()
        ]
        self.sqs, self.s3 = boto3.client("sqs"), boto3.client("s3")
        self.bucket = self.resources.make("Lake")[0]

    # ---------------------------------------------------------------- the source
    def execute(self, *statements: str) -> None:
        with self.connect() as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def ask(self, question: str) -> list[tuple]:
        with self.connect() as connection, connection.cursor() as cursor:
            cursor.execute(question)
            return cursor.fetchall()

    def settle(self) -> None:
        """Waits until all that is committed now lies below the guard of 1 s: the server's clock says when."""
        ((start,),) = self.ask("SELECT SYSUTCDATETIME()")
        while (self.ask("SELECT SYSUTCDATETIME()")[0][0] - start).total_seconds() < 1.2:
            self.ask("WAITFOR DELAY '00:00:00.1' SELECT 1")

    # ---------------------------------------------------------------- requests and the queues
    def submit(
        self, database_config: dict[str, Any], connection: dict[str, Any] | None = None, **destination: Any
    ) -> str:
        """Queues a job request as the bus does; returns the id that its run will have."""
        document = json.loads(json.dumps(FULL)) | {"workflow_id": f"wf_{uuid.uuid4().hex[:8]}"}
        document["batch_id"] = f"batch_{uuid.uuid4().hex[:8]}"
        document["source_config"] |= {"connection": connection or self.login, "databaseConfig": database_config}
        document["destination_config"] = destination
        envelope = {"version": "0", "id": str(uuid.uuid4()), "detail-type": "JobRequested", "source": "faults"}
        self.send("SubmitQueue", envelope | {"detail": {"request": document}})
        return run_id_of_delivery("bus", envelope["id"])

    def send(self, queue: str, body: Any) -> None:
        self.sqs.send_message(QueueUrl=self.resources.make(queue)[0], MessageBody=json.dumps(body))

    def letters(self, queue: str) -> list[dict[str, Any]]:
        """What lies in a queue, which it leaves."""
        url, found = self.resources.make(queue)[0], []
        while batch := self.sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"], VisibilityTimeout=60
        ).get("Messages"):
            for message in batch:
                found.append(message)
                self.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return found

    # ---------------------------------------------------------------- the chain
    def finish(self, *run_ids: str, seconds: float = RUN_SECONDS) -> list[dict[str, Any]]:
        """Runs the chain until these runs have come to an end; returns them."""
        waiting = dict.fromkeys(run_ids)

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
        deadline = time.monotonic() + seconds
        while True:
            ended = self._settle()
            if any(looks_after in delivery.function for delivery in ended) and done():
                return
            assert time.monotonic() < deadline, f"not done after {seconds} s: {self.trail()}"
            if not self._start_workers() and not ended:
                time.sleep(0.01)

    def run_idle(self, seconds: float = RUN_SECONDS) -> None:
        """Runs the chain until no worker runs and no queue has a message, hidden and delayed ones included."""
        deadline = time.monotonic() + seconds
        while self._settle() or self._start_workers() or self.running or self._waiting():
            assert time.monotonic() < deadline, f"not idle after {seconds} s: {self.trail()}"
            time.sleep(0.01)

    def _waiting(self) -> int:
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        names.append("ApproximateNumberOfMessagesDelayed")
        asked = (self.sqs.get_queue_attributes(QueueUrl=s.url, AttributeNames=names) for s in self.sources)
        return sum(int(answer["Attributes"][name]) for answer in asked for name in names)

    def trail(self) -> str:
        """What happened last, for a failing test."""
        last = [
            f"{d.function} {d.table} attempt {d.attempt}: {d.work.exit} {d.work.answer}" for d in self.history[-12:]
        ]
        return "\n".join([*last, self.pool.log.read_text()[-3_000:]])

    def _start_workers(self) -> int:
        started = 0
        for source in self.sources:
            room = self.at_once - len(self.running)
            if room <= 0:
                break
            if source.function.logical_id.removesuffix("Function") in self.held:
                continue
            most = min(10, room * source.batch_size)
            asked = {
                "MaxNumberOfMessages": most,
                "MessageSystemAttributeNames": ["All"],
                "MessageAttributeNames": ["All"],
            }
            found = self.sqs.receive_message(QueueUrl=source.url, **asked).get("Messages", [])
            for start in range(0, len(found), source.batch_size):
                messages = found[start : start + source.batch_size]
                copies = self._copies(source, messages[0]["Body"])
                for _ in range(copies):
                    self.deliver(source, messages)
                started += copies
        return started

    def _copies(self, source: Source, text: str) -> int:
        """Workers for a message. What copies announce is not copied again, or there would be copies of copies without end."""
        about = source.function.logical_id, _table(text), str(_field(text, "run_id"))
        if self.copies == 1 or about in self.copied:
            return 1
        self.copied.add(about)
        return self.copies

    def deliver(self, source: Source, messages: list[dict[str, Any]]) -> Delivery:
        """Gives messages to a worker of their own."""
        name = self.pool.new_name()
        event = {"Records": [as_record(message, source.arn) for message in messages]}
        function = source.function
        env = {**function.env, "AWS_ENDPOINT_URL": self.aws.url, "AWS_ACCESS_KEY_ID": name, **self.extra}
        env["PYTHONPATH"] = ""
        delivery = Delivery(
            source=source,
            messages=messages,
            work=Work(name),
            table=_table(messages[0]["Body"]),
            attempt=int(messages[0]["Attributes"]["ApproximateReceiveCount"]),
        )
        self.deliveries[name] = self.running[name] = delivery
        delivery.work = self.pool.start(name, function.handler, event, env)
        return delivery

    def _settle(self) -> list[Delivery]:
        """Deletes what was answered for, and shows again what its worker took with it."""
        ended = []
        while not self.pool.ended.empty():
            work = self.pool.ended.get()
            delivery = self.running.pop(work.name)
            self.history.append(delivery)
            self.ends["killed" if work.exit == -9 else "failed" if work.exit else "answered"] += 1
            done = answered(delivery.messages, work.answer) if work.exit == 0 else []
            url = delivery.source.url
            for message in delivery.messages:
                if message in done:
                    self.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
                elif work.exit:
                    self._show_again(url, message["ReceiptHandle"])
            ended.append(delivery)
        return ended

    def _show_again(self, url: str, receipt: str) -> None:
        with suppress(ClientError):  # another copy's worker has answered for it meanwhile
            self.sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=receipt, VisibilityTimeout=0)

    # ---------------------------------------------------------------- what came of it
    def compare(self, source_table: str, silver: str, columns: str) -> tuple[int, int, int]:
        """Rows compared, missing in and too many in silver and gold, by content: `columns` as both sides print them."""
        wanted = Counter(self.ask(f"SELECT {columns} FROM {source_table}"))
        lost = doubled = 0
        for layer in ("silver", "gold"):
            found = Counter(query(f"SELECT {columns} FROM {layer}.{silver}", self.bucket).rows)
            lost += (wanted - found).total()
            doubled += (found - wanted).total()
        return 2 * wanted.total(), lost, doubled

    def bronze_keys(self, bronze: str) -> list[str]:
        """The objects of a bronze table that anybody can see."""
        listed = self.s3.list_objects_v2(Bucket=self.bucket, Prefix=f"bronze/{bronze}/")
        return sorted(entry["Key"] for entry in listed.get("Contents", []))

    def landed_keys(self, bronze: str) -> list[str]:
        """The objects that the batches of a bronze table know of."""
        past = batches.history(table.resolve(bronze).source_key, 1_000)
        return sorted(item.key for batch in past if batch.manifest for item in batch.manifest.objects)


def _field(text: str, name: str) -> Any:
    try:
        return body_of(text).get(name)
    except (ValueError, AttributeError):
        return None


def _table(text: str) -> str:
    try:
        body = body_of(text)
        if "request" in body:
            return f"bronze_{body['request']['source_config']['databaseConfig']['tableName']}"
        return table_of(body) or ""
    except (ValueError, AttributeError, KeyError, TypeError):
        return ""
