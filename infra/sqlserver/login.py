"""How a client comes in: prelogin, TLS, LOGIN7. [MS-TDS] 2.2.6.4 and 2.2.6.5."""

import ssl
import struct
from dataclasses import dataclass

from . import tokens
from .packets import PRELOGIN, Channel, Disconnected
from .types import COLLATION

LOGIN7 = 0x10  # Type of a packet, [MS-TDS] 2.2.3.1.1
# PL_OPTION_TOKEN and the values of ENCRYPTION, [MS-TDS] 2.2.6.5
_OPTION_VERSION, _OPTION_ENCRYPTION, _OPTION_INSTANCE, _OPTION_THREAD, _OPTION_MARS, _OPTION_FEDAUTH = 0, 1, 2, 3, 4, 6
_ENCRYPT_OFF, _ENCRYPT_ON, _ENCRYPT_NOT_SUPPORTED, _ENCRYPT_REQUIRED = 0, 1, 2, 3
_TLS_RECORD = 0x16  # ContentType handshake, RFC 8446 5.1
_MAX_PACKET, _MIN_PACKET = 32767, 512  # PacketSize that a client may ask for, [MS-TDS] 2.2.6.4


@dataclass(frozen=True)
class Login:
    """What LOGIN7 said. The password is compared and forgotten: it is not kept in the session."""

    version: int
    packet_size: int
    host: str
    user: str
    password: str
    application: str
    database: str
    read_only: bool

    def __repr__(self) -> str:
        return f"Login(user={self.user!r}, application={self.application!r}, database={self.database!r})"


def receive_login(channel: Channel, context: ssl.SSLContext) -> Login:
    """Runs prelogin and TLS as the client asks, and returns its LOGIN7."""
    strict = channel.peek_byte() == _TLS_RECORD
    if strict:
        channel.start_tls(context, wrapped=False)
    kind, _, data = channel.read_message()
    login_only = False
    if kind == PRELOGIN:
        agreed = _answer_prelogin(channel, data)
        if not strict and agreed != _ENCRYPT_NOT_SUPPORTED:
            channel.start_tls(context)
            login_only = agreed == _ENCRYPT_OFF
        kind, _, data = channel.read_message()
    if kind != LOGIN7:
        raise Disconnected
    if login_only:
        channel.stop_tls()
    return _parse(data)


def _answer_prelogin(channel: Channel, data: bytes) -> int:
    """Answers the client's options (token, offset and length of each, 0xFF behind the last; [MS-TDS] 2.2.6.5); returns the
    encryption that both agreed on."""
    asked, position = {}, 0
    while data[position] != 0xFF:
        offset, length = struct.unpack(">HH", data[position + 1 : position + 5])
        asked[data[position]] = data[offset : offset + length]
        position += 5
    client = asked.get(_OPTION_ENCRYPTION, bytes([_ENCRYPT_NOT_SUPPORTED]))[0]
    agreed = {_ENCRYPT_ON: _ENCRYPT_ON, _ENCRYPT_REQUIRED: _ENCRYPT_ON, _ENCRYPT_OFF: _ENCRYPT_OFF}.get(
        client, _ENCRYPT_NOT_SUPPORTED
    )
    answers = {
        _OPTION_VERSION: bytes([16, 0, 0x10, 0x27, 0, 0]), _OPTION_ENCRYPTION: bytes([agreed]), _OPTION_INSTANCE: b"\0",
        _OPTION_THREAD: b"", _OPTION_MARS: b"\0",
    }  # fmt: skip
    if _OPTION_FEDAUTH in asked:
        answers[_OPTION_FEDAUTH] = b"\x01"
    head, body, start = b"", b"", 5 * len(answers) + 1
    for option, value in answers.items():
        head += struct.pack(">BHH", option, start + len(body), len(value))
        body += value
    channel.put(head + b"\xff" + body)
    channel.end()
    return agreed


def _parse(data: bytes) -> Login:
    """LOGIN7, [MS-TDS] 2.2.6.4: TDSVersion and PacketSize from byte 4, TypeFlags (fReadOnlyIntent: 0x20) at 26, pairs of offset
    and length in characters from byte 36. A password has its nibbles swapped, then each byte XOR 0xA5."""
    version, packet_size = struct.unpack("<II", data[4:12])
    offsets = struct.unpack("<18H", data[36:72])

    def text(index: int) -> str:
        start, count = offsets[2 * index], offsets[2 * index + 1]
        return data[start : start + 2 * count].decode("utf-16le")

    start, count = offsets[4], offsets[5]
    swapped = (byte ^ 0xA5 for byte in data[start : start + 2 * count])
    password = bytes((byte & 0x0F) << 4 | byte >> 4 for byte in swapped).decode("utf-16le", "replace")
    return Login(version, packet_size, text(0), text(1), password, text(3), text(8), bool(data[26] & 0x20))


def accept(channel: Channel, login: Login, database: str) -> None:
    """Sends the reply to a good login and switches to the agreed packet size."""
    size = min(max(login.packet_size or 4096, _MIN_PACKET), _MAX_PACKET)
    for part in (
        tokens.environment_change(tokens.ENV_DATABASE, database, "master"),
        tokens.message(5701, f"Changed database context to '{database}'.", 2, 0),
        tokens.environment_change(tokens.ENV_COLLATION, COLLATION, b""),
        tokens.environment_change(tokens.ENV_LANGUAGE, "us_english", ""),
        tokens.message(5703, "Changed language setting to us_english.", 1, 0),
        tokens.login_acknowledgement(login.version),
        tokens.environment_change(tokens.ENV_PACKET_SIZE, str(size), str(login.packet_size or 4096)),
        tokens.done(tokens.DONE),
    ):
        channel.put(part)
    channel.end()
    channel.packet_size = size


def refuse(channel: Channel, user: str, database: str | None) -> None:
    """Sends 4060 when `database` is given, then 18456, as SQL Server does."""
    if database is not None:
        text = f'Cannot open database "{database}" requested by the login. The login failed.'
        channel.put(tokens.message(4060, text, 1, 11))
    channel.put(tokens.message(18456, f"Login failed for user '{user}'.", 1, 14))
    channel.put(tokens.done(tokens.DONE, tokens.ERROR))
    channel.end()
