"""Listening sockets on the loopback interface, bound by the stack itself.

A server that gets a socket which is already bound can be mistaken for no other: a process left over from an earlier
run keeps its port, and the stack takes a free one.
"""

import socket

HOST = "127.0.0.1"
BACKLOG = 1_024  # connections that come at once; the system resets those for which there is no room


def listen(preferred_port: int) -> socket.socket:
    """Return a listening loopback socket on the preferred port, or on a free one when that is taken or 0."""
    for port in (preferred_port, 0):
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
        except OSError:
            listener.close()
            continue
        listener.listen(BACKLOG)
        return listener
    raise OSError(f"no free port on {HOST}")
