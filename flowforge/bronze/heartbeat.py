"""The heartbeat of what a worker holds, a claim or a place at the source: as long as the worker lives, nobody takes it over."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Self

from aws_lambda_powertools import Logger

from events.targets import FilePlace, SourcePlace
from flowforge.domain.errors import StoreUnavailable
from flowforge.runtime.settings import settings
from flowforge.state.read_permits import give_back, renew_permit, take_permit

logger = Logger(service="flowforge")


class RowsSoFar:
    """How many rows a read has brought until now: set by who reads, told with the heartbeat, at the cost of no further call."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, count: int) -> None:
        self.count = count


class Heartbeat:
    """Calls `renew` again and again while the block runs; ends by itself when that tells that the lease is lost."""

    def __init__(self, renew: Callable[[], bool]):
        self._renew, self._stop = renew, threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _beat(self) -> None:
        while not self._stop.wait(settings().lease_seconds / 4):
            try:
                if not self._renew():
                    return
            except Exception:  # noqa: S112  the next beat tries again; a lost lease is noticed when the batch lands
                continue


@contextmanager
def reading_permitted(connection: SourcePlace) -> Iterator[None]:
    """Holds one of the reads that the connection's source allows, for the block; raises Wait when all are taken. A bucket allows
    any number."""
    if isinstance(connection, FilePlace):
        yield
        return
    permit = take_permit(connection)
    if connection.trust_server_certificate:  # whoever operates it may not know what a connection or request says
        logger.warning("the server's certificate is not checked", server=f"{connection.host}:{connection.port}")
    try:
        with Heartbeat(partial(renew_permit, permit)):
            yield
    finally:
        with suppress(StoreUnavailable):  # its lease frees it
            give_back(permit)
