"""A TDS server that means harm: it logs a client in over TLS as SQL Server does, and answers every request with what it likes.

`HARMS` says what comes by name. The server runs in threads of this process, on loopback; `sent` counts the bytes of its answers.
"""

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from infra.sqlserver import login, tokens
from infra.sqlserver.errors import ClientGone
from infra.sqlserver.packets import Channel
from infra.sqlserver.types import COLLATION

GARBAGE = bytes(range(7, 250, 3)) * 200
INT_COLUMN = struct.pack("<IHB", 0, 0x8, 0x38)  # user type, flags, int
TEXT_COLUMN = struct.pack("<IHBH", 0, 0x9, 0xE7, 8_000) + COLLATION  # nvarchar(4000)
ENDLESS_COLUMN = struct.pack("<IHBH", 0, 0x9, 0xE7, 0xFFFF) + COLLATION  # nvarchar(max)
ROW = b"\xd1"


def columns(*kinds: bytes, count: int | None = None) -> bytes:
    """COLMETADATA; `count` says another number than there are."""
    names = (kind + tokens.short_text(f"c{n}") for n, kind in enumerate(kinds))
    return b"\x81" + struct.pack("<H", len(kinds) if count is None else count) + b"".join(names)


def repeated(head: bytes, piece: bytes) -> Iterator[bytes]:
    yield head
    block = piece * max(1, 60_000 // len(piece))
    while True:
        yield block


def once(*pieces: bytes) -> Callable[[], Iterator[bytes]]:
    """These bytes, as a message that ends."""
    return lambda: iter(pieces)


DONE = tokens.done(tokens.DONE)
# After the login. What a generator ends with is the end of the message, but for the silent ones.
HARMS: dict[str, Callable[[], Iterator[bytes]]] = {
    "garbage": once(GARBAGE),
    "nothing": once(DONE),
    "no columns": once(columns(), DONE),
    "ten thousand columns": once(columns(*[INT_COLUMN] * 10_000), ROW + bytes(40_000), DONE),
    "more columns than it sends": once(columns(INT_COLUMN, count=60_000), ROW + bytes(4), DONE),
    "a value longer than its column": once(columns(TEXT_COLUMN), ROW + struct.pack("<H", 60_000) + b"x" * 100, DONE),
    "a message that is cut": once(columns(INT_COLUMN), ROW + bytes(2)),
    "a wrong type": once(columns(struct.pack("<IHB", 0, 0x8, 0xFB)), ROW, DONE),
    "endless rows": lambda: repeated(columns(INT_COLUMN), ROW + bytes(4)),
    "endless texts": lambda: repeated(columns(TEXT_COLUMN), ROW + struct.pack("<H", 8_000) + b"a\0" * 4_000),
    "endless messages": lambda: repeated(b"", tokens.message(50_000, "x" * 1_000, 1, 0)),
    "endless results": lambda: repeated(b"", columns(INT_COLUMN) + tokens.done(tokens.DONE, tokens.MORE)),
    "silent": lambda: iter(()),
    "silent in a row": once(columns(INT_COLUMN), ROW + bytes(2)),
}
AT_LOGIN = "at login: "  # the same to what a driver says before a question: its options
BEFORE = ("garbage at once", "silent at once", "gone at once", "garbage for TLS")  # before the login


@dataclass
class Hostile:
    """A running server; what it does is decided by `harm`."""

    port: int
    harm: str
    sent: int = 0
    asked: list[str] = field(default_factory=list)


@contextmanager
def hostile_server(harm: str, context: ssl.SSLContext) -> Iterator[Hostile]:
    """Serves on a free loopback port until the block ends; `context` has the certificate."""
    ending = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = Hostile(listener.getsockname()[1], harm)
        threads: list[threading.Thread] = []
        clients: list[socket.socket] = []

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    client, _ = listener.accept()
                    clients.append(client)
                    threads.append(threading.Thread(target=_serve, args=(client, server, context, ending)))
                    threads[-1].start()

        accepting = threading.Thread(target=accept)
        accepting.start()
        try:
            yield server
        finally:
            ending.set()
            listener.shutdown(socket.SHUT_RDWR)
            accepting.join()
            for client in clients:
                with contextlib.suppress(OSError):
                    client.shutdown(socket.SHUT_RDWR)
            for thread in threads:
                thread.join()
            for client in clients:
                client.close()


def _serve(client: socket.socket, server: Hostile, context: ssl.SSLContext, ending: threading.Event) -> None:
    with contextlib.suppress(ClientGone, OSError, struct.error, IndexError, ValueError):
        if server.harm in BEFORE:
            _before(client, server.harm, ending)
            return
        channel = Channel(client)
        asked = login.receive_login(channel, context)
        login.accept(channel, asked, asked.database or "master")
        while True:
            _, _, data = channel.read_message()
            text = data[22:].decode("utf-16le", "replace")
            server.asked.append(text)
            if "SELECT" not in text.upper() and not server.harm.startswith(AT_LOGIN):  # options, and the database
                channel.put(DONE)
                channel.end()
                continue
            for piece in HARMS[server.harm.removeprefix(AT_LOGIN)]():
                channel.put(piece)
                server.sent += len(piece)
            if "silent" in server.harm:
                channel.flush()
                ending.wait()
                return
            channel.end()


def _before(client: socket.socket, harm: str, ending: threading.Event) -> None:
    if harm == "gone at once":
        client.shutdown(socket.SHUT_RDWR)
        return
    if harm == "garbage for TLS":
        channel = Channel(client)
        _, _, data = channel.read_message()
        login._answer_prelogin(channel, data)
        client.sendall(struct.pack(">BBHHBB", 0x12, 1, 8 + 200, 0, 0, 0) + GARBAGE[:200])
    if harm == "garbage at once":
        client.sendall(GARBAGE)
    ending.wait()
