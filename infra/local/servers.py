"""The two servers beside the functions: the embedded AWS and the SQL Server stand-in, each a process of its own."""

import asyncio
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.local import ports
from infra.local.data_directory import DataDirectory
from infra.local.logs import Log
from infra.local.needed_rights import FOLDER
from infra.local.processes import Child, Children, clean_environment
from infra.local.template import REGION

STANDIN_START_SECONDS = 60  # a large sample bank is generated before the first connection
STANDIN_STOP_SECONDS = 3


class StartError(Exception):
    """A server of the stack did not start; its log says why."""


def aws_environment(access_key_id: str, secret_access_key: str) -> dict[str, str]:
    """Return what makes an AWS SDK use the given credentials and nothing of the user's own configuration."""
    return {
        "AWS_ACCESS_KEY_ID": access_key_id,
        "AWS_SECRET_ACCESS_KEY": secret_access_key,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_REGION": REGION,
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def _recorded() -> dict[str, str]:
    return {FOLDER: os.environ[FOLDER]} if FOLDER in os.environ else {}


async def start_embedded_aws(
    children: Children, preferred_port: int, environment: dict[str, str], data: DataDirectory | None = None
) -> tuple[str, Child]:
    """Start moto's server and return its URL and its process, whose output the caller follows; with `data` it keeps there what it
    holds, and the directory's lock as long as it lives.

    The URL can be used at once: the socket listens already, and the first requests wait until the server is up.
    """
    with ports.listen(preferred_port) as listener:
        url = f"http://{ports.HOST}:{listener.getsockname()[1]}"
        listener.set_inheritable(True)
        child = await children.start(
            [
                sys.executable,
                "-m",
                "infra.local.moto_server",
                str(listener.fileno()),
                *([str(data.path)] if data else []),
            ],
            env={**clean_environment(), **_recorded(), **environment},
            cwd=_project_root(),
            pass_fds=[listener.fileno(), *([data.lock] if data else [])],
        )
    return url, child


@dataclass(frozen=True)
class SqlServer:
    """A running stand-in: what stack.json says of it, the CA of its certificate, and its process."""

    connection: dict[str, Any]
    ca_file: str
    child: Child


async def start_sqlserver(
    children: Children, log: Log, preferred_port: int, bank_scale: float, *, tls: Path
) -> SqlServer:
    """Start the SQL Server stand-in with the sample bank and wait until it takes connections.

    Its certificate, and the CA that signs it, stay in the folder `tls`. What it prints after it is ready is for the
    caller to follow. Raises StartError.
    """
    with ports.listen(preferred_port) as listener:
        listener.set_inheritable(True)
        handed_over = listener.fileno()
        command = [sys.executable, "-m", "infra.sqlserver", "--bank", "--listener", str(handed_over)]
        command += ["--tls-directory", str(tls)]
        if bank_scale != 1:
            command += ["--scale", f"{bank_scale:g}"]
        child = await children.start(command, env=clean_environment(), cwd=_project_root(), pass_fds=[handed_over])
    try:
        ready = await asyncio.wait_for(_first_json(child.output, log), STANDIN_START_SECONDS)
    except TimeoutError:
        raise StartError(
            f"the SQL Server stand-in was not ready after {STANDIN_START_SECONDS} s; see {log.path}"
        ) from None
    if ready is None:
        raise StartError(f"the SQL Server stand-in did not start; see {log.path}")
    connection = {"host": "localhost", "port": ready["port"], "database": ready["database"]}
    # The documented login of the sample bank; the stand-in serves nothing else, and on the loopback interface only.
    login = {"username": "sa", "password": "FlowForge2024!"}
    return SqlServer(connection | login, ready["ca_file"], child)


async def _first_json(stream: asyncio.StreamReader, log: Log) -> dict[str, Any] | None:
    while line := await stream.readline():
        if line.startswith(b"{"):
            return json.loads(line)
        log.write(line.decode(errors="replace"))
    return None


def _project_root() -> Path:
    return Path(__file__).resolve().parents[2]
