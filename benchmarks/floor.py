"""A client that only drains its socket: what the stand-in can deliver, and so the floor under every reader.

It speaks just enough TDS to log in without encryption and send one SQL batch ([MS-TDS] 2.2.6.4 and 2.2.6.7), then
follows packet headers to the end of the reply. It reads nothing inside the packets.
"""

import os
import socket
import struct
import sys

PACKET_BYTES = 32_767
_PRELOGIN, _LOGIN7, _SQL_BATCH = 0x12, 0x10, 0x01
_LAST = 0x01


def prelogin() -> bytes:
    """PRELOGIN with a version and `encryption not supported`, [MS-TDS] 2.2.6.5."""
    return struct.pack(">BHH", 0, 11, 6) + struct.pack(">BHH", 1, 17, 1) + b"\xff" + bytes(6) + b"\x02"


def login7(user: str, password: str, database: str) -> bytes:
    """LOGIN7 for SQL authentication; the password is obfuscated as [MS-TDS] 2.2.6.4 says."""
    hidden = bytes(((byte << 4 | byte >> 4) & 0xFF) ^ 0xA5 for byte in password.encode("utf-16le"))
    texts = ["floor", user, hidden, "floor", "floor", b"", "floor", "", database]
    offsets, data, start = b"", b"", 94
    for text in texts:
        encoded = text if isinstance(text, bytes) else text.encode("utf-16le")
        offsets += struct.pack("<HH", start + len(data), len(encoded) // 2)
        data += encoded
    offsets += bytes(6) + struct.pack("<HHHHHHI", start + len(data), 0, start + len(data), 0, start + len(data), 0, 0)
    fixed = struct.pack("<IIIIIBBBBiI", 0x74000004, PACKET_BYTES, 0x07000000, 1, 0, 0xE0, 0x03, 0, 0, 0, 0x0409)
    return struct.pack("<I", 4 + len(fixed) + len(offsets) + len(data)) + fixed + offsets + data


def packet(kind: int, payload: bytes) -> bytes:
    """One packet that is a whole message."""
    return struct.pack(">BBHHBB", kind, _LAST, 8 + len(payload), 0, 1, 0) + payload


def drain(connection: socket.socket) -> int:
    """Reads one reply to its last packet; returns its bytes."""
    buffer = memoryview(bytearray(1 << 20))
    total, header, to_skip, last = 0, b"", 0, False
    while not (last and to_skip == 0):
        count = connection.recv_into(buffer)
        if not count:
            raise ConnectionError("the server has gone")
        total, position = total + count, 0
        while position < count:
            if to_skip:
                step = min(to_skip, count - position)
                to_skip -= step
            else:
                step = min(8 - len(header), count - position)
                header += bytes(buffer[position : position + step])
                if len(header) == 8:
                    _, status, length = struct.unpack(">BBH", header[:4])
                    to_skip, last, header = length - 8, bool(status & _LAST), b""
            position += step
    return total


def main() -> None:
    """Sends `SELECT *` of the benchmark table and drains the answer."""
    where = (os.environ["BENCH_HOST"], int(os.environ["BENCH_PORT"]))
    with socket.create_connection(where) as connection:
        connection.sendall(packet(_PRELOGIN, prelogin()))
        drain(connection)
        login = login7(*(os.environ[f"BENCH_{name}"] for name in ("USER", "PASSWORD", "DATABASE")))
        connection.sendall(packet(_LOGIN7, login))
        drain(connection)
        headers = struct.pack("<IIHQI", 22, 18, 2, 0, 1)  # ALL_HEADERS with a transaction descriptor
        query = f"SELECT * FROM dbo.{os.environ['BENCH_TABLE']}".encode("utf-16le")
        connection.sendall(packet(_SQL_BATCH, headers + query))
        print(drain(connection), file=sys.stderr)


if __name__ == "__main__":
    main()
