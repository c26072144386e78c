"""Writes state, lake and messages by the version that it is run in, for the tests of a later one:

    git worktree add ../before COMMIT && cp tests/helpers/write_state.py ../before/tests/helpers && cd ../before
    python -m tests.helpers.write_state COMMIT …/tests/upgrade/COMMIT.json.xz

Everything is what the functions themselves have written, in an embedded AWS and over TDS to the stand-in: items of the three
tables, objects of the bucket, and messages as they lie in queues. The source listens at PORT, since keys hold its address.

`kept` (merge, with gold) and `added` (append) are loaded twice through the whole chain. A third batch of `kept` is committed, and
its message to silver still lies in the queue (`under_way`); that of its second batch has come twice (`again`).
"""

import base64
import json
import lzma
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3

from events.choices import MergeStrategy
from events.commands import IngestTable
from events.envelopes import sqs
from events.targets import BronzeTarget, ConnectionReference, GoldTarget, SilverTarget, SourceTable
from infra.local.resources import Resources
from infra.local.template import REGION, expand
from tests.helpers.servers import AWS_KEYS, AWS_VARIABLES, ROOT, embedded_aws, start_standin, stop

PORT = 14331  # below the ports that systems give to clients
SECRET = "flowforge/upgrade/sa"
TABLES: dict[str, MergeStrategy] = {"kept": "merge", "added": "append"}
CHAIN = (("Watermark", "watermark"), ("Refine", "refine_silver"), ("Publish", "publish_gold"), ("Track", "track_run"),
         ("Lineage", "record_lineage"))  # fmt: skip
CREATE = (
    "CREATE TABLE {t} (id int PRIMARY KEY, name nvarchar(20), at datetime2(3) DEFAULT SYSUTCDATETIME()); "
    "CREATE INDEX by_at ON {t} (at)"
)
WRITES = (
    "INSERT INTO {t} (id, name) VALUES (1, 'one'), (2, 'two'), (3, 'three')",
    "UPDATE {t} SET name = 'TWO', at = SYSUTCDATETIME() WHERE id = 2; INSERT INTO {t} (id, name) VALUES (4, 'four')",
    "UPDATE {t} SET name = 'THREE', at = SYSUTCDATETIME() WHERE id = 3",
)


class Context:
    """What a handler gets beside its event."""

    function_name, memory_limit_in_mb, aws_request_id = "test", 512, "request"
    invoked_function_arn = f"arn:aws:lambda:{REGION}:123456789012:function:test"

    def get_remaining_time_in_millis(self) -> int:
        return 60_000


class Writing:
    """One deployment, and how its queues are worked off in this process."""

    def __init__(self, name: Callable[[str], str], source: Any):
        self.name, self.source = name, source  # what Ref gives: a queue's URL, a table's or bucket's name

    def execute(self, text: str) -> None:
        with self.source.cursor() as cursor:
            for statement in text.split("; "):
                cursor.execute(statement)

    def take(self, queue: str) -> list[Any]:
        sqs_client, url, found = boto3.client("sqs"), self.name(f"{queue}Queue"), []
        while batch := sqs_client.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
            for message in batch:
                found.append(json.loads(message["Body"]))
                sqs_client.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return found

    def handle(self, queue: str, function: str, body: Any) -> None:
        os.environ["FLOWFORGE_QUEUE_URL"] = self.name(f"{queue}Queue")
        os.environ["FLOWFORGE_DEAD_LETTER_QUEUE_URL"] = self.name(f"{queue}DeadLetters")
        handler = __import__(f"functions.{function}.handler", fromlist=["handler"]).handler
        assert handler(sqs(body), Context()) == {"batchItemFailures": []}, (function, body)

    def load(self, command: IngestTable, steps: tuple[tuple[str, str], ...] = CHAIN) -> dict[str, list[Any]]:
        """Brings a load through the chain; returns the messages of each queue."""
        from flowforge.state import runs

        tables = [(command.bronze.table, f"dbo.{command.source.title}")]
        runs.open_run(command.run_id, "w", "j", command.batch_id, "api", tables)
        self.handle("Ingest", "ingest_table", json.loads(command.model_dump_json()))
        told: dict[str, list[Any]] = {}
        for queue, function in steps:
            told[queue] = self.take(queue)
            for body in told[queue]:
                self.handle(queue, function, body)
        return told


