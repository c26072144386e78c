"""The test's end of `workers`: starts a function's process for an event, kills it, and hears of its end."""

import itertools
import json
import os
import queue
import signal
import subprocess
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flowforge.domain.given import given
from tests.helpers.servers import start
from tests.helpers.waiting import LIMIT_SECONDS


@dataclass
class Work:
    """One event in one process. `exit` is the process' status once it has ended: -9 when it was killed; what it took is
    known then, too."""

    name: str
    pid: int | None = None
    exit: int | None = None
    answer: Any = None
    cpu_seconds: float = 0.0
    peak_mb: float = 0.0
    started: threading.Event = field(default_factory=threading.Event)

    def kill(self) -> None:
        """Ends the process as the kernel would when memory runs out."""
        assert self.started.wait(LIMIT_SECONDS), f"{self.name} has not started"
        with suppress(ProcessLookupError):
            os.kill(given(self.pid), signal.SIGKILL)


class Pool:
    """A context manager. `ended` gives the work whose process is gone, each once."""

    def __init__(self, log: Path) -> None:
        self.log, self.ended = log, queue.Queue[Work]()
        self._running: dict[str, Work] = {}
        self._names = (f"w{number}" for number in itertools.count(1))

    def __enter__(self) -> "Pool":
        # Libraries that start a thread when they are imported; the forks would lack it.
        env = os.environ | {"OPENBLAS_NUM_THREADS": "1", "ARROW_DEFAULT_MEMORY_POOL": "system"}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self._process = start("tests.faults.workers", str(self.log), text=True, env=env, **pipes)
        ready = json.loads(given(self._process.stdout).readline() or "null")
        assert ready, self.log.read_text()
        assert len(ready["threads"]) == 1, ready
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        return self

    def __exit__(self, *_: object) -> None:
        for work in list(self._running.values()):
            work.kill()
        given(self._process.stdin).close()
        self._process.wait(LIMIT_SECONDS)
        self._listener.join(LIMIT_SECONDS)
        given(self._process.stdout).close()

    def new_name(self) -> str:
        return next(self._names)

    def start(self, name: str, handler: str, event: dict[str, Any], env: dict[str, str]) -> Work:
        work = self._running[name] = Work(name)
        order = {"id": name, "handler": handler, "event": event, "env": env}
        given(self._process.stdin).write(json.dumps(order) + "\n")
        given(self._process.stdin).flush()
        return work

    def _listen(self) -> None:
        for line in given(self._process.stdout):
            told = json.loads(line)
            if "pid" in told:
                work = self._running[told["id"]]
                work.pid = told["pid"]
                work.started.set()
            else:
                work = self._running.pop(told["id"])
                work.cpu_seconds, work.peak_mb = told["cpu_seconds"], told["peak_mb"]
                work.exit = told["exit"]
                work.answer = json.loads(told["answer"]) if work.exit == 0 and told["answer"] else None
                self.ended.put(work)
