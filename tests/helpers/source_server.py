"""A server to read from, as the product refers to it, with a login."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from events.targets import ConnectionReference
from flowforge.sources.target import Credentials
from tests.helpers.outside import Login, skip_without_standin
from tests.helpers.servers import start_standin, stop

PASSWORD = "FlowForge2024!"


@dataclass
class Server:
    """A running server."""

    reference: ConnectionReference
    credentials: Credentials
    process: subprocess.Popen | None  # None where someone else has started it
    ca_file: str
    tls_directory: Path


def start_server(tls_directory: Path, *options: str) -> Server:
    """Starts a stand-in on a free port and waits for its ready line; skips the test where another server shall be used."""
    skip_without_standin()
    process, ready = start_standin(tls_directory, *options)
    reference = ConnectionReference(host="localhost", port=ready["port"], database=ready["database"], secret_id="none")
    return Server(
        reference,
        Credentials.model_validate({"username": "sa", "password": PASSWORD}),
        process,
        ready["ca_file"],
        tls_directory,
    )


def stop_server(server: Server) -> None:
    """Ends a stand-in that `start_server` started."""
    if server.process is not None:
        stop(server.process)


def server_of(login: Login, folder: Path) -> Server:
    """A server that someone else has started. Its certificate is checked where FLOWFORGE_SOURCE_CA_FILE says by what."""
    authority = os.environ.get("FLOWFORGE_SOURCE_CA_FILE", "")
    where = {"host": login.host, "port": login.port, "database": login.database, "secret_id": "none"}
    reference = ConnectionReference(**where, trust_server_certificate=not authority)
    return Server(
        reference, Credentials(username=login.username, password=SecretStr(login.password)), None, authority, folder
    )
