"""Work that somebody else has written, within bounds of time and memory: it ends in an error, not with the process or the call.

An engine is asked to stop when the time is over, but looks up only between two steps: a single step can take minutes, or
gigabytes that no limit of its own counts.
"""

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from pathlib import Path
from typing import TypeVar

Answer = TypeVar("Answer")
_bounding = threading.Lock()
_before: list[int] = []  # the limits that blocks have found, the first of them the process's own


def within(seconds: float, work: Callable[[], Answer]) -> Answer:
    """What `work` returns or raises; TimeoutError if it does neither in time. It then goes on in its thread until it ends by
    itself: nothing stops a thread."""
    done, answers, errors = threading.Event(), list[Answer](), list[BaseException]()
    context = copy_context()

    def run() -> None:
        try:
            answers.append(context.run(work))
        except BaseException as error:  # raised again where it is waited for
            errors.append(error)
        finally:
            done.set()

    threading.Thread(target=run, daemon=True).start()
    if not done.wait(seconds):
        raise TimeoutError
    if errors:
        raise errors[0]
    return answers[0]


@contextmanager
def bounded_memory(megabytes: int) -> Iterator[None]:
    """In the block, the process gets so much memory and no more: what asks for it gets MemoryError, or its library's own error.
    Nothing is bounded for 0, and where the system is not Linux, whose RLIMIT_DATA counts memory that is a process's own."""
    if not megabytes or sys.platform != "linux":
        yield
        return
    import resource  # Windows has none, and rebuilds silver by the same rules

    with _bounding:
        soft, most = resource.getrlimit(resource.RLIMIT_DATA)
        _before.append(soft)
        wanted = _data_bytes() + megabytes * 2**20
        _limit(wanted if most == resource.RLIM_INFINITY else min(wanted, most))
    try:
        yield
    finally:
        with _bounding:
            first = _before[0]
            _before.pop()
            if not _before:
                _limit(first)


def function_memory() -> int:
    """The megabytes of the function that this is; 0 where it is none."""
    return int(os.environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE") or 0)


def _limit(soft: int) -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_DATA, (soft, resource.getrlimit(resource.RLIMIT_DATA)[1]))


def _data_bytes() -> int:
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmData:"))
    return int(line.split()[1]) * 1024
