"""One process that runs one function's handler under AWS's `awslambdaric`, as an execution environment on Lambda does.

A worker takes one event at a time and is kept warm between events. It ends when its handler runs over the
function's timeout (its whole process group is killed), when it exits by itself, or with the stack; a worker that
ended is never used again.
"""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path

from infra.local.logs import Log
from infra.local.processes import Child, Children
from infra.local.runtime_api import InvocationFailed, RuntimeApi
from infra.local.worker_processes import WorkerProcesses

# Imports and clients of a handler's module are not part of its timeout; on a busy machine they can take seconds.
INIT_LIMIT_SECONDS = 30
# How long the output of a worker that ended is still read, when a process that it started holds it open.
LAST_WORDS_SECONDS = 2


class Worker:
    """A handler's process and the Runtime API that it talks to. `on_end` is called once, when the process is gone."""

    def __init__(
        self,
        name: str,
        function_arn: str,
        log: Log,
        children: Children,
        processes: WorkerProcesses,
        on_end: Callable[["Worker"], None],
    ) -> None:
        self.name, self._log, self._children, self._processes, self._on_end = name, log, children, processes, on_end
        self.api = RuntimeApi(function_arn, lambda text: log.write(text, source=name))
        self.child: Child | None = None
        self.alive = False
        self._watcher: asyncio.Task | None = None

    async def start(self, handler: str, env: Mapping[str, str], cwd: Path) -> None:
        """Start the process and wait until it asks for its first event; raises InvocationFailed when it does not."""
        address = await self.api.open()
        env = {**env, "AWS_LAMBDA_RUNTIME_API": address, "AWS_LAMBDA_LOG_STREAM_NAME": self.name}
        self.child = await self._processes.start(handler, env, cwd)
        self.alive = True
        self._watcher = asyncio.create_task(self._watch(self.child))
        try:
            await asyncio.wait_for(self.api.ready.wait(), INIT_LIMIT_SECONDS)
        except TimeoutError:
            self.stop()
            raise InvocationFailed("Sandbox.Timedout", f"init took over {INIT_LIMIT_SECONDS} s", died=True) from None
        if not self.alive:
            raise InvocationFailed("Runtime.ExitError", "the worker exited during init; see its log", died=True)

    async def invoke(self, event: bytes, timeout_seconds: float) -> bytes:
        """Run the handler on one event; raises InvocationFailed for its error, its end, and its timeout."""
        if not self.alive:
            raise InvocationFailed("Runtime.ExitError", "the worker exited before it took the event", died=True)
        try:
            return await self.api.invoke(event, timeout_seconds)
        except TimeoutError:
            self.stop()
            message = f"Task timed out after {timeout_seconds:.2f} seconds"
            raise InvocationFailed("Sandbox.Timedout", message, died=True) from None

    def stop(self) -> None:
        """Kill the process with all it has started; from here on it gets no event, though its end is yet to be told."""
        self.alive = False
        if self.child is not None:
            self._children.kill(self.child)

    async def _watch(self, child: Child) -> None:
        """Follow the process's output; when the process ends, end what waits for it."""
        follower = asyncio.create_task(self._log.follow(child.output, source=self.name))
        code = await child.wait()
        self.alive = False
        # What the handler has started must not outlive it.
        self._children.kill(child)
        self._children.forget(child)
        self.api.fail(InvocationFailed("Runtime.ExitError", f"the worker exited with {code}", died=True))
        self.api.close()
        self._on_end(self)
        self.api.ready.set()
        await asyncio.wait([follower], timeout=LAST_WORDS_SECONDS)
        follower.cancel()
        child.close_output()
