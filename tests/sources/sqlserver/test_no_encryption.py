"""A server that offers no encryption gets no password, by either driver, also where any certificate would be trusted."""

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
from pydantic import SecretStr

from events.targets import ConnectionReference
from flowforge.domain.errors import FlowForgeError
from flowforge.domain.source_columns import SourceColumn
from flowforge.sources.sqlserver.reader import open_reader
from flowforge.sources.sqlserver.selection import Selection
from flowforge.sources.target import Credentials

READ = Selection("SELECT 1 AS a", [SourceColumn(name="a", sql_type="int")])
LOGIN7, PRELOGIN = 0x10, 0x12  # packet types of MS-TDS
PASSWORD = "Hidden-Pa55"
# LOGIN7 has a password in UTF-16 with the halves of each byte swapped, and 0xA5 over it (MS-TDS 2.2.6.4).
SCRAMBLED = bytes(((byte << 4 | byte >> 4) & 0xFF) ^ 0xA5 for byte in PASSWORD.encode("utf-16le"))


@contextmanager
def plain_server(encryption: int) -> Iterator[tuple[int, list[bytes]]]:
    """A server whose greeting says this of encryption (MS-TDS 2.2.6.5); its port, and what it was sent."""
    got: list[bytes] = []
    options = struct.pack(">BHHBHHB", 0, 11, 6, 1, 17, 1, 0xFF) + bytes([16, 0, 4, 53, 0, 0, encryption])

    def serve() -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                with client, suppress(OSError):
                    client.settimeout(1)
                    got.append(client.recv(65_536))
                    client.sendall(struct.pack(">BBHHBB", 4, 1, 8 + len(options), 0, 0, 0) + options)
                    while received := client.recv(65_536):
                        got.append(received)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1], got
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


@pytest.mark.parametrize("encryption", [0, 2], ids=["off", "not supported"])
@pytest.mark.parametrize("driver", ["pymssql", "mssql-python"])
@pytest.mark.parametrize("trusts", [True, False])
def test_should_send_no_password_to_a_server_that_offers_no_encryption(monkeypatch, driver, trusts, encryption):
    monkeypatch.setenv("FLOWFORGE_LOGIN_TIMEOUT_SECONDS", "2")
    login = Credentials(username="loader", password=SecretStr(PASSWORD))
    with plain_server(encryption) as (port, got), pytest.raises(FlowForgeError) as refused:
        where = ConnectionReference(
            host="127.0.0.1", port=port, database="Bank", secret_id="x", trust_server_certificate=trusts
        )
        open_reader(where, login, READ, driver).close()
    assert "127.0.0.1" in str(refused.value) and PASSWORD not in str(refused.value)
    sent = b"".join(got)
    assert sent[:1] == bytes([PRELOGIN])
    assert LOGIN7 not in {packet[0] for packet in got}
    assert SCRAMBLED not in sent and PASSWORD.encode("utf-16le") not in sent and PASSWORD.encode() not in sent
