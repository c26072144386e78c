"""The server: listens on loopback, one thread per connection, one DuckDB database behind all of them.

Resource management: `Server` is a context manager; leaving it closes the listening socket, every connection and the
database.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hmac
import itertools
import logging
import select
import socket
import ssl
import threading
import time
from typing import Self

import duckdb

from flowforge.domain.given import given

from . import bank
from .catalog import CatalogVersion, create_catalog
from .clock import Clock
from .connection import Connection
from .errors import ClientGone
from .faults import Faults
from .login import Login
from .macros import create_macros
from .packets import Channel
from .policies import Policies
from .profiles import PROFILES
from .replicas import Replicas
from .rights import Rights
from .session import Session
from .transactions import Rowversions, Transaction
from .types import COLLATION_NAME
from .typezoo import create_typezoo

_log = logging.getLogger(__name__)
HOST = "127.0.0.1"
VERSION = "16.0.4135.4"
_CANCEL_POLL_SECONDS = 0.1
_STOP_SECONDS = 10.0


class Server:
    """A SQL Server stand-in with one database and one login, or two: `reader` may read and lacks all other rights.

    `release` (2014, …) leaves out of the catalog views what came later.
    """

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
        self.release = min(release, PROFILES[profile].release)
        self.rights, self.policies = Rights(username, self.release), Policies()
        self.collation = collation  # of server and database; one that counts case counts it in names of objects, too
        self.database, self.name, self.tls_context = database, "FLOWFORGE", tls_context
        self._username, self._password, self._reader = username, password, reader
        self.version = f"Microsoft SQL Server 2022 (FlowForge stand-in) - {VERSION} (X64)"
        self.properties = {
            "productversion": VERSION, "productmajorversion": "16", "edition": "FlowForge stand-in", "engineedition": 3,
            "servername": self.name, "machinename": self.name, "productlevel": "RTM", "collation": collation,
            "ishadrenabled": 0, "isclustered": 0, "instancename": None, "isintegratedsecurityonly": 0,
        }  # fmt: skip
        self.profile = PROFILES[profile]
        if self.profile.version:
            self.version = self.profile.version
            self.properties |= {
                "productversion": self.profile.product_version, "edition": self.profile.edition,
                "productmajorversion": self.profile.product_version.split(".")[0],
            }  # fmt: skip
        self.properties["engineedition"] = self.profile.engine_edition
        self._connection = duckdb.connect(config={"threads": 2, "default_null_order": "nulls_first"})
        self._connection.execute("SET TimeZone = 'UTC'")
        create_macros(self._connection)
        create_catalog(self._connection)
        self.clock = Clock()
        self.replicas = Replicas(self.name, self.now())
        self.allows_snapshot, self.reads_versions = True, True
        self.catalog_version = CatalogVersion()
        self.rowversions = Rowversions(self._connection)
        self.faults = Faults()
        self._transaction_numbers = itertools.count(1001)
        self._spids = itertools.count(51)
        self._lock = threading.RLock()  # a signal ends the server from within the main thread, wherever that is
        self._connections: dict[int, Connection] = {}
        self._threads: set[threading.Thread] = set()
        self._socket: socket.socket | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        self._wait_for_clients()

    # --- the clock

    def now(self) -> dt.datetime:
        """The server's local time as a datetime."""
        return self.clock.local_datetime()

    # --- what sessions ask

    def is_password(self, user: str, password: str) -> bool:
        same = hmac.compare_digest(password.encode(), self._password.encode())
        return user.lower() in {name.lower() for name in (self._username, self._reader) if name} and same

    def sees_server_state(self, user: str) -> bool:
        """Whether a login has VIEW SERVER STATE."""
        return user.lower() == self._username.lower()

    def new_cursor(self) -> duckdb.DuckDBPyConnection:
        return self._connection.cursor()

    def new_transaction(self, name: str = "user_transaction") -> Transaction:
        return Transaction(next(self._transaction_numbers), self.now(), name)

    def open_session(self, login: Login, connection: Connection) -> Session:
        with self._lock:
            session = Session(self, login, next(self._spids))
            self._connections[session.spid] = connection
            connection.session = session
        return session

    def _current_connections(self) -> list[Connection]:
        with self._lock:
            return list(self._connections.values())

    def sessions(self) -> list[Session]:
        found = (connection.session for connection in self._current_connections())
        return [session for session in found if session is not None]

    def open_transactions(self) -> list[tuple[int, Transaction]]:
        """(session id, transaction) of every open transaction."""
        found = [(session.spid, session.transaction) for session in self.sessions()]
        return [(spid, transaction) for spid, transaction in found if transaction is not None]

    def kill(self, spid: int) -> bool:
        """Breaks a session's connection; its transaction is rolled back."""
        with self._lock:
            connection = self._connections.get(spid)
        if connection is None:
            return False
        connection.channel.abort()
        session = given(connection.session)
        session.interrupt(session.request_number)
        return True

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
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind((HOST, port))
        self._socket.listen(128)
        return self._socket.getsockname()[1]

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
            with self._lock:
                self._threads = {item for item in self._threads if item.is_alive()} | {thread}
                thread.start()

    def _serve_client(self, client: socket.socket) -> None:
        channel = Channel(client)
        connection = Connection(self, channel)
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

    def _forget(self, connection: Connection) -> None:
        session = connection.session
        if session is None:
            return
        try:
            session.close()
        except duckdb.Error:
            _log.exception("a session did not close")
        with self._lock:
            self._connections.pop(session.spid, None)

    def _watch_cancels(self) -> None:
        """Interrupts DuckDB when a client sends an attention, or leaves, while its statement computes."""
        while self._socket is not None:
            running = {
                connection.channel.fileno(): (session, session.request_number)
                for connection in self._current_connections()
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
            with self._lock:
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
        for connection in self._current_connections():
            connection.channel.abort()
