"""The packet layer of TDS: messages in, token streams out, plain or through TLS.

[MS-TDS] 2.2.3: every packet has an 8-byte header (type, status, length, SPID, packet id, window). A message is one or
more packets, the last with status bit 0x01. During the login's TLS handshake, TLS records travel inside packets of
type 0x12; afterwards TLS wraps the packets.

Resource management: a `Channel` owns its socket; `close()` ends it.
"""

import contextlib
import select
import socket
import ssl
import struct
from typing import NoReturn

import numpy as np

from .errors import ClientGone

REPLY, PRELOGIN, ATTENTION = 0x04, 0x12, 0x06  # Type, [MS-TDS] 2.2.3.1.1
HEADER_LENGTH = 8
# Status bits, [MS-TDS] 2.2.3.1.2
LAST_PACKET, RESET_CONNECTION = 0x01, 0x08
_TLS_CHUNK = 1 << 18  # bytes encrypted at a time: bounds the copy that OpenSSL makes


class Disconnected(ClientGone):
    """The client has gone."""


class _TlsPipe:
    """A TLS session over in-memory buffers, so that the handshake can ride inside TDS packets."""

    def __init__(self, context: ssl.SSLContext, sock: socket.socket):
        self._sock = sock
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)

    def handshake_step(self, data: bytes) -> tuple[bool, bytes]:
        """Feeds what the client sent; returns whether the handshake is done and what to answer."""
        self._incoming.write(data)
        try:
            self._tls.do_handshake()
            return True, self._outgoing.read()
        except ssl.SSLWantReadError:
            return False, self._outgoing.read()

    def has_pending(self) -> bool:
        return bool(self._tls.pending() or self._incoming.pending)

    def recv(self, count: int) -> bytes:
        while True:
            try:
                return self._tls.read(count)
            except ssl.SSLWantReadError:
                received = self._sock.recv(65536)
                if not received:
                    return b""
                self._incoming.write(received)
            except ssl.SSLError:  # close_notify, or a client that refused the certificate
                return b""

    def sendall(self, data: memoryview) -> None:
        for start in range(0, len(data), _TLS_CHUNK):
            self._tls.write(data[start : start + _TLS_CHUNK])
            self._sock.sendall(self._outgoing.read())


