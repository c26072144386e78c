"""The fan-out alone: submit_job takes one request of many tables, in a process of its own, and nobody loads them.

`queue_tables` starts the embedded AWS with what the template declares and runs the handler, as this module's command, in the
environment that the template gives it.
"""

import json
import os
import resource
import subprocess
import sys
import time
from collections import Counter
from typing import NamedTuple

from benchmarks.contenders import ROOT
from benchmarks.request import request_of
from benchmarks.servers import embedded_aws
from flowforge.cli.keys import Keys
from infra.local.aws_calls import ask_for_calls
from infra.local.function import read_functions
from infra.local.resources import Resources
from infra.local.servers import aws_environment
from infra.local.template import expand


class FanOut(NamedTuple):
    """What one request of many tables cost: seconds and CPU of the handler without its import, peak memory, calls."""

    tables: int
    wall_seconds: float
    cpu_seconds: float
    peak_rss_mb: float
    messages: int
    calls: Counter[str]


def queue_tables(tables: int) -> FanOut:
    """Submits a request of so many tables; counts the messages that lie in the queue afterwards."""
    plain = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "FLOWFORGE_"))}
    made = Keys()
    keys = made.aws_access_key_id, made.aws_secret_access_key
    aws = aws_environment(*keys)
    with embedded_aws(plain | aws) as url:
        resources = Resources(expand(ROOT / "template.yaml", {}), "flowforge", url, None, keys)
        resources.create_all()
        common = plain | aws | {"AWS_ENDPOINT_URL": url}
        (function,) = (f for f in read_functions(resources, common) if f.logical_id == "SubmitJobFunction")
        before = Counter(ask_for_calls(url, *keys))
        command = [sys.executable, "-m", "benchmarks.fanout", str(tables)]
        done = subprocess.run(command, env=dict(function.env), cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
        calls = Counter(ask_for_calls(url, *keys)) - before
        messages = _messages(function.env["FLOWFORGE_INGEST_QUEUE_URL"], common)
    seconds, cpu, peak = json.loads(done.stdout.splitlines()[-1])
    return FanOut(tables, seconds, cpu, peak, messages, calls)


def calls_by_caller(url: str, *keys: str) -> Counter[tuple[str, str]]:
    """How often an embedded AWS was called so far by (caller, operation); the caller is the function, empty for all others."""
    callers = ask_for_calls(url, *keys, by_caller=True)
    return Counter({(caller, of): count for caller, calls in callers.items() for of, count in calls.items()})


def _messages(queue_url: str, environment: dict[str, str]) -> int:
    code = (
        "import boto3, sys; print(boto3.client('sqs').get_queue_attributes(QueueUrl=sys.argv[1],"
        "AttributeNames=['ApproximateNumberOfMessages'])['Attributes']['ApproximateNumberOfMessages'])"
    )
    command = [sys.executable, "-c", code, queue_url]
    return int(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)


def main() -> None:
    """The handler's own process: prints seconds, CPU seconds and peak MB as JSON."""
    from functions.submit_job.handler import handler

    tables = [f"dbo.table_{n:05d}" for n in range(int(sys.argv[1]))]
    connection = {"host": "localhost", "database": "many", "username": "sa", "password": "not used"}
    document = request_of(connection, tables)
    record = {"eventSource": "aws:sqs", "messageId": "1", "receiptHandle": "1", "attributes": {}}
    record["attributes"]["ApproximateReceiveCount"] = "1"
    record["body"] = json.dumps({"id": "1", "detail-type": "JobRequested", "detail": document})
    began, cpu = time.monotonic(), time.process_time()
    answer = handler({"Records": [record]}, None)
    if answer != {"batchItemFailures": []}:
        sys.exit(f"the request was not taken: {answer}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps([time.monotonic() - began, time.process_time() - cpu, peak]))


if __name__ == "__main__":
    main()
