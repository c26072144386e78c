"""Child processes that never outlive the stack.

Every child leads a session of its own, so that Ctrl-C in the terminal reaches the stack alone and a kill takes
the child's children with it. Three nets hold when the stack is gone: an orderly stop kills each group; on Linux
the kernel kills a child whose parent died (PR_SET_PDEATHSIG); the reaper, a process that waits for the stack's end,
kills registered groups and their grandchildren, also after a SIGKILL of the stack.
"""

import asyncio
import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from infra.local import reaper

PR_SET_PDEATHSIG = 1  # linux/prctl.h
MARK_VARIABLE = "FLOWFORGE_LOCAL_STACK"
# Looked up here, because little is safe between fork and exec.
_prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None


def die_with_parent() -> None:
    """In a child, before its program runs: has the kernel kill it when the thread that started it ends. Linux only."""
    if _prctl is not None:
        _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def start_mortal(command: Sequence[str], **settings: Any) -> subprocess.Popen:
    """Starts a process that, on Linux, is killed when the calling thread ends: for callers without an event loop or a reaper."""
    return subprocess.Popen(command, preexec_fn=die_with_parent, **settings)  # noqa: PLW1509 - one system call, looked up before


class Process(Protocol):
    """What asyncio's processes have, and those that were forked by another process."""

    @property
    def pid(self) -> int: ...

    async def wait(self) -> int: ...

    def terminate(self) -> None: ...


class Child:
    """A running process and what it prints. `wait` ends with the process, whoever else still holds its output open.

    The output is a pipe of our own: asyncio's `wait` only returns once its pipes are closed, and a grandchild may keep
    them open for ever.
    """

    def __init__(self, process: Process, output: "Output") -> None:
        self.process, self._output = process, output
        self.pid, self.output = process.pid, output.reader

    async def wait(self) -> int:
        """Return the exit status, negative for a signal, once the process has ended."""
        return await self.process.wait()

    def close_output(self) -> None:
        """Read no more; who still writes gets a broken pipe."""
        self._output.close()


class Output:
    """The reading end of a pipe of ours; `writing` is the other end, which is closed once a child has it."""

    def __init__(self, reader: asyncio.StreamReader, transport: asyncio.ReadTransport, writing: int) -> None:
        self.reader, self.writing, self._transport = reader, writing, transport

    @classmethod
    async def open(cls) -> "Output":
        """A new pipe."""
        reading, writing = os.pipe()
        reader = asyncio.StreamReader()
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(reading, "rb", buffering=0)
        )
        return cls(reader, transport, writing)

    def close(self) -> None:
        """Read no more."""
        self._transport.close()


class Children:
    """Starts and kills the stack's processes; `close` leaves none of them."""

    def __init__(self) -> None:
        self.mark = uuid.uuid4().hex
        self._reaper: asyncio.subprocess.Process | None = None
        self._running: set[Child] = set()

    async def open(self) -> None:
        """Start the reaper; to be called before any child is started."""
        self._reaper = await asyncio.create_subprocess_exec(
            sys.executable, "-I", "-S", str(Path(reaper.__file__)), f"{MARK_VARIABLE}={self.mark}",
            stdin=asyncio.subprocess.PIPE, env={}, start_new_session=True,
        )  # fmt: skip

    def _tell_reaper(self, word: str) -> None:
        if self._reaper is not None and self._reaper.stdin is not None and not self._reaper.stdin.is_closing():
            self._reaper.stdin.write(f"{word}\n".encode())

    async def start(
        self, command: Sequence[str], *, env: Mapping[str, str], cwd: Path | None = None, pass_fds: Sequence[int] = ()
    ) -> Child:
        """Start a process in its own session, its output on a pipe, with the stack's mark in its environment."""
        output = await Output.open()
        try:
            process = await asyncio.create_subprocess_exec(
                *command, cwd=cwd, env=self.marked(env), pass_fds=tuple(pass_fds),
                stdin=asyncio.subprocess.DEVNULL, stdout=output.writing, stderr=asyncio.subprocess.STDOUT,
                start_new_session=True, preexec_fn=die_with_parent,
            )  # fmt: skip
        except BaseException:
            output.close()
            raise
        finally:
            os.close(output.writing)
        child = Child(process, output)
        self.note(child)
        return child

    def marked(self, env: Mapping[str, str]) -> dict[str, str]:
        """An environment with the stack's mark."""
        return {**env, MARK_VARIABLE: self.mark}

    def note(self, child: Child) -> None:
        """Take on a child that has just begun."""
        self._tell_reaper(f"+{child.pid}")
        self._running.add(child)

    def kill(self, child: Child) -> None:
        """Kill a child's whole group at once, also when the child itself has ended already."""
        reaper.kill_group(child.pid)

    def forget(self, child: Child) -> None:
        """Note that a child has ended and been waited for."""
        if child in self._running:
            self._running.discard(child)
            self._tell_reaper(f"-{child.pid}")

    async def terminate(self, child: Child, *, grace_seconds: float) -> None:
        """Ask a child to stop, and kill its group when it has not after the grace period."""
        with contextlib.suppress(ProcessLookupError):
            child.process.terminate()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(child.wait(), grace_seconds)
        self.kill(child)
        await child.wait()
        self.forget(child)

    async def close(self) -> None:
        """Kill every child that still runs and wait for it, then let the reaper look for strays."""
        for child in list(self._running):
            self.kill(child)
        for child in list(self._running):
            await child.wait()
            self.forget(child)
        if self._reaper is not None and self._reaper.stdin is not None:
            self._reaper.stdin.close()
            await self._reaper.wait()


def clean_environment() -> dict[str, str]:
    """Return the few variables of this process that a child may see: never the caller's AWS profile or credentials."""
    kept = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV", "LD_LIBRARY_PATH")
    return {name: os.environ[name] for name in kept if name in os.environ}
