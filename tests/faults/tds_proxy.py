"""A proxy in front of the SQL Server that counts what the server has sent to each client, and acts when it is enough.

TLS goes through it untouched: clients verify the server itself. Who is connected is told by the process that owns the client's
end of the connection.
"""

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

CHUNK = 4_096

Rule = Callable[[int, int, int], None]  # (client's port, bytes sent to it before, bytes about to be sent)


class TdsProxy:
    """A context manager: listens on loopback. `rule` sees every chunk before the client does; it may kill the client."""

    def __init__(self, host: str, port: int) -> None:
        self.target = (host, port)
        self.rule: Rule = lambda client, sent, more: None
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]

    @contextmanager
    def ruled_by(self, rule: Rule) -> Iterator[None]:
        """Has `rule` see the chunks for the block."""
        self.rule = rule
        try:
            yield
        finally:
            self.rule = lambda client, sent, more: None

    def __enter__(self) -> "TdsProxy":
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, (_, port) = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client, port), daemon=True).start()

    def _serve(self, client: socket.socket, port: int) -> None:
        with client, socket.create_connection(self.target) as server:
            asking = threading.Thread(target=self._pump, args=(client, server, None), daemon=True)
            asking.start()
            self._pump(server, client, port)
            asking.join()

    def _pump(self, source: socket.socket, target: socket.socket, port: int | None) -> None:
        sent = 0
        try:
            while data := source.recv(CHUNK):
                if port is not None:
                    self.rule(port, sent, len(data))
                target.sendall(data)
                sent += len(data)
        except OSError:
            pass  # one of the two has gone: so does the other
        finally:
            for end in (source, target):
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)


def owner_of(port: int, pids: list[int]) -> int | None:
    """Which of the processes has a TCP connection from the local port."""
    wanted = f"{port:04X}"
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    inodes = {f"socket:[{fields[9]}]" for fields in map(str.split, lines) if fields[1].endswith(f":{wanted}")}
    for pid in pids:
        try:
            if any(os.readlink(entry) in inodes for entry in Path(f"/proc/{pid}/fd").iterdir()):
                return pid
        except OSError:
            continue
    return None
