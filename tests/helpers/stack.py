"""A local stack in processes of its own, and what a user does with it."""

import copy
import json
import os
import signal
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pymssql
import pytest

from events.sample_messages import FULL
from flowforge.cli.keys import bearer
from flowforge.domain.given import given
from flowforge.operations.query import query
from tests.helpers.forked_commands import run_flowforge
from tests.helpers.servers import start
from tests.helpers.waiting import LIMIT_SECONDS, wait_for

TERMINAL = ("succeeded", "failed", "rejected")
# For a stack of a few tests: most of its functions get no event, and each worker takes up to a second of CPU to start.
BRIEF = "--no-warm"
ASK_AGAIN_SECONDS = 0.2  # an answer about a run takes its worker and tables as long as a piece of the run's own work


class Stack:
    """A running stack and what a user does with it."""

    def __init__(self, state: Path, *options: str):
        self.state = state
        wanted = [
            "--state-dir",
            str(state),
            "--port",
            "0",
            "--aws-port",
            "0",
            "--sqlserver-port",
            "0",
            "--quiet",
            *options,
        ]
        output = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        self.process = start("infra.local", *wanted, **output)
        self.file = state / "stack.json"
        wait_for(lambda: self._is_ready() or self.process.poll() is not None, "stack.json")
        assert self.process.poll() is None, given(self.process.stdout).read()
        self.facts = json.loads(self.file.read_text())
        self.http = httpx.Client(base_url=self.facts["api"], timeout=LIMIT_SECONDS, headers=bearer(self.facts["token"]))
        self.connection = dict(self.facts["sqlserver"] or {})
        self._clients: dict[str, Any] = {}

    def _is_ready(self) -> bool:
        """Whether this stack says so, not one that was killed before, whose file the next one takes away."""
        try:
            return json.loads(self.file.read_text())["pid"] == self.process.pid
        except FileNotFoundError:
            return False

    def use(self, sqlserver: dict[str, Any]) -> "Stack":
        """Takes a stand-in that is not the stack's own, by its ready line."""
        login = {"host": "localhost", "username": "sa", "password": "FlowForge2024!"}
        self.connection = {"port": sqlserver["port"], "database": sqlserver["database"], **login}
        self.facts["sqlserver"] = self.connection
        return self

    def _leave(self) -> None:
        self.http.close()
        for client in self._clients.values():
            client.close()
        self._clients.clear()

    def kill(self) -> None:
        """Ends the stack as the kernel would; its children end with it."""
        self._leave()
        self.process.kill()
        self.process.wait(LIMIT_SECONDS)
        given(self.process.stdout).close()

    def stop(self) -> None:
        self._leave()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(LIMIT_SECONDS)
        given(self.process.stdout).close()

    def client(self, service: str) -> Any:
        if service not in self._clients:
            self._clients[service] = boto3.client(
                service,
                endpoint_url=self.facts["s3" if service == "s3" else "aws"],
                region_name=self.facts["region"],
                aws_access_key_id=self.facts["aws_access_key_id"],
                aws_secret_access_key=self.facts["aws_secret_access_key"],
            )
        return self._clients[service]

    # ---------------------------------------------------------------- the source
    def execute(self, *statements: str) -> None:
        """Runs statements at the source, each in a transaction of its own."""
        with self.source() as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def source(self, autocommit: bool = True) -> Any:
        """pymssql's own connection to the source."""
        where = self.facts["sqlserver"]
        return pymssql.connect(
            server=where["host"],
            port=str(where["port"]),
            user=where["username"],
            password=where["password"],
            database=where["database"],
            autocommit=autocommit,
        )

    def ask(self, question: str) -> list[tuple]:
        with self.source() as connection, connection.cursor() as cursor:
            cursor.execute(question)
            return cursor.fetchall()

    def settle(self) -> None:
        """Waits until all that is committed now lies below the guard of 1 s: the server's clock says when."""
        ((start,),) = self.ask("SELECT SYSUTCDATETIME()")
        wait_for(lambda: (self.ask("SELECT SYSUTCDATETIME()")[0][0] - start).total_seconds() > 1.2, "the guard")

    # ---------------------------------------------------------------- requests
    def request(self, database_config: dict[str, Any], **destination: Any) -> dict[str, Any]:
        """A job request of its own workflow for the stack's source."""
        document = copy.deepcopy(FULL)
        document["workflow_id"] = f"wf_{uuid.uuid4().hex[:8]}"
        document["batch_id"] = f"batch_{uuid.uuid4().hex[:8]}"
        document["source_config"] |= {"connection": dict(self.connection), "databaseConfig": database_config}
        document["destination_config"] = destination
        return document

    def post(self, document: Any) -> httpx.Response:
        return self.http.post(f"/api/workflows/{document['workflow_id']}/run", json=document)

    def run(self, document: dict[str, Any]) -> dict[str, Any]:
        """Submits a request and returns its run once it has come to an end."""
        answer = self.post(document)
        assert answer.status_code == 202, answer.text
        return self.finished(answer.json()["run_id"])

    def finished(self, run_id: str) -> dict[str, Any]:
        def ended() -> dict[str, Any] | None:
            run = self.http.get(f"/api/runs/{run_id}").json()
            return run if run.get("status") in TERMINAL else None

        return wait_for(ended, f"run {run_id}", pause=ASK_AGAIN_SECONDS)

    def load(self, database_config: dict[str, Any], **destination: Any) -> dict[str, Any]:
        """Runs a request of one table; returns the table's status."""
        (table,) = self.run(self.request(database_config, **destination))["tables"]
        return table

    # ---------------------------------------------------------------- the lake
    def bronze(self, key: str) -> pa.Table:
        """The rows of a bronze object."""
        return self.bronze_file(key).read()

    def bronze_file(self, key: str) -> pq.ParquetFile:
        """A bronze object as a Parquet file, with its footer."""
        body = self.client("s3").get_object(Bucket=self.facts["bucket"], Key=key)["Body"].read()
        return pq.ParquetFile(pa.BufferReader(body))

    def lake(self, sql: str) -> list[tuple]:
        return query(sql, self.facts["bucket"]).rows

    def workers(self, function: str) -> list[int]:
        return self.http.get("/_local/state").json()["functions"][function]["workers"]


