"""The command line in processes that are forked from one that has imported what commands import, for tests whose matter is not
how the process starts: 0.2 CPU s for a command, where a new interpreter takes 2.

A fork has the environment, folder, outputs and exit code that it is given, as any process. One process forks for each process of
tests, and ends with it.
"""

import atexit
import json
import socket
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from threading import current_thread, main_thread
from typing import Any

from infra.local.forking import LONGEST_ORDER
from infra.local.worker_processes import IMPORTED_LATER
from tests.helpers.servers import start

# What commands import when they run. Whatever brings duckdb or deltalake is left to the fork: they start threads.
IMPORTED = (
    "flowforge.cli.app",
    "flowforge.cli.api",
    "flowforge.cli.signature",
    "flowforge.lineage.graph",
    "flowforge.operations.comparison",
    "flowforge.operations.findings",
    "flowforge.operations.footers",
    "rich.live",
    "rich.progress",
    "rich.table",
    *IMPORTED_LATER,
)
FORKS = sys.platform == "linux"


class _Forking:
    """The process that forks; one command at a time."""

    def __init__(self) -> None:
        self._control, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with other:
            number = other.fileno()
            self.process = start("infra.local.forking", str(number), *IMPORTED, pass_fds=[number], env={})
        atexit.register(self.close)
        threads = self._hear()["threads"]
        assert len(threads) == 1, threads  # a fork would lack the others

    def close(self) -> None:
        self._control.close()
        self.process.wait()

    def _hear(self) -> dict[str, Any]:
        message = self._control.recv(LONGEST_ORDER)
        assert message, f"the process that forks ended with {self.process.wait()}"
        return json.loads(message)

    def run(
        self, arguments: tuple[str, ...], env: Mapping[str, str], cwd: Path, stdin: str
    ) -> subprocess.CompletedProcess[str]:
        """Runs `flowforge` with these arguments to its end."""
        order = {"id": uuid.uuid4().hex, "program": "flowforge.cli:main", "arguments": arguments, "cwd": str(cwd)}
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, tempfile.TemporaryFile() as given:
            given.write(stdin.encode())
            given.seek(0)
            message = json.dumps(order | {"env": dict(env)}).encode()
            socket.send_fds(self._control, [message], [out.fileno(), err.fileno(), given.fileno()])
            while "exit" not in (told := self._hear()):
                pass
            out.seek(0)
            err.seek(0)
            texts = out.read().decode(), err.read().decode()
        return subprocess.CompletedProcess(["flowforge", *arguments], told["exit"], *texts)


@cache
def _forking() -> _Forking:
    return _Forking()


def run_flowforge(
    *arguments: str, env: Mapping[str, str], cwd: Path, stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    """Runs a command to its end in a process of its own; a new interpreter's where none can be forked, and in other threads: what
    forks would end with them."""
    if FORKS and current_thread() is main_thread():
        return _forking().run(arguments, env, cwd, stdin)
    command = [sys.executable, "-m", "flowforge.cli", *arguments]
    return subprocess.run(command, env=env, input=stdin, capture_output=True, text=True, check=False, cwd=cwd)
