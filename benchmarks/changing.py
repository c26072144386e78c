"""A source that changes and the AWS that takes what is read, for `benchmarks.changes` and `benchmarks.idle_tables`.

Resource management: `playing` ends both when its block does.
"""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import boto3
import pymssql

from benchmarks.contenders import ROOT
from benchmarks.servers import _ended, embedded_aws
from events.targets import ConnectionReference
from flowforge.cli.keys import Keys
from flowforge.domain.given import given
from infra.local.aws_calls import ask_for_calls
from infra.local.function import read_functions
from infra.local.processes import start_mortal
from infra.local.resources import Resources
from infra.local.servers import aws_environment
from infra.local.template import expand

SECRET = "flowforge/benchmark"  # noqa: S105 - its name
ON = "ALTER DATABASE CURRENT SET CHANGE_TRACKING = ON"
_TICKS = os.sysconf("SC_CLK_TCK")


class Load(NamedTuple):
    """What the source has done: CPU seconds of its process, megabytes of TDS and rows that it has sent, requests that it got."""

    cpu_seconds: float
    sent_mb: float
    requests: int
    rows: int

    def since(self, before: "Load") -> "Load":
        """What was done after `before`."""
        cpu, sent = self.cpu_seconds - before.cpu_seconds, self.sent_mb - before.sent_mb
        return Load(cpu, sent, self.requests - before.requests, self.rows - before.rows)


@dataclass
class Play:
    """The source, and the environment of the functions. `process` is the stand-in."""

    process: subprocess.Popen
    login: dict[str, Any]
    environment: dict[str, dict[str, str]]
    aws: tuple[str, tuple[str, str]]

    @property
    def reference(self) -> ConnectionReference:
        """How commands name the source."""
        where = {"host": "localhost", "port": self.login["port"], "database": self.login["database"]}
        return ConnectionReference(**where, secret_id=SECRET)

    def execute(self, *statements: str) -> None:
        """Runs statements at the source, whose cost counts for nothing."""
        with (
            pymssql.connect(
                server="localhost",
                port=str(self.login["port"]),
                user=self.login["user"],
                password=self.login["password"],
                database=self.login["database"],
                autocommit=True,
            ) as connection,
            connection.cursor() as cursor,
        ):
            for statement in statements:
                cursor.execute(statement)

    def load(self) -> Load:
        """What the source has done since it started."""
        self.process.send_signal(signal.SIGUSR1)
        sent, requests, rows = map(int, given(self.process.stdout).readline().split())
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return Load((int(fields[11]) + int(fields[12])) / _TICKS, sent / 1e6, requests, rows)

    def calls(self) -> Counter[str]:
        """How often each operation of AWS was asked for so far."""
        return Counter(ask_for_calls(self.aws[0], *self.aws[1]))

    def enter(self, function: str) -> None:
        """Gives this process the environment of a function."""
        os.environ.update(self.environment[function])


@contextmanager
def playing(rows: int = 0) -> Iterator[Play]:
    """Starts the source, with a large table of so many rows, and an embedded AWS with what the template declares."""
    plain = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "FLOWFORGE_"))}
    made = Keys()
    keys = made.aws_access_key_id, made.aws_secret_access_key
    with ExitStack() as stack:
        url = stack.enter_context(embedded_aws(plain | aws_environment(*keys)))
        command = [sys.executable, "-m", "benchmarks.changing_server", "--rows", str(rows)]
        process = start_mortal(command, env=plain, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        stack.enter_context(_ended(process))
        login = json.loads(given(process.stdout).readline())
        resources = Resources(expand(ROOT / "template.yaml", {}), "flowforge", url, None, keys)
        resources.create_all()
        common = (
            plain | aws_environment(*keys) | {"AWS_ENDPOINT_URL": url, "FLOWFORGE_SOURCE_CA_FILE": login["ca_file"]}
        )
        functions = {f.logical_id: dict(f.env) for f in read_functions(resources, common)}
        play = Play(process, login, functions, (url, keys))
        play.enter("IngestTableFunction")
        secret = {"username": login["user"], "password": login["password"], "host": "localhost", "port": login["port"]}
        boto3.Session().client("secretsmanager").create_secret(Name=SECRET, SecretString=json.dumps(secret))
        play.execute(ON)
        yield play
