"""Ends a read from outside, by its deadline or by whoever gives it up, whatever its thread is waiting for.

Drivers wait for the server in native code, and their own time limits do not bound a stream: pymssql's starts anew with every
packet and holds for the whole process, mssql-python's did not fire in a stalled stream. What ends both at once is to shut
down the connection's socket: the read under way then fails as if the server had gone.

Resource management: `release` gives back the descriptors and ends the timer; a timer never keeps the process alive.
"""

import os
import socket
import stat
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress

from flowforge.domain.errors import SourceUnavailable

REDIRECT_PORTS = range(11_000, 12_000)  # where Azure SQL sends a client on to


class ReadDeadline:
    """The sockets of one reader. `deadline` is an instant of time.monotonic(), None for none; `find` tells the sockets where they
    are not known by then."""

    def __init__(self, deadline: float | None, find: Callable[[], Iterable[int]] = tuple):
        self._find = find
        self._sockets: list[socket.socket] = []
        self._lock, self._cut, self._expired = threading.Lock(), False, False
        self._timer: threading.Timer | None = None
        if deadline is not None:
            self._timer = threading.Timer(max(0.0, deadline - time.monotonic()), self._expire)
            self._timer.daemon = True
            self._timer.start()

    def hold(self, descriptors: Iterable[int]) -> None:
        """Takes note of the connection's sockets, by descriptors of its own: the driver may close its one."""
        with self._lock:
            for number in descriptors:
                with suppress(OSError):  # the driver has closed it already: whoever asks next hears of it
                    self._sockets.append(socket.socket(fileno=os.dup(number)))
            if self._cut:
                self._shut()

    def cut(self) -> None:
        """Ends the connection; safe from every thread at any time."""
        with self._lock:
            self._cut = True
            self._shut()

    def release(self) -> None:
        """Lets go of the sockets; a cut does nothing any more."""
        if self._timer:
            self._timer.cancel()
        with self._lock:
            for held in self._sockets:
                held.close()
            self._sockets = []

    @property
    def expired(self) -> bool:
        """Whether the deadline has passed and ended the connection."""
        return self._expired

    def failure(self, where: str) -> SourceUnavailable | None:
        """What a read that fails now has failed for, when it was ended from here."""
        if self._expired:
            return SourceUnavailable(
                f"{where}: the read was not finished by its deadline",
                "it starts again; if it never ends in time, allow the function more time or read in smaller slices",
            )
        return self.given_up(where) if self._cut else None

    def given_up(self, where: str) -> SourceUnavailable:
        """What a read fails for that was closed before its end."""
        return SourceUnavailable(f"{where}: the read was given up", "it starts again")

    def check(self, where: str) -> None:
        """Raises when the read was ended, even though the driver has noticed nothing."""
        if failure := self.failure(where):
            raise failure

    def _expire(self) -> None:
        self._expired = True
        if not self._sockets:
            self.hold(self._find())
        self.cut()

    def _shut(self) -> None:
        for held in self._sockets:
            with suppress(OSError):
                held.shutdown(socket.SHUT_RDWR)


def open_sockets() -> frozenset[tuple[int, int]]:
    """The descriptors of this process' sockets, each with its inode: a descriptor may soon be another socket's."""
    return frozenset(found for number in _descriptors() if (found := _socket_of(number)))


def connected_sockets(port: int, besides: frozenset[tuple[int, int]]) -> set[int]:
    """The descriptors of this process' sockets that are connected to that port (or where Azure SQL redirects to), but for those
    that `open_sockets` told of before."""
    new = [number for number, _ in open_sockets() - besides]
    return {number for number in new if _peer_port(number) in (port, *REDIRECT_PORTS)}


def _descriptors() -> list[int]:
    try:
        return [int(name) for name in os.listdir("/dev/fd")]
    except OSError:  # a system without; deadlines are then seen between batches
        return []


def _socket_of(number: int) -> tuple[int, int] | None:
    try:
        found = os.fstat(number)
    except OSError:
        return None
    return (number, found.st_ino) if stat.S_ISSOCK(found.st_mode) else None


def _peer_port(number: int) -> int | None:
    try:
        with socket.socket(fileno=os.dup(number)) as copy:
            return copy.getpeername()[1] if copy.family in (socket.AF_INET, socket.AF_INET6) else None
    except OSError:
        return None
