"""Starts the processes that functions run in: forks of one that has imported what they import, where that is possible.

Forked are, on Linux, functions whose code is this very project's: `forking` has their handlers, and the variables that all of
them share while it imports. Any other function (a package with libraries of its own, another project's) starts as a new
interpreter, and so does every one when the forking process is gone or could not be made: what differs is the time it takes.
"""

import asyncio
import json
import os
import signal
import socket
import sys
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from infra.local.forking import LONGEST_ORDER
from infra.local.logs import Log
from infra.local.processes import Child, Children, Output
from infra.local.reaper import kill_group

PROJECT = Path(__file__).resolve().parents[2]
# What handlers import later, when they have work for it.
IMPORTED_LATER = (
    "flowforge.bronze.ingest",
    "flowforge.engines.duckdb.types",
    "flowforge.lineage.model_columns",
    "flowforge.quality.expressions",
    "flowforge.sources.files.excel_records",
    "flowforge.sources.files.reading",
    "flowforge.sources.files.settled_columns",
    "flowforge.sources.sqlserver.mssql_python_reader",
    "flowforge.sources.sqlserver.pymssql_reader",
    "flowforge.sql_policy.statements",
)


def _is_ours(env: Mapping[str, str], cwd: Path) -> bool:
    return cwd.resolve() == PROJECT and [Path(place).resolve() for place in env["PYTHONPATH"].split(":")] == [PROJECT]


class Forked:
    """A process that `forking` has made; its end is told by that one, or is that one's."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.exit: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def wait(self) -> int:
        """Return the exit status, negative for a signal."""
        return await asyncio.shield(self.exit)

    def terminate(self) -> None:
        """Ask it to stop."""
        os.kill(self.pid, signal.SIGTERM)


class WorkerProcesses:
    """Starts workers while its context is open; leaving it ends those that were forked."""

    def __init__(self, children: Children, log: Log) -> None:
        self._children, self._log = children, log
        self._control: socket.socket | None = None
        self._ordered: dict[str, asyncio.Future[Forked | None]] = {}
        self._running: dict[str, Forked] = {}
        self._follower: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "WorkerProcesses":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        forks = list(self._running.values())
        for fork in forks:
            kill_group(fork.pid)
        for fork in forks:
            await fork.wait()
        self._give_up()
        if self._follower:
            self._follower.cancel()

    async def prepare(self, workers: Iterable[tuple[str, Mapping[str, str], Path]]) -> None:
        """Begin to import what can be forked of these (handler, environment, folder); workers may be started at once."""
        ours = [(handler, env) for handler, env, cwd in workers if _is_ours(env, cwd)]
        if not ours or sys.platform != "linux" or not hasattr(os, "pidfd_open"):
            return
        shared = dict(set.intersection(*(set(env.items()) for _, env in ours)))
        self._control, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._control.setblocking(False)
        modules = dict.fromkeys([*(handler.rpartition(".")[0] for handler, _ in ours), *IMPORTED_LATER])
        command = [sys.executable, "-m", "infra.local.forking", str(other.fileno()), *modules]
        with other:
            child = await self._children.start(command, env=shared, cwd=PROJECT, pass_fds=[other.fileno()])
        self._follower = asyncio.create_task(self._watch(child))
        asyncio.get_running_loop().add_reader(self._control, self._read)

    async def start(self, handler: str, env: Mapping[str, str], cwd: Path) -> Child:
        """Start a process that asks the Runtime API of its environment for events."""
        if _is_ours(env, cwd) and (child := await self._fork(handler, env, cwd)):
            return child
        return await self._children.start([sys.executable, "-m", "infra.local.packaged", handler], env=env, cwd=cwd)

    async def _fork(self, handler: str, env: Mapping[str, str], cwd: Path) -> Child | None:
        if self._control is None:
            return None
        name, output = uuid.uuid4().hex, await Output.open()
        order = {"id": name, "program": "infra.local.packaged:run", "arguments": [handler], "cwd": str(cwd)}
        begun = self._ordered[name] = asyncio.get_running_loop().create_future()
        try:
            message = json.dumps(order | {"env": self._children.marked(env)}).encode()
            socket.send_fds(self._control, [message], [output.writing])
            fork = await begun
        except OSError:
            fork = None
        finally:
            os.close(output.writing)
            self._ordered.pop(name, None)
            if not (begun.done() and not begun.cancelled() and begun.result()):
                output.close()
        if fork is None:
            return None
        child = Child(fork, output)
        self._children.note(child)
        return child

    def _read(self) -> None:
        """Take the messages of the forking process that are there."""
        while self._control is not None:
            try:
                message = self._control.recv(LONGEST_ORDER)
            except BlockingIOError:
                return
            except OSError:
                message = b""
            if message:
                self._hear(json.loads(message))
            else:
                self._give_up()

    def _hear(self, told: dict[str, Any]) -> None:
        if "pid" in told:
            fork = self._running[told["id"]] = Forked(told["pid"])
            self._answer(told["id"], fork)
        elif "exit" in told:
            if fork := self._running.pop(told["id"], None):
                fork.exit.set_result(told["exit"])
            else:
                self._answer(told["id"], None)
        elif len(told["threads"]) > 1:  # a fork would lack them, and wait for them for ever
            self._log.write(f"workers are not forked, for these threads: {', '.join(told['threads'])}")
            self._give_up()

    def _answer(self, name: str, fork: Forked | None) -> None:
        begun = self._ordered.pop(name, None)
        if begun and not begun.done():
            begun.set_result(fork)
        elif fork:
            kill_group(fork.pid)  # who ordered it waits no more

    def _give_up(self) -> None:
        """Fork no more; what was forked ends with the process that did it."""
        if self._control is None:
            return
        asyncio.get_running_loop().remove_reader(self._control)
        self._control.close()
        self._control = None
        for name in list(self._ordered):
            self._answer(name, None)
        for fork in self._running.values():
            fork.exit.set_result(-signal.SIGKILL)
        self._running.clear()

    async def _watch(self, child: Child) -> None:
        follower = asyncio.create_task(self._log.follow(child.output))
        try:
            code = await child.wait()
            self._children.forget(child)
            await asyncio.wait([follower], timeout=1)
            self._log.write(f"the process that forks workers exited with {code}")
        finally:
            follower.cancel()
            child.close_output()
