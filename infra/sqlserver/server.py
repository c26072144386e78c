"""The server: listens on loopback, one thread per connection, one DuckDB database behind all of them.

Resource management: `Server` is a context manager; leaving it closes the listening socket, every connection and the
database.
"""

from __future__ import annotations

import contextlib
import logging
import select
import socket
import ssl
import threading
import time
from typing import Self

import duckdb

from . import bank
from .batches import Batches
from .connection import Connection
from .errors import ClientGone
from .instance import Instance, Link
from .login import Login
from .packets import Channel
from .session import Session
from .types import COLLATION_NAME
from .typezoo import create_typezoo

_log = logging.getLogger(__name__)
HOST = "127.0.0.1"
_CANCEL_POLL_SECONDS = 0.1
_STOP_SECONDS = 10.0


class Server(Instance):
    """A SQL Server stand-in that listens: an instance, its clients and their threads."""

    def __init__(
        self,
        database: str,
        username: str,
        password: str,
        tls_context: ssl.SSLContext,
        reader: str | None = None,
        release: int = 2022,
        profile: str = "sqlserver",
        *,
        collation: str = COLLATION_NAME,
    ):
        super().__init__(database, username, password, tls_context, reader, release, profile, collation=collation)
        self._threads: set[threading.Thread] = set()
        self._socket: socket.socket | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        self._wait_for_clients()

    def batches(self, session: Session) -> Batches:
        """What runs a session's batches."""
        return Batches(session)

    def fill(self, size: bank.Size | None, typezoo: bool) -> None:
        """Creates the sample tables, before the first client."""
        owner = Login(0x74000004, 4096, self.name, self._username, "", "FlowForge", self.database, False)
        session = Session(self, owner, 1)
        if size is not None:
            bank.create_bank(session, size)
        if typezoo:
            create_typezoo(session)
        session.close()

    # --- serving

    def listen(self, port: int) -> int:
        """Binds to loopback; 0 picks a free port. Returns the port. Raises OSError when it is taken."""
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, port))
        listener.listen(128)
        return self.take(listener)

    def take(self, listener: socket.socket) -> int:
        """Serves a socket that listens already. Returns its port."""
        self._socket = listener
        return listener.getsockname()[1]

    def serve_forever(self) -> None:
        """Accepts connections until `close`."""
        listening = self._socket
        if listening is None:
            return  # closed before it began
        threading.Thread(target=self._watch_cancels, daemon=True, name="cancels").start()
        while True:
            try:
                client, _ = listening.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve_client, args=(client,), daemon=True)
            with self.lock:
                self._threads = {item for item in self._threads if item.is_alive()} | {thread}
                thread.start()

    def _serve_client(self, client: socket.socket) -> None:
        channel = Channel(client)
        connection = Connection(self, channel, self.batches)
        try:
            if self.faults.take_refusal():
                channel.reset()
            connection.serve()
        except (ClientGone, OSError):
            pass
        except Exception:
            _log.exception("a connection failed")
        finally:
            channel.close()
            self._forget(connection)

    def _forget(self, connection: Link) -> None:
        session = connection.session
        if session is None:
            return
        try:
            session.close()
        except duckdb.Error:
            _log.exception("a session did not close")
        self.dismiss(session.spid)

    def _watch_cancels(self) -> None:
        """Interrupts DuckDB when a client sends an attention, or leaves, while its statement computes."""
        while self._socket is not None:
            running = {
                connection.channel.fileno(): (session, session.request_number)
                for connection in self.connections()
                if (session := connection.session) is not None and session.is_running
            }
            running.pop(-1, None)
            try:
                readable = select.select(list(running), [], [], 0)[0]
            except (OSError, ValueError):
                readable = []  # one closed in between
            for descriptor in readable:
                session, request_number = running[descriptor]
                session.interrupt(request_number)
            time.sleep(_CANCEL_POLL_SECONDS)

    def _wait_for_clients(self) -> None:
        """Interrupts what still computes and waits: DuckDB must not work on while the interpreter goes away."""
        deadline = time.monotonic() + _STOP_SECONDS
        while self._threads and time.monotonic() < deadline:
            for session in self.sessions():
                session.interrupt(session.request_number)
            with self.lock:
                self._threads = {item for item in self._threads if item.is_alive()}
            for thread in list(self._threads)[:1]:
                thread.join(0.05)

    def close(self) -> None:
        """Stops listening and drops every connection."""
        listening, self._socket = self._socket, None
        if listening is not None:
            with contextlib.suppress(OSError):  # it may never have had a connection
                listening.shutdown(socket.SHUT_RDWR)
            listening.close()
        for connection in self.connections():
            connection.channel.abort()
