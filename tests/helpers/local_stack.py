"""A `python -m infra.local` that runs a small project, and clients for what it serves."""

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import boto3
import httpx

from flowforge.cli.keys import bearer
from flowforge.domain.given import given
from tests.helpers.servers import ROOT, start
from tests.helpers.waiting import LIMIT_SECONDS, wait_for

TEMPLATE = ROOT / "tests" / "local_stack" / "project" / "template.yaml"


class RunningStack:
    """A `python -m infra.local` process and clients for what it serves."""

    def __init__(self, state: Path, *options: str, warm: bool = False, loud: bool = False) -> None:
        self.state, self.file = state, state / "stack.json"
        command = ["--template", str(TEMPLATE), "--state-dir", str(state), *options]
        if not loud:
            command += ["--quiet"]
        if not warm:
            command += ["--no-warm"]
        if "--sqlserver-port" not in options:
            command += ["--no-sqlserver"]
        if "--port" not in options:
            command += ["--port", "0", "--aws-port", "0"]
        output = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        self.process = start("infra.local", *command, **output)
        self._clients: list[Any] = []

    def wait_until_ready(self) -> "RunningStack":
        wait_for(lambda: self.file.exists() or self.process.poll() is not None, "stack.json")
        assert self.process.poll() is None, given(self.process.stdout).read()
        self.facts = json.loads(self.file.read_text())
        self.http = httpx.Client(base_url=self.facts["api"], timeout=LIMIT_SECONDS, headers=bearer(self.facts["token"]))
        self._clients.append(self.http)
        return self

    def client(self, service: str) -> Any:
        client = boto3.client(
            service, endpoint_url=self.facts["s3"], region_name=self.facts["region"],
            aws_access_key_id=self.facts["aws_access_key_id"], aws_secret_access_key=self.facts["aws_secret_access_key"],
        )  # fmt: skip
        self._clients.append(client)
        return client

    def object(self, key: str, seconds: float = LIMIT_SECONDS) -> Any:
        """Return the JSON object at a key, once it is there."""
        s3, bucket = self.s3, self.facts["bucket"]

        def read() -> Any:
            try:
                return json.load(s3.get_object(Bucket=bucket, Key=key)["Body"])
            except s3.exceptions.NoSuchKey:
                return None

        return wait_for(read, f"object {key}", seconds)

    @property
    def s3(self) -> Any:
        if not hasattr(self, "_s3"):
            self._s3 = self.client("s3")
        return self._s3

    def functions(self) -> dict[str, Any]:
        return self.http.get("/_local/state").json()["functions"]

    def stop(self, sig: int = signal.SIGTERM) -> int:
        """End the process as the signal does and return its exit status."""
        for client in self._clients:
            client.close()
        self._clients.clear()
        if self.process.poll() is None:
            os.kill(self.process.pid, sig)
        try:
            return self.process.wait(timeout=LIMIT_SECONDS)
        finally:
            self.process.kill()
            self.process.wait()
            given(self.process.stdout).close()


def send(stack: RunningStack, queue: str, *items: Any) -> None:
    """Puts messages, as JSON, on a queue of the template."""
    sqs = stack.client("sqs")
    url = sqs.get_queue_url(QueueName=f"flowforge-{queue}")["QueueUrl"]
    entries = [{"Id": str(n), "MessageBody": json.dumps(item)} for n, item in enumerate(items)]
    assert not sqs.send_message_batch(QueueUrl=url, Entries=entries).get("Failed")
