"""What stands behind all connections: one DuckDB database, its clock, logins, rights and faults, and who is connected.

Sessions, views and statements ask it; it knows neither sockets nor statements. `server.Server` is the one that listens.
"""

from __future__ import annotations

import datetime as dt
import hmac
import itertools
import ssl
import threading
from collections.abc import Callable
from typing import Protocol

import duckdb

from flowforge.domain.given import given

from .capture import Capture
from .catalog_tables import CatalogVersion, create_catalog
from .clock import Clock
from .faults import Faults
from .kept import Kept
from .login import Login
from .macros import create_macros
from .packets import Channel
from .policies import Policies
from .profiles import PROFILES
from .replicas import Replicas
from .rights import Rights
from .tracking import Tracking
from .transactions import Rowversions, Transaction
from .type_rows import create_types
from .types import COLLATION_NAME

VERSION = "16.0.4135.4"


class Client(Protocol):
    """A session as others see it."""

    @property
    def spid(self) -> int: ...
    @property
    def login(self) -> Login: ...
    @property
    def login_time(self) -> dt.datetime: ...
    @property
    def is_encrypted(self) -> bool: ...
    @property
    def is_running(self) -> bool: ...
    @property
    def request_number(self) -> int: ...
    @property
    def transaction(self) -> Transaction | None: ...
    @property
    def transaction_count(self) -> int: ...
    def interrupt(self, request_number: int) -> None: ...
    def close(self) -> None: ...


class Link(Protocol):
    """A connection as the instance keeps it; its session is None until the login."""

    @property
    def channel(self) -> Channel: ...
    @property
    def session(self) -> Client | None: ...


class Instance:
    """One database and one login, or two: `reader` may read and lacks all other rights.

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
        # Its tables are small and its clients many: a second thread costs each statement more than it helps the few long ones.
        self._connection = duckdb.connect(config={"threads": 1, "default_null_order": "nulls_first"})
        self._connection.execute("SET TimeZone = 'UTC'")
        create_macros(self._connection)
        create_catalog(self._connection)
        create_types(self._connection)
        self.tracking, self.capture = Tracking(self._connection), Capture(self._connection)
        self.clock = Clock()
        self.replicas = Replicas(self.name, self.now())
        self.allows_snapshot, self.reads_versions = True, True
        self.catalog_version, self.kept = CatalogVersion(), Kept()
        self.rowversions = Rowversions(self._connection)
        self.faults = Faults()
        self._transaction_numbers = itertools.count(1001)
        self._spids = itertools.count(51)
        self.lock = threading.RLock()  # a signal ends the server from within the main thread, wherever that is
        self._connections: dict[int, Link] = {}
        self.batch_requests = 0  # of all clients since the start

    # --- the clock

    def now(self) -> dt.datetime:
        """The server's local time as a datetime."""
        return self.clock.local_datetime()

    # --- what sessions ask

    def is_password(self, user: str, password: str) -> bool:
        """Whether this is a login of the instance, with its password."""
        same = hmac.compare_digest(password.encode(), self._password.encode())
        return user.lower() in {name.lower() for name in (self._username, self._reader) if name} and same

    def count_request(self) -> None:
        """A client has asked for something."""
        with self.lock:
            self.batch_requests += 1

    def sees_server_state(self, user: str) -> bool:
        """Whether a login has VIEW SERVER STATE."""
        return user.lower() == self._username.lower()

    def new_cursor(self) -> duckdb.DuckDBPyConnection:
        """A connection of its own to the DuckDB behind the instance."""
        return self._connection.cursor()

    def new_transaction(self, name: str = "user_transaction") -> Transaction:
        """A transaction with the next number, begun now by the server's clock."""
        return Transaction(next(self._transaction_numbers), self.now(), name)

    def admit(self, connection: Link, begin: Callable[[int], None]) -> None:
        """Counts a connection in, once `begin` has made its session under the session id that it gets."""
        with self.lock:
            spid = next(self._spids)
            begin(spid)
            self._connections[spid] = connection

    def dismiss(self, spid: int) -> None:
        """Forgets a connection that has ended."""
        with self.lock:
            self._connections.pop(spid, None)

    def connections(self) -> list[Link]:
        """The connections whose client has logged in."""
        with self.lock:
            return list(self._connections.values())

    def sessions(self) -> list[Client]:
        """The sessions of all clients."""
        found = (connection.session for connection in self.connections())
        return [session for session in found if session is not None]

    def open_transactions(self) -> list[tuple[int, Transaction]]:
        """(session id, transaction) of every open transaction."""
        found = [(session.spid, session.transaction) for session in self.sessions()]
        return [(spid, transaction) for spid, transaction in found if transaction is not None]

    def kill(self, spid: int) -> bool:
        """Breaks a session's connection; its transaction is rolled back."""
        with self.lock:
            connection = self._connections.get(spid)
        if connection is None:
            return False
        connection.channel.abort()
        session = given(connection.session)
        session.interrupt(session.request_number)
        return True
