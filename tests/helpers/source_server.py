"""A server to read from, as the product refers to it, with a login."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from events.targets import ConnectionReference
from flowforge.sources.sqlserver.credentials import Credentials
from tests.helpers.servers import start_standin, stop

PASSWORD = "FlowForge2024!"


@dataclass
class Server:
    """A running stand-in."""

    reference: ConnectionReference
    credentials: Credentials
    process: subprocess.Popen
    ca_file: str
    tls_directory: Path


def start_server(tls_directory: Path, *options: str) -> Server:
    """Starts a stand-in on a free port and waits for its ready line."""
    process, ready = start_standin(tls_directory, *options)
    reference = ConnectionReference(host="localhost", port=ready["port"], database=ready["database"], secret_id="none")
    return Server(reference, Credentials(username="sa", password=PASSWORD), process, ready["ca_file"], tls_directory)


def stop_server(server: Server) -> None:
    """Ends a stand-in that `start_server` started."""
    stop(server.process)
