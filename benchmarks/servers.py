"""The two servers that every contender talks to: the SQL Server stand-in and the embedded S3, processes of their own.

Resource management: `serving` ends both when its block does.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.contenders import ROOT
from benchmarks.shapes import SHAPES, TABLE
from flowforge.cli.keys import Keys
from flowforge.domain.given import given
from infra.local import ports
from infra.local.processes import start_mortal

BUCKET, REGION = "benchmark", "us-east-1"
# What would bend a measurement, or reach out of this machine.
_LEFT_OUT = ("AWS_", "BENCH_", "FLOWFORGE_", "MSSQL_", "PYTHONPATH", "ARROW_")
_AWS = {
    **{name.upper(): value for name, value in Keys().aws.items()},
    "AWS_REGION": REGION,
    "AWS_DEFAULT_REGION": REGION,
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}


def _inherited() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(_LEFT_OUT)}


def lake_variables() -> dict[str, str]:
    """The environment of a contender that needs S3 alone; its address is for the caller to add."""
    return _inherited() | _AWS | {"BENCH_BUCKET": BUCKET, "RUNTIME__DLTHUB_TELEMETRY": "false"}


@contextmanager
def serving(shape: str, rows: int, folder: Path) -> Iterator[dict[str, str]]:
    """Starts both servers with the shape's table; yields the environment of every contender."""
    clean, aws = _inherited(), dict(_AWS)
    with ExitStack() as stack:
        aws["AWS_ENDPOINT_URL"] = stack.enter_context(embedded_aws(clean | aws))
        source = stack.enter_context(_standin(shape, rows, clean))
        create_bucket(clean | aws)
        key, longest = SHAPES[shape].columns[0][0], 60_000 if shape == "max" else 4_000
        yield (
            clean
            | aws
            | {
                "BENCH_HOST": source["host"],
                "BENCH_PORT": str(source["port"]),
                "BENCH_USER": source["user"],
                "BENCH_PASSWORD": source["password"],
                "BENCH_DATABASE": source["database"],
                "BENCH_TABLE": TABLE,
                "BENCH_KEY": key,
                "BENCH_LONGEST_TEXT": str(longest),
                "BENCH_BUCKET": BUCKET,
                "BENCH_PREFIX": "landed",
                "BENCH_FOLDER": str(folder),
                "FLOWFORGE_BUCKET": BUCKET,
                "FLOWFORGE_SOURCE_CA_FILE": source["ca_file"],
                "RUNTIME__DLTHUB_TELEMETRY": "false",
                "PYTHONDONTWRITEBYTECODE": "",
            }
        )


@contextmanager
def embedded_aws(variables: dict[str, str]) -> Iterator[str]:
    """Starts the embedded AWS for the block, in this environment; yields its address."""
    with ports.listen(0) as listener:
        port, number = listener.getsockname()[1], listener.fileno()
        command = [sys.executable, "-m", "infra.local.moto_server", str(number)]
        process = start_mortal(command, env=variables, cwd=ROOT, pass_fds=[number], stderr=subprocess.DEVNULL)
    with _ended(process):
        yield f"http://{ports.HOST}:{port}"


@contextmanager
def _standin(shape: str, rows: int, variables: dict[str, str]) -> Iterator[dict]:
    command = [sys.executable, "-m", "benchmarks.standin", "--shape", shape, "--rows", str(rows)]
    process = start_mortal(command, env=variables, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    with _ended(process):
        ready = given(process.stdout).readline()
        if not ready:
            sys.exit("the SQL Server stand-in did not start")
        yield json.loads(ready)


@contextmanager
def _ended(process: subprocess.Popen) -> Iterator[None]:
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def create_bucket(variables: dict[str, str]) -> None:
    """Creates the benchmark's bucket."""
    code = f"import boto3; boto3.client('s3').create_bucket(Bucket={BUCKET!r})"
    subprocess.run([sys.executable, "-c", code], env=variables, check=True)
