"""A stand-in as a real process, and real drivers to talk to it."""

import itertools
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import mssql_python
import pymssql
import pytest

from tests.helpers.servers import start_standin
from tests.helpers.servers import stop as stop_server

PASSWORD = "FlowForge2024!"


@dataclass
class StandIn:
    """A running stand-in and how to reach it."""

    process: subprocess.Popen
    port: int
    database: str
    ca_file: Path

    def connect(self, **options) -> pymssql.Connection:
        """A pymssql connection, in autocommit unless asked otherwise."""
        settings = {
            "user": "sa",
            "password": PASSWORD,
            "database": self.database,
            "autocommit": True,
            "login_timeout": 20,
        }
        return pymssql.connect(server="127.0.0.1", port=str(self.port), **(settings | options))

    def odbc(self, autocommit: bool = True, database: str | None = None) -> mssql_python.Connection:
        """An mssql-python connection over its Rust provider, encrypted, trusting exactly this server's certificate."""
        mssql_python.native_provider = "mssql-odbc"
        certificate = self.ca_file.with_name("server.pem")
        text = f"Server=127.0.0.1,{self.port};Database={database or self.database};UID=sa;PWD={PASSWORD};"
        return mssql_python.connect(f"{text}Encrypt=mandatory;ServerCertificate={certificate};", autocommit=autocommit)


def start(directory: Path, *options: str, **settings) -> StandIn:
    """Starts a stand-in on a free port and waits until it says that it is ready."""
    process, ready = start_standin(directory, *options, **settings)
    return StandIn(process, ready["port"], ready["database"], Path(ready["ca_file"]))


def stop(standin: StandIn) -> int:
    """Ends a stand-in; returns its exit code."""
    return stop_server(standin.process)


@pytest.fixture(scope="session")
def standin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    """The stand-in that the tests share: the sample bank and the type zoo."""
    started = start(tmp_path_factory.mktemp("tls"), "--bank", "--typezoo", "--reader", "looker")
    yield started
    stop(started)


@pytest.fixture
def connect(standin: StandIn) -> Iterator[Callable[..., pymssql.Connection]]:
    """Opens connections that close when the test ends."""
    opened = []

    def open_one(**options) -> pymssql.Connection:
        opened.append(standin.connect(**options))
        return opened[-1]

    yield open_one
    for connection in opened:
        connection.close()


@pytest.fixture
def sql(connect) -> Callable[..., list[tuple]]:
    """Runs a batch on one connection; returns the rows of its last result set, or [] when it has none."""
    cursor = connect().cursor()

    def run(text: str, parameters: tuple | None = None) -> list[tuple]:
        cursor.execute(text, parameters)
        rows = cursor.fetchall() if cursor.description else []
        while cursor.nextset():
            rows = cursor.fetchall() if cursor.description else rows
        return rows

    return run


_numbers = itertools.count(1)


@pytest.fixture
def table(sql) -> Callable[[str], str]:
    """Creates a table from its columns; returns its name. It goes when the test ends."""
    created = []

    def create(columns: str) -> str:
        created.append(f"t{next(_numbers)}")
        sql(f"CREATE TABLE {created[-1]} ({columns})")
        return created[-1]

    yield create
    for name in created:
        sql(f"DROP TABLE IF EXISTS {name}")
