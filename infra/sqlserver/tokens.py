"""The tokens of a server's reply, [MS-TDS] 2.2.7: pure functions from facts to bytes."""

import struct

from .types import SqlType, type_info

SERVER_NAME = "FLOWFORGE"
DONE, DONE_PROC, DONE_IN_PROC = 0xFD, 0xFE, 0xFF  # [MS-TDS] 2.2.7.6, 2.2.7.8, 2.2.7.7
# DONE status bits, [MS-TDS] 2.2.7.6
MORE, ERROR, COUNT, ATTENTION, CALL_IN_BATCH = 0x01, 0x02, 0x10, 0x20, 0x80
# ENVCHANGE kinds, [MS-TDS] 2.2.7.9
ENV_DATABASE, ENV_LANGUAGE, ENV_PACKET_SIZE, ENV_COLLATION = 1, 2, 4, 7
ENV_BEGIN, ENV_COMMIT, ENV_ROLLBACK, ENV_RESET = 8, 9, 10, 18


def short_text(text: str) -> bytes:
    """B_VARCHAR, [MS-TDS] 2.2.5.2.2: a length byte, then UTF-16."""
    return bytes([len(text.encode("utf-16le")) // 2]) + text.encode("utf-16le")


def long_text(text: str) -> bytes:
    """US_VARCHAR, [MS-TDS] 2.2.5.2.2: a length word, then UTF-16."""
    encoded = text.encode("utf-16le")
    return struct.pack("<H", len(encoded) // 2) + encoded


def environment_change(kind: int, new: str | bytes, old: str | bytes = "") -> bytes:
    """ENVCHANGE: a setting of the session that has changed, as new and old value ([MS-TDS] 2.2.7.9)."""

    def value(item: str | bytes) -> bytes:
        return bytes([len(item)]) + item if isinstance(item, bytes) else short_text(item)

    body = bytes([kind]) + value(new) + value(old)
    return b"\xe3" + struct.pack("<H", len(body)) + body


def message(number: int, text: str, state: int = 1, severity: int = 16, line: int = 1) -> bytes:
    """An ERROR token ([MS-TDS] 2.2.7.10), or an INFO token (2.2.7.13) when the severity is 10 or less."""
    token = 0xAB if severity <= 10 else 0xAA
    body = struct.pack("<IBB", number, state, severity) + long_text(text[:2000])
    body += short_text(SERVER_NAME) + short_text("") + struct.pack("<I", line)
    return bytes([token]) + struct.pack("<H", len(body)) + body


def done(token: int, status: int = 0, command: int = 0, count: int = 0) -> bytes:
    """DONE, DONEPROC or DONEINPROC: the end of a statement, its status and count of rows ([MS-TDS] 2.2.7.6)."""
    return struct.pack("<BHHQ", token, status, command, count)


def return_status(value: int = 0) -> bytes:
    """RETURNSTATUS: what a procedure returns ([MS-TDS] 2.2.7.18)."""
    return b"\x79" + struct.pack("<i", value)


def return_handle(handle: int) -> bytes:
    """RETURNVALUE of an int output parameter without a name: the handle of a prepared statement ([MS-TDS] 2.2.7.19)."""
    head = b"\xac" + struct.pack("<H", 0) + short_text("") + b"\x01" + struct.pack("<IH", 0, 0)
    return head + b"\x26\x04\x04" + struct.pack("<i", handle)


def column_metadata(columns: list[tuple[str, SqlType, bool]], database: str = "") -> bytes:
    """COLMETADATA of (name, type, nullable) triples, [MS-TDS] 2.2.7.4."""
    parts = [b"\x81", struct.pack("<H", len(columns))]
    for name, sql_type, nullable in columns:
        user_type = 0x50 if sql_type.base == "rowversion" else 0
        parts += [struct.pack("<IH", user_type, (1 if nullable else 0) | 0x8), type_info(sql_type, database)]
        parts.append(short_text(name[:128]))
    return b"".join(parts)


def login_acknowledgement(version: int) -> bytes:
    """LOGINACK, [MS-TDS] 2.2.7.14; the version is TDS 7.4 or the older one that the client asked for."""
    answered = {0x74: 0x74000004, 0x73: 0x730B0003, 0x72: 0x72090002}.get(version >> 24, 0x74000004)
    body = b"\x01" + struct.pack(">I", answered) + short_text("Microsoft SQL Server") + bytes([16, 0, 0x10, 0x27])
    return b"\xad" + struct.pack("<H", len(body)) + body
