"""Functions' processes, cheap enough to be killed by the hundred: `python -m tests.faults.workers LOG` forks one for each event.

The parent has imported what handlers import and nothing more: no client, no thread, no connection. Each fork takes its
environment, runs the real handler on one event and ends; whatever happens to it happens to nobody else. Lines of JSON go in (id,
handler, event, env) and out (id, pid; later id, exit status, answer, CPU seconds, and peak memory in MB: what it shares with the
parent counts).
"""

import importlib
import json
import os
import selectors
import sys
import traceback
from dataclasses import dataclass
from typing import Any

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


def run(order: dict[str, Any], answer_to: int) -> None:
    """In the fork: runs the handler and writes its answer."""
    die_with_parent()
    os.environ.update(order["env"])
    try:
        module, _, name = order["handler"].rpartition(".")
        answer = getattr(importlib.import_module(module), name)(order["event"], Context(order["handler"]))
        os.write(answer_to, json.dumps(answer).encode())
        status = 0
    except BaseException:
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def main() -> None:
    """Forks until stdin ends."""
    tell = os.fdopen(os.dup(1), "w", buffering=1)
    log = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    load(IMPORTED)
    print(json.dumps({"threads": threads()}), file=tell)
    waiting = selectors.DefaultSelector()
    waiting.register(0, selectors.EVENT_READ, None)
    unread = b""
    while True:
        for ready, _ in waiting.select():
            if ready.data is not None:
                answer = os.read(ready.fd, 1 << 20)
                ready.data["answer"] += answer
                if not answer:
                    waiting.unregister(ready.fd)
                    os.close(ready.fd)
                    _, status, used = os.wait4(ready.data["pid"], 0)
                    text = ready.data["answer"].decode()
                    told = {"id": ready.data["id"], "exit": os.waitstatus_to_exitcode(status), "answer": text}
                    told |= {"cpu_seconds": used.ru_utime + used.ru_stime, "peak_mb": used.ru_maxrss / 1024}
                    print(json.dumps(told), file=tell)
                continue
            received = os.read(0, 1 << 20)
            if not received:
                return
            *lines, unread = (unread + received).split(b"\n")
            for line in lines:
                order = json.loads(line)
                reading, writing = os.pipe()
                pid = os.fork()
                if pid == 0:
                    os.close(reading)
                    run(order, writing)
                os.close(writing)
                waiting.register(reading, selectors.EVENT_READ, {"id": order["id"], "pid": pid, "answer": b""})
                print(json.dumps({"id": order["id"], "pid": pid}), file=tell)


if __name__ == "__main__":
    main()
