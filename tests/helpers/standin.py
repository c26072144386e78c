"""A stand-in as a real process, and real drivers to talk to it."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mssql_python
import pymssql

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
        mssql_python.native_provider = "mssql-odbc"  # pyright: ignore[reportAttributeAccessIssue] - missing in its stubs
        certificate = self.ca_file.with_name("server.pem")
        text = f"Server=127.0.0.1,{self.port};Database={database or self.database};UID=sa;PWD={PASSWORD};"
        text += f"Encrypt=mandatory;ServerCertificate={certificate};ConnectRetryCount=0;"  # else a refused one waits for 10 s
        return mssql_python.connect(text, autocommit=autocommit)


def start(directory: Path, *options: str, **settings) -> StandIn:
    """Starts a stand-in on a free port and waits until it says that it is ready."""
    process, ready = start_standin(directory, *options, **settings)
    return StandIn(process, ready["port"], ready["database"], Path(ready["ca_file"]))


def stop(standin: StandIn) -> int:
    """Ends a stand-in; returns its exit code."""
    return stop_server(standin.process)


LOGIN = {"username": "sa", "password": "FlowForge2024!"}


@contextmanager
def stand_in(folder: Path, *options: str) -> Iterator[dict[str, Any]]:
    """Runs a stand-in for the block; yields its ready line."""
    process, ready = start_standin(folder, *options)
    try:
        yield ready
    finally:
        stop_server(process)


def connect(source: dict[str, Any]) -> pymssql.Connection:
    """A connection to a stand-in by its ready line, not through a proxy."""
    return pymssql.connect(
        server="127.0.0.1",
        port=str(source["port"]),
        user=LOGIN["username"],
        password=LOGIN["password"],
        database=source["database"],
        autocommit=True,
    )
