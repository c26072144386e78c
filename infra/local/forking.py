"""A process that imports once and forks for each order: `python -m infra.local.forking FD MODULE...`. Linux only.

What a function imports costs 0.5 to 1.5 CPU s, a fork of a process that has it some milliseconds. A fork is as a process of its
own: a session that it leads, the order's environment, folder and outputs, and Python's ordinary end. FD is a socket that keeps
messages apart. An order is {"id", "program": "module:function", "arguments", "env", "cwd"} with the descriptors of stdout, stderr
and stdin: without the last, stdin is this process'; without both, stderr is stdout. The program is called without arguments and
finds its own in `sys.argv`. Answers are {"threads"} once, when everything is imported; {"id", "pid"} from each fork, once it is
its own; {"id", "exit"} at its end.

This process has one thread, so that nothing is lost in a fork: it makes no connection that it keeps, and imports nothing that
starts threads (duckdb and deltalake do).
"""

import contextlib
import gc
import importlib
import json
import os
import selectors
import socket
import sys
import time
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from infra.local.processes import die_with_parent

LONGEST_ORDER = 1 << 20
SERVICES = ("dynamodb", "events", "s3", "secretsmanager", "sqs")


def load(modules: Iterable[str]) -> None:
    """Imports what is to be there already in each fork. What cannot be imported is left to the fork, which says so itself."""
    from infra.local import packaged  # noqa: F401, I001  first, and in this process alone: a function's package has no numpy
    from flowforge.aws.clients import read_models

    for module in modules:
        with contextlib.suppress(Exception):
            importlib.import_module(module)
    read_models(*SERVICES)
    gc.freeze()  # what is there stays: a fork neither walks nor copies it, not even as it ends


def threads() -> list[str]:
    """The names of this process' threads. jemalloc's own does not count: it starts anew in a fork."""
    names = [Path(f"/proc/self/task/{task}/comm").read_text().strip() for task in os.listdir("/proc/self/task")]
    return [name for name in names if name != "jemalloc_bg_thd"]


def become(order: dict[str, Any], streams: list[int], control: socket.socket, parent: int) -> None:
    """In the fork: leaves what is the parent's, and takes what is the order's."""
    os.setsid()
    die_with_parent()
    if os.getppid() != parent:
        os._exit(1)  # it ended before this one would have been told
    out, *others = streams
    for number, stream in zip((1, 2, 0), (out, *(others or [out])), strict=False):
        os.dup2(stream, number)
    for stream in streams:
        os.close(stream)
    os.environ.clear()
    os.environ.update(order["env"])
    time.tzset()
    os.chdir(order["cwd"])
    sys.argv = [sys.argv[0], *order["arguments"]]
    control.send(json.dumps({"id": order["id"], "pid": os.getpid()}).encode())
    control.close()


def _fork() -> int:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 counts jemalloc's thread
        return os.fork()


def serve(control: socket.socket) -> dict[str, Any] | None:
    """Forks for each order that comes. Returns the order in the fork, and None once the other end is closed."""
    own, running = os.getpid(), dict[int, tuple[int, str]]()
    waiting = selectors.PollSelector()
    waiting.register(control, selectors.EVENT_READ)
    while True:
        for ready, _ in waiting.select():
            if ready.fd in running:
                pid, name = running.pop(ready.fd)
                waiting.unregister(ready.fd)
                os.close(ready.fd)
                code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
                control.send(json.dumps({"id": name, "exit": code}).encode())
                continue
            message, streams, _, _ = socket.recv_fds(control, LONGEST_ORDER, 3)
            if not message:
                return None
            order = json.loads(message)
            if (pid := _fork()) == 0:
                for descriptor in running:
                    os.close(descriptor)
                become(order, streams, control, own)
                return order
            for stream in streams:
                os.close(stream)
            descriptor = os.pidfd_open(pid)
            running[descriptor] = pid, order["id"]
            waiting.register(descriptor, selectors.EVENT_READ)


def main() -> Any:
    """Serves orders; in a fork, runs the order's program."""
    control = socket.socket(fileno=int(sys.argv[1]))
    load(sys.argv[2:])
    control.send(json.dumps({"threads": threads()}).encode())
    try:
        order = serve(control)
    except BrokenPipeError:  # nobody is there to hear of an end
        order = None
    if order is None:
        return 0
    module, _, function = order["program"].partition(":")
    return getattr(importlib.import_module(module), function)()


if __name__ == "__main__":
    sys.exit(main())
