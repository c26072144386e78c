"""The test's end of `workers`: gives an event to a function's process, kills it, and hears what came of it.

Each worker has a name, which is also the access key of its calls: proxies tell by it whose call is before them. A worker has one
event at a time.
"""

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
    """One event in the worker `name`. `exit` is 0 once it is answered, 1 where the handler failed, the process' status where that
    has ended before: -9 when it was killed; what the event took is known then, too."""

    name: str
    pid: int | None = None
    exit: int | None = None
    answer: Any = None
    cpu_seconds: float = 0.0
    peak_mb: float = 0.0
    started: threading.Event = field(default_factory=threading.Event)

    def kill(self) -> None:
        """Ends the process as the kernel would when memory runs out, unless it is done with this event."""
        assert self.started.wait(LIMIT_SECONDS), f"{self.name} has not started"
        with suppress(ProcessLookupError):
            if self.exit is None:
                os.kill(given(self.pid), signal.SIGKILL)


MOST_IDLE = 16  # warm workers that wait, of all functions; of more the one that has waited longest ends
Kind = tuple[str, frozenset[tuple[str, str]]]  # a handler and its environment


class Pool:
    """A context manager. `ended` gives each work once: when its process is gone, or where workers are kept `warm` between events
    when it is done."""

    def __init__(self, log: Path, warm: bool = False) -> None:
        self.log, self.warm, self.ended = log, warm, queue.Queue[Work]()
        self._running: dict[str, Work] = {}
        self._numbers = itertools.count(1)
        self._of: dict[str, Kind] = {}  # by worker
        self._idle: dict[str, Kind] = {}  # likewise, the one that has waited longest first

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

    def work_for(self, handler: str, env: dict[str, str]) -> Work:
        """What `start` begins, in a worker with nothing to do: a warm one of this handler and environment, or a new one."""
        wanted = handler, frozenset(env.items())
        waiting = list(self._idle.items())
        name = next((name for name, of in waiting if of == wanted), "")
        if not name:
            name = f"w{next(self._numbers)}"
            for surplus, _ in waiting[: max(0, len(waiting) - MOST_IDLE)]:
                self._idle.pop(surplus)
                self._tell({"end": surplus})
        self._idle.pop(name, None)
        self._of[name] = wanted
        return Work(name)

    def start(self, work: Work, event: dict[str, Any]) -> None:
        """Gives the event to the worker."""
        handler, env = self._of[work.name]
        self._running[work.name] = work
        order = {"worker": work.name, "handler": handler, "event": event, "last": not self.warm}
        self._tell(order | {"env": {**dict(env), "AWS_ACCESS_KEY_ID": work.name}})

    def _tell(self, order: dict[str, Any]) -> None:
        given(self._process.stdin).write(json.dumps(order) + "\n")
        given(self._process.stdin).flush()

    def _listen(self) -> None:
        for line in given(self._process.stdout):
            told = json.loads(line)
            if "pid" in told:
                work = self._running[told["worker"]]
                work.pid = told["pid"]
                work.started.set()
            else:
                work = self._running.pop(told["worker"])
                work.cpu_seconds, work.peak_mb = told["cpu_seconds"], told["peak_mb"]
                work.answer, work.exit = told["answer"] if told["exit"] == 0 else None, told["exit"]
                of = self._of.pop(work.name)
                if self.warm and work.exit in (0, 1):
                    self._idle[work.name] = of
                self.ended.put(work)
