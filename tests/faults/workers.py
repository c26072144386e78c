"""Functions' processes, cheap enough to be killed by the hundred: `python -m tests.faults.workers LOG` forks them.

The parent has imported what handlers import and nothing more: no client, no thread, no connection. Each fork takes the
environment of its first order and runs the real handler on one event after the other, as a function's execution environment
does; whatever happens to it happens to nobody else. Lines of JSON go in: {worker, handler, event, env, last}, where a worker
that is not there yet is forked and `last` ends it, or {end: worker}. Lines come out: {worker, pid}, and later {worker, exit,
answer, cpu_seconds, peak_mb}: exit is 0, 1 for a handler that failed, else the status of the process; what a worker shares with
the parent counts as its memory.
"""

import importlib
import json
import os
import resource
import selectors
import signal
import sys
import traceback
from dataclasses import dataclass
from typing import Any, TextIO

from infra.local.forking import load, threads
from infra.local.processes import die_with_parent
from infra.local.worker_processes import IMPORTED_LATER

IMPORTED = (
    "functions.submit_job.handler",
    "functions.ingest_table.handler",
    "functions.ingest_slice.handler",
    "functions.watermark.handler",
    "functions.refine_silver.handler",
    "functions.publish_gold.handler",
    "functions.track_run.handler",
    "functions.record_lineage.handler",
    "functions.replay.handler",
    *IMPORTED_LATER,
)


@dataclass(frozen=True)
class Context:
    """What the runtime gives a handler beside the event."""

    function_name: str
    memory_limit_in_mb: int = 512
    invoked_function_arn: str = "arn:aws:lambda:us-east-1:123456789012:function:faults"
    aws_request_id: str = "request"

    def get_remaining_time_in_millis(self) -> int:
        return 60_000


def serve(orders: TextIO, answers: TextIO) -> None:
    """In the fork: runs the handler on each order's event and writes its answer, until there are no more."""
    die_with_parent()
    for line in orders:
        order = json.loads(line)
        os.environ.update(order["env"])
        before, answer, status = resource.getrusage(resource.RUSAGE_SELF), None, 0
        try:
            module, _, name = order["handler"].rpartition(".")
            answer = getattr(importlib.import_module(module), name)(order["event"], Context(order["handler"]))
            json.dumps(answer)
        except BaseException:
            traceback.print_exc()
            answer, status = None, 1
        sys.stdout.flush()
        sys.stderr.flush()
        told = {"worker": order["worker"], "exit": status, "answer": answer} | _used(before)
        print(json.dumps(told), file=answers, flush=True)
        if order["last"]:
            break
    os._exit(0)


def _used(before: resource.struct_rusage) -> dict[str, float]:
    now = resource.getrusage(resource.RUSAGE_SELF)
    seconds = now.ru_utime + now.ru_stime - before.ru_utime - before.ru_stime
    return {"cpu_seconds": seconds, "peak_mb": now.ru_maxrss / 1024}


class Fork:
    """The parent's end of a worker. `order` is what it has in hand."""

    def __init__(self, others: list["Fork"]) -> None:
        orders, self.orders = os.pipe()
        self.answers, answers = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            for descriptor in (
                self.orders,
                self.answers,
                *(fd for fork in others for fd in (fork.orders, fork.answers)),
            ):
                os.close(descriptor)
            serve(os.fdopen(orders), os.fdopen(answers, "w"))
        os.close(orders)
        os.close(answers)
        self.order: dict[str, Any] | None = None
        self.cpu_seconds, self._unread = 0.0, b""

    def take(self, order: dict[str, Any]) -> None:
        self.order = order
        line = memoryview(json.dumps(order).encode() + b"\n")
        try:
            while line:
                line = line[os.write(self.orders, line) :]
        except BrokenPipeError:
            pass  # it has been killed, which is told next

    def read(self) -> dict[str, Any] | None:
        """What it says of its order, once it is complete; of one that is its last, or cut short, once it is gone."""
        received = os.read(self.answers, 1 << 20)
        self._unread += received
        if received and not (self._unread.endswith(b"\n") and self.order and not self.order["last"]):
            return None
        complete = self._unread.endswith(b"\n")
        told: dict[str, Any] = json.loads(self._unread) if complete else {"answer": None}
        self._unread = b""
        if received:
            self.cpu_seconds += told["cpu_seconds"]
        else:
            told = self._ended(told)
        if self.order:
            self.order = None
            return told
        return None

    def _ended(self, told: dict[str, Any]) -> dict[str, Any]:
        os.close(self.answers)
        os.close(self.orders)
        _, status, used = os.wait4(self.pid, 0)
        self.pid = 0
        code = os.waitstatus_to_exitcode(status)
        spent = {"cpu_seconds": used.ru_utime + used.ru_stime - self.cpu_seconds, "peak_mb": used.ru_maxrss / 1024}
        return {"worker": (self.order or {}).get("worker")} | told | {"exit": code or told.get("exit", code)} | spent


def main() -> None:
    """Forks until stdin ends."""
    tell = os.fdopen(os.dup(1), "w", buffering=1)
    log = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    load(IMPORTED)
    print(json.dumps({"threads": threads()}), file=tell)
    waiting, forks = selectors.DefaultSelector(), dict[str, Fork]()
    waiting.register(0, selectors.EVENT_READ, "")
    unread = b""
    while True:
        for ready, _ in waiting.select():
            if worker := ready.data:
                fork = forks[worker]
                told = fork.read()
                if not fork.pid:
                    waiting.unregister(ready.fd)
                    del forks[worker]
                if told:
                    print(json.dumps(told), file=tell)
                continue
            received = os.read(0, 1 << 20)
            if not received:
                return
            *lines, unread = (unread + received).split(b"\n")
            for order in map(json.loads, lines):
                if idle := forks.get(order.get("end", "")):
                    os.kill(idle.pid, signal.SIGKILL)
                if "end" in order:
                    continue
                worker = order["worker"]
                if worker not in forks:
                    forks[worker] = Fork(list(forks.values()))
                    waiting.register(forks[worker].answers, selectors.EVENT_READ, worker)
                print(json.dumps({"worker": worker, "pid": forks[worker].pid}), file=tell)
                forks[worker].take(order)


if __name__ == "__main__":
    main()
