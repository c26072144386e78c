"""The servers that tests start, each a process of its own: the embedded AWS and the SQL Server stand-in.

Resource management: a server ends when its block does or it is told to, and, on Linux, with the process that has started it,
whatever ends that one.
"""

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from flowforge.cli.keys import Keys
from flowforge.domain.given import given
from infra.local import ports
from infra.local.processes import start_mortal
from infra.local.template import ACCOUNT
from tests.helpers.waiting import LIMIT_SECONDS

ROOT = Path(__file__).resolve().parents[2]
OTHER_S3 = "FLOWFORGE_TEST_S3"
OTHER_AWS = "FLOWFORGE_TEST_AWS"  # the program of an AWS that someone else wrote, in place of the embedded one


def _keys() -> Keys:
    """Of every embedded AWS that tests start. A secret may hold what has a meaning in SQL and in addresses.

    Where S3 is another server's, its keys: a function has one pair for all services."""
    if os.environ.get(OTHER_S3):
        return Keys(
            aws_access_key_id=os.environ.get(f"{OTHER_S3}_ACCESS_KEY_ID", ""),
            aws_secret_access_key=os.environ.get(f"{OTHER_S3}_SECRET_ACCESS_KEY", ""),
        )
    if os.environ.get(OTHER_AWS):
        return Keys(aws_access_key_id=ACCOUNT, aws_secret_access_key="test")
    return Keys(aws_secret_access_key=f"{secrets.token_urlsafe()}/+secret'quote")


AWS_KEYS = _keys().aws
AWS_VARIABLES = {name.upper(): value for name, value in AWS_KEYS.items()}


@contextmanager
def embedded_aws(log: Path) -> Iterator[str]:
    """Runs the embedded AWS for the block; yields its address, which takes requests at once, signed with AWS_KEYS."""
    process, url = start_aws(log)
    try:
        yield url
    finally:
        stop(process)


def start_aws(log: Path, *folder: str) -> tuple[subprocess.Popen, str]:
    """Starts the embedded AWS, which keeps what it holds in `folder` where one is named; returns its process and address."""
    with ports.listen(0) as listener, log.open("a") as output:
        port, number = listener.getsockname()[1], listener.fileno()
        process = start(
            "infra.local.moto_server",
            str(number),
            *folder,
            env=os.environ | AWS_VARIABLES,
            pass_fds=[number],
            stdout=output,
            stderr=output,
        )
    return process, f"http://127.0.0.1:{port}"


def start_standin(tls_directory: Path, *options: str, **settings: Any) -> tuple[subprocess.Popen, dict[str, Any]]:
    """Starts a stand-in on a free port; returns its process and its ready line: port, database, ca_file and more."""
    wanted = ["--port", "0", "--tls-directory", str(tls_directory), *options]
    process = start("infra.sqlserver", *wanted, stdout=subprocess.PIPE, text=True, **settings)
    line = given(process.stdout).readline()
    if not line:
        raise AssertionError(f"the stand-in ended with {stop(process)} before it was ready")
    return process, json.loads(line)


def start(module: str, *arguments: str, **settings: Any) -> subprocess.Popen:
    """Starts a module as a process that ends with this one; skips the test where none shall be started (`make test-fast`)."""
    if os.environ.get("FLOWFORGE_TEST_FAST"):
        pytest.skip("starts a server")
    return start_mortal([sys.executable, "-m", module, *arguments], cwd=ROOT, **settings)


def stop(process: subprocess.Popen) -> int:
    """Ends a server; returns its exit code."""
    process.terminate()
    code = process.wait(LIMIT_SECONDS)
    for pipe in (process.stdin, process.stdout):
        if pipe:
            pipe.close()
    return code