def command(table: str, run: str) -> IngestTable:
    """The load of a table; a later version submits the very same."""
    return IngestTable(
        run_id=f"run_{table}_{run}",
        workflow_id="w",
        job_id="j",
        batch_id=run,
        connection=ConnectionReference(
            host="localhost", port=PORT, database="BFSI_Test", secret_id=SECRET, driver="pymssql"
        ),
        source=SourceTable(table_name=table, is_incremental=True, delta_column="at"),
        bronze=BronzeTarget(table=f"bronze_{table}"),
        silver=SilverTarget(
            table=table, strategy=TABLES[table], primary_key=["id"] if TABLES[table] == "merge" else []
        ),
        gold=GoldTarget(table=table),
    )


def keep_secret() -> None:
    """The login's secret, as a person would have put it there."""
    secret = json.dumps({"username": "sa", "password": "FlowForge2024!", "host": "localhost", "port": PORT})
    boto3.client("secretsmanager").create_secret(Name=SECRET, SecretString=secret)


def dump(writing: Writing) -> dict[str, Any]:
    """Items by table and objects by key, as the services give them."""
    dynamodb, s3, bucket = boto3.client("dynamodb"), boto3.client("s3"), writing.name("Lake")
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    keys = [found["Key"] for page in pages for found in page.get("Contents", [])]
    objects = {key: s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys}
    scanned = {
        table: dynamodb.scan(TableName=writing.name(table))["Items"] for table in ("Watermarks", "Runs", "Connections")
    }
    return {
        "items": scanned,
        "objects": {key: base64.b85encode(body).decode() for key, body in sorted(objects.items())},
    }


def write(writing: Writing) -> dict[str, Any]:
    """Loads, and returns what is to be kept."""
    for table in TABLES:
        writing.execute(CREATE.format(t=table))
    again = {}
    for number, statement in enumerate(WRITES[:2]):
        for table in TABLES:
            writing.execute(statement.format(t=table))
        time.sleep(1.2)  # a bound stays a second behind the clock
        for table in TABLES:
            again[table] = writing.load(command(table, f"load{number}"))["Refine"]
    writing.execute(WRITES[2].format(t="kept"))
    time.sleep(1.2)
    writing.load(
        command("kept", "load2"), (("Watermark", "watermark"), ("Track", "track_run"), ("Lineage", "record_lineage"))
    )
    with writing.source.cursor() as cursor:
        rows = {}
        for table in TABLES:
            cursor.execute(f"SELECT id, name, CONVERT(varchar(23), at, 121) FROM {table} ORDER BY id")
            rows[table] = [list(row) for row in cursor.fetchall()]
    return {**dump(writing), "messages": {"again": again, "under_way": writing.take("Refine")}, "rows": rows}


def main(commit: str, target: str) -> None:
    """Writes the archive."""
    with tempfile.TemporaryDirectory() as folder, embedded_aws(Path(folder) / "log") as endpoint:
        source, ready = start_standin(Path(folder), "--port", str(PORT))
        os.environ |= AWS_VARIABLES | {"AWS_DEFAULT_REGION": REGION, "AWS_ENDPOINT_URL": endpoint}
        os.environ["FLOWFORGE_SOURCE_CA_FILE"] = ready["ca_file"]
        keys = (AWS_KEYS["aws_access_key_id"], AWS_KEYS["aws_secret_access_key"])
        resources = Resources(
            expand(ROOT / "template.yaml", {}),
            "flowforge",
            endpoint,
            None,
            keys,
        )
        resources.create_all()
        submit = resources.of_kind("AWS::Lambda::Function")["SubmitJobFunction"]["Environment"]["Variables"]
        os.environ |= {name: str(value) for name, value in submit.items() if str(value)}
        keep_secret()
        import pymssql

        with pymssql.connect(
            server="127.0.0.1",
            port=str(PORT),
            user="sa",
            password="FlowForge2024!",
            database="BFSI_Test",
            autocommit=True,
        ) as connection:
            kept = {"commit": commit, **write(Writing(lambda logical: resources.make(logical)[0], connection))}
        stop(source)
    Path(target).write_bytes(lzma.compress(json.dumps(kept, default=lambda value: value.decode("latin-1")).encode()))


if __name__ == "__main__":
    main(*sys.argv[1:])
