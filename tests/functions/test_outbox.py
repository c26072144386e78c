"""A worker that dies while it submits: a run that exists gets all its tables queued, and ends."""

import copy
import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from events.envelopes import http
from events.sample_messages import FULL
from flowforge.domain.errors import NotFound
from flowforge.operations.sweep import sweep
from flowforge.state.runs import read_run
from functions.watermark.handler import handler as watermark
from tests.helpers.aws_proxy import AwsProxy, Call, Fault, is_write
from tests.helpers.waiting import LIMIT_SECONDS

ROOT = Path(__file__).resolve().parents[2]
WORKER = """
import json, sys
from functions.submit_job.handler import handler
from tests.helpers.function_calls import Context
print(json.dumps(handler(json.load(sys.stdin), Context())))
"""
TABLES = 23  # three calls to the queue
WRITES = 8  # what is kept, the run (2), the queue (3), what is kept goes, the announcement


def submission(unique) -> tuple[dict, str]:
    """The HTTP event of a request of many tables, and the first part of their names."""
    prefix = unique("t")
    document: dict[str, Any] = copy.deepcopy(FULL) | {"workflow_id": "wf"}
    cursor = {
        "isIncremental": True,
        "deltaColumn": "changed\u2028at",
    }  # a name may hold what some take for the end of a line
    tables = [{"tableName": f"{prefix}_{n}", **cursor} for n in range(TABLES)]
    document["source_config"]["databaseConfig"] = {"tables": tables}
    document["destination_config"] = {}
    return http("POST", "/api/workflows/wf/run", "/api/workflows/{id}/run", document), prefix


class Submission:
    """A worker of submit_job in a process of its own, killed before its n-th write."""

    def __init__(self, aws, event: dict, number: int):
        self.writes, self.number = 0, number
        with AwsProxy(aws.endpoint) as proxy:
            proxy.rule = self.strike
            environment = os.environ | {"AWS_ENDPOINT_URL": proxy.url, "PYTHONPATH": str(ROOT)}
            self.process = subprocess.Popen(
                [sys.executable, "-c", WORKER],
                env=environment,
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
            self.process.communicate(json.dumps(event).encode(), timeout=LIMIT_SECONDS)

    def strike(self, call: Call) -> Fault | None:
        self.writes += is_write(call)
        return Fault("before", self.kill) if self.writes == self.number else None

    def kill(self) -> None:
        os.kill(self.process.pid, signal.SIGKILL)


def queued(aws, prefix: str) -> list[dict]:
    """Takes the commands for these tables off the queue."""
    bodies = [message["body"] for message in aws.messages("IngestQueue")]
    return [body for body in bodies if body["source"]["table_name"].startswith(f"{prefix}_")]


def run_of(aws, prefix: str) -> str | None:
    """The run of these tables, if there is one."""
    found = aws.client("dynamodb").scan(TableName=aws.name("Runs"))["Items"]
    mine = {item["pk"]["S"] for item in found if prefix in item.get("names", {}).get("S", "")}
    assert len(mine) <= 1
    for run_id in mine:
        with suppress(NotFound):
            return read_run(run_id)["run_id"]
    return None


@pytest.mark.parametrize("number", [1, 3, 5, 7, WRITES + 1])
def test_should_queue_every_table_of_a_run_that_exists_whenever_its_worker_is_killed(aws, context, unique, number):
    event, prefix = submission(unique)
    worker = Submission(aws, event, number)
    assert worker.process.returncode == (-signal.SIGKILL if number <= WRITES else 0)
    run_id, commands = run_of(aws, prefix), queued(aws, prefix)
    watermark({"sweep": True}, context)  # too early: a worker may still be at it
    assert queued(aws, prefix) == []
    sweep(-60)
    commands += queued(aws, prefix)
    assert {command["run_id"] for command in commands} == ({run_id} if run_id else set())
    names = {command["source"]["table_name"] for command in commands}
    assert names == ({f"{prefix}_{n}" for n in range(TABLES)} if run_id else set())
    assert sweep(-60)["submitted"] == 0
    assert queued(aws, prefix) == []
