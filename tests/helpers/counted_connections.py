"""A server before another one that passes on what it gets, byte by byte, remembers it, and counts the connections to it."""

import select
import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit


class CountedConnections(socketserver.ThreadingTCPServer):
    """`made` are the connections that were made, `heard` is all that came over them; `url` is where."""

    def __init__(self, target: str) -> None:
        where = urlsplit(target)
        self.target, self.made = (where.hostname, where.port), list[socket.socket]()
        self.heard = bytearray()
        super().__init__(("127.0.0.1", 0), _Passing)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


class _Passing(socketserver.BaseRequestHandler):
    server: Any

    def handle(self) -> None:
        self.server.made.append(self.request)
        with socket.create_connection(self.server.target) as other:
            while True:
                for ready in select.select([self.request, other], [], [])[0]:
                    if not (data := ready.recv(1 << 16)):
                        return
                    if ready is self.request:
                        self.server.heard += data
                    (other if ready is self.request else self.request).sendall(data)


@contextmanager
def counted_connections(target: str) -> Iterator[CountedConnections]:
    """Passes on what comes for the server at `target`, for the block; then the connections end."""
    with CountedConnections(target) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
            for connection in server.made:
                with suppress(OSError):  # it has ended
                    connection.shutdown(socket.SHUT_RDWR)