@contextmanager
def in_lake_of(running: Stack) -> Iterator[None]:
    """Lets this process read a stack's lake, as a user does with credentials of their own."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ENDPOINT_URL", running.facts["s3"])
        environment.setenv("AWS_ACCESS_KEY_ID", running.facts["aws_access_key_id"])
        environment.setenv("AWS_SECRET_ACCESS_KEY", running.facts["aws_secret_access_key"])
        environment.setenv("AWS_DEFAULT_REGION", running.facts["region"])
        environment.setenv("AWS_REGION", running.facts["region"])
        yield


def kill(pid: int) -> None:
    """Ends a worker as the kernel would when memory runs out."""
    os.kill(pid, signal.SIGKILL)


def own(name: str, bronze: dict | None = None) -> dict:
    """Destinations of its own, so that tests do not meet in one silver table."""
    return {"bronzeConfig": {"tableName": f"bronze_{name}", **(bronze or {})}, "silverConfig": {"tableName": name}}


def flowforge(stack, *arguments: str) -> subprocess.CompletedProcess:
    """The command line, as a user of this stack types it."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("FLOWFORGE_", "AWS_"))}
    environment["FLOWFORGE_STATE_DIR"] = str(stack.state)
    return run_flowforge(*arguments, "--api", stack.facts["api"], env=environment, cwd=stack.state.parent)


def wait_for_green(stack, run_id: str) -> dict:
    def green() -> dict | None:
        run = stack.http.get(f"/api/runs/{run_id}").json()
        return run if run["status"] == "succeeded" else None

    return wait_for(green, "the run to turn green", pause=ASK_AGAIN_SECONDS)


def put(stack: Stack, table: str, sql: str) -> None:
    stack.client("s3").put_object(Bucket=stack.facts["bucket"], Key=f"models/{table}.sql", Body=sql.encode())


def large_table(stack: Stack, name: str, times: int) -> int:
    """Makes a table of 5,000 rows times `times` at the source; returns its row count."""
    stack.execute(
        f"CREATE TABLE {name} (id bigint PRIMARY KEY, amount decimal(15,2), merchant nvarchar(100))",
        *(
            f"INSERT INTO {name} SELECT transaction_id + {n} * 100000, amount, merchant FROM transactions"
            for n in range(times)
        ),
    )
    return 5_000 * times


def reconciled(stack: Stack, name: str, *options: str) -> dict:
    ended = flowforge(stack, "reconcile", name, "--json", *options)
    assert ended.returncode in (0, 1), ended.stdout + ended.stderr
    assert ended.stdout, ended.stderr
    answer = json.loads(ended.stdout)
    assert "differs" in answer, answer
    assert answer["differs"] == (ended.returncode == 1)
    return answer