class Channel:
    """One client's connection: reads whole messages, buffers token bytes into full packets."""

    def __init__(self, sock: socket.socket):
        self._sock = sock
        self._tls: _TlsPipe | None = None
        self._pending = b""
        self._packet_id = 0
        self.packet_size = 4096
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def close(self) -> None:
        """Closes the connection."""
        self._sock.close()

    def abort(self) -> None:
        """Breaks the connection from another thread."""
        with contextlib.suppress(OSError):  # it may be broken already
            self._sock.shutdown(socket.SHUT_RDWR)

    def reset(self) -> NoReturn:
        """Ends the connection as a failing network does: by RST. Raises Disconnected."""
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._sock.close()
        raise Disconnected

    @property
    def is_encrypted(self) -> bool:
        """Whether all that is sent now goes through TLS."""
        return self._tls is not None

    def fileno(self) -> int:
        """The socket's descriptor."""
        return self._sock.fileno()

    # --- reading

    def _recv_exact(self, count: int) -> bytes:
        received = bytearray()
        while len(received) < count:
            left = count - len(received)
            try:
                piece = self._tls.recv(left) if self._tls else self._sock.recv(min(left, 1 << 20))
            except OSError as error:
                raise Disconnected from error
            if not piece:
                raise Disconnected
            received += piece
        return bytes(received)

    def read_message(self) -> tuple[int, int, bytes]:
        """The next whole message: packet type, the first packet's status bits, the payload."""
        parts, first_status = [], None
        while True:
            kind, status, length = struct.unpack(">BBH", self._recv_exact(HEADER_LENGTH)[:4])
            if length < HEADER_LENGTH:
                raise Disconnected
            parts.append(self._recv_exact(length - HEADER_LENGTH))
            first_status = status if first_status is None else first_status
            if status & LAST_PACKET:
                return kind, first_status, b"".join(parts)

    def peek_byte(self) -> int:
        """The first byte the client sent, left in place: 0x16 starts a TLS record (Encrypt=strict)."""
        first = self._sock.recv(1, socket.MSG_PEEK)
        if not first:
            raise Disconnected
        return first[0]

    def attention_pending(self) -> bool:
        """Whether the client has sent something while its result streams, which can only be an attention."""
        if self._tls and self._tls.has_pending():
            return True
        return bool(select.select([self._sock], [], [], 0)[0])

    # --- writing

    def _send(self, data: bytes | memoryview) -> None:
        try:
            if self._tls:
                self._tls.sendall(memoryview(data).cast("B"))
            else:
                self._sock.sendall(data)
        except OSError as error:  # ssl.SSLError is one too
            raise Disconnected from error

    def put(self, data: bytes | memoryview) -> None:
        """Appends token bytes; sends every packet that is full."""
        room = self.packet_size - HEADER_LENGTH
        data = memoryview(data)
        if len(self._pending) + len(data) <= room:
            self._pending += bytes(data)
            return
        head = b""
        if self._pending:
            taken = room - len(self._pending)
            head = self._pending + bytes(data[:taken])
            data = data[taken:]
        full = (len(data) - 1) // room if len(data) else 0  # the last packet must not be empty
        count = full + (1 if head else 0)
        self._send(self._frame(count, head, data[: full * room]).data.cast("B"))
        self._pending = bytes(data[full * room :])

    def _frame(self, count: int, head: bytes, body: memoryview) -> np.ndarray:
        packets = np.empty((count, self.packet_size), np.uint8)
        packets[:, 0:2] = (REPLY, 0)
        packets[:, 2], packets[:, 3] = self.packet_size >> 8, self.packet_size & 255
        packets[:, 4:8] = 0
        packets[:, 6] = (self._packet_id + 1 + np.arange(count)) & 255
        self._packet_id = (self._packet_id + count) & 255
        first = 0
        if head:
            packets[0, HEADER_LENGTH:] = np.frombuffer(head, np.uint8)
            first = 1
        if len(body):
            packets[first:, HEADER_LENGTH:] = np.frombuffer(body, np.uint8).reshape(count - first, -1)
        return packets

    def flush(self) -> None:
        """Sends what is buffered, though the message goes on."""
        if self._pending:
            self._send_pending(0)

    def end(self) -> None:
        """Ends the message: sends what is buffered with the last-packet bit."""
        self._send_pending(LAST_PACKET)
        self._packet_id = 0

    def _send_pending(self, status: int) -> None:
        self._packet_id = (self._packet_id + 1) & 255
        header = struct.pack(">BBHHBB", REPLY, status, len(self._pending) + HEADER_LENGTH, 0, self._packet_id, 0)
        data, self._pending = header + self._pending, b""
        self._send(data)

    # --- TLS

    def start_tls(self, context: ssl.SSLContext, wrapped: bool = True) -> None:
        """Runs the server's side of the handshake, inside 0x12 packets unless `wrapped` is false (TDS 8)."""
        pipe, done, data = _TlsPipe(context, self._sock), False, b""
        while True:
            try:
                done, answer = pipe.handshake_step(data)
            except ssl.SSLError as error:
                raise Disconnected from error
            if answer:
                header = struct.pack(">BBHHBB", PRELOGIN, LAST_PACKET, len(answer) + HEADER_LENGTH, 0, 0, 0)
                self._sock.sendall(header + answer if wrapped else answer)
            if done:
                self._tls = pipe
                return
            data = self._handshake_data() if wrapped else self._sock.recv(65536)
            if not data:
                raise Disconnected

    def _handshake_data(self) -> bytes:
        length = struct.unpack(">H", self._recv_exact(HEADER_LENGTH)[2:4])[0]
        return self._recv_exact(length - HEADER_LENGTH)

    def stop_tls(self) -> None:
        """Goes back to plain packets: the client asked for an encrypted login only."""
        self._tls = None
