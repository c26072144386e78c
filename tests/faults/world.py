"""A world of its own to break things in: a source, the chain that loads it, and what came of it.

What the template declares is created on the embedded AWS; the source is a stand-in of its own. Every call of a worker passes the
proxies.
"""

import json
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import boto3

from events.sample_messages import FULL
from flowforge.domain.run_ids import run_id_of_delivery
from flowforge.operations.query import query
from flowforge.state import batch_records, table
from infra.local.resources import Resources
from tests.faults.chain import Chain
from tests.faults.tds_proxy import TdsProxy
from tests.helpers.aws_proxy import AwsProxy

MANY = 100_000


@dataclass
class World:
    """The source, the proxies and the chain. `login` is how a request reaches the source through its proxy."""

    aws: AwsProxy
    tds: TdsProxy
    chain: Chain
    resources: Resources
    login: dict[str, Any]
    connect: Callable[[], Any]

    def __post_init__(self) -> None:
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
        return self._request(document)

    def submit_again(self, workflow: str, database_config: dict[str, Any]) -> str:
        """The same of a workflow, whose requests of before asked for the same."""
        document = json.loads(json.dumps(FULL)) | {"workflow_id": workflow, "batch_id": f"batch_{uuid.uuid4().hex[:8]}"}
        document["source_config"] |= {"connection": self.login, "databaseConfig": database_config}
        document["destination_config"] = {}
        return self._request(document)

    def submit_files(self, workflow: str, bronze: str, config: dict[str, Any], form: str = "csv") -> str:
        """The same for the files of a workflow's job `daily`."""
        return self._request(
            {
                "workflow_id": workflow,
                "job_id": "daily",
                "source_type": "file",
                "source_config": {"type": form, "fileConfig": config},
                "destination_config": {"bronzeConfig": {"tableName": bronze}},
            }
        )

    def _request(self, document: dict[str, Any]) -> str:
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
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=f"bronze/{bronze}/")
        return sorted(entry["Key"] for page in pages for entry in page.get("Contents", []))

    def landed_keys(self, bronze: str) -> list[str]:
        """The objects that the batches of a bronze table know of."""
        past = batch_records.history(table.resolve(bronze).source_key, MANY)
        return sorted(item.key for batch in past if batch.manifest for item in batch.manifest.objects)
