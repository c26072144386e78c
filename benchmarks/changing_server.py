"""`python -m benchmarks.changing_server`: the SQL Server stand-in with tables under Change Tracking, for measurements of changes.

It answers from its database each time. On SIGUSR1 it says on one line how many bytes of TDS it has sent
so far, how many requests it has got, and how many rows it has sent.
"""

import argparse
import json
import signal
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.standin import DATABASE, USER
from flowforge.domain.given import given
from infra.sqlserver.__main__ import SAMPLE_PASSWORD
from infra.sqlserver.certificate import ensure_certificate, server_context
from infra.sqlserver.definitions import Definitions
from infra.sqlserver.imports import do_without_pandas
from infra.sqlserver.login import Login
from infra.sqlserver.packets import Channel
from infra.sqlserver.reply import Reply
from infra.sqlserver.script import parse_batch
from infra.sqlserver.server import HOST, Server
from infra.sqlserver.session import Session

TABLE = "accounts_5m"
_DECLARED = f"""CREATE TABLE dbo.{TABLE} (id bigint NOT NULL CONSTRAINT PK_{TABLE} PRIMARY KEY, branch int NOT NULL,
holder nvarchar(60) NULL, email nvarchar(100) NULL, balance decimal(15,2) NULL, rate decimal(5,2) NULL, opened date NULL,
updated_at datetime2(3) NOT NULL)"""
_EPOCH_MS = 62_135_596_800_000 * 10_000  # 0001-01-01 to 1970-01-01, in 100 ns
_ROWS = f"""SELECT i, CAST(hash(i) % 2500 AS INTEGER), 'Holder ' || hash(i * 7) % 900000, 'user' || i || '@example.co.in',
CAST(hash(i * 3) % 900000000 AS BIGINT) * CAST(0.01 AS DECIMAL(3,2)),
CAST(hash(i * 5) % 900 AS INTEGER) * CAST(0.01 AS DECIMAL(3,2)),
DATE '2010-01-01' + CAST(hash(i * 11) % 5000 AS INTEGER), {_EPOCH_MS} + 17040672000000000 + i * 1000
FROM range(1, {{rows}} + 1) AS t(i)"""


class Counted:
    """The bytes and rows that all connections were sent, and what they have asked of the server."""

    def __init__(self) -> None:
        self.server: Server | None = None
        self.bytes, self.rows, send_below, rows_below = 0, 0, Channel._send, Reply.rows

        def send(channel: Channel, data: Any) -> None:
            self.bytes += len(data)
            send_below(channel, data)

        def rows(reply: Reply, batch: Any, types: Any) -> None:
            self.rows += batch.num_rows
            rows_below(reply, batch, types)

        setattr(Channel, "_send", send)  # noqa: B010  a type checker would compare their parameters' names
        setattr(Reply, "rows", rows)  # noqa: B010

    def tell(self, *_signal: Any) -> None:
        print(self.bytes, self.server.batch_requests if self.server else 0, self.rows, flush=True)


def fill(server: Server, rows: int) -> None:
    """Creates the large table, which is tracked from its last row on."""
    session = Session(server, Login(0x74000004, 4096, server.name, USER, "", "benchmarks", server.database, False), 1)
    Definitions(session).run(parse_batch(_DECLARED)[0])
    table = given(session.catalog.find("dbo", TABLE))
    session.cursor.execute(f"INSERT INTO {table.storage} {_ROWS.format(rows=rows)}")
    session.close()


def main() -> None:
    """Serves until SIGTERM; says on one line of JSON when it is ready."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.changing_server", description=__doc__)
    parser.add_argument("--rows", type=int, default=0, help="of the large table; 0: there is none")
    chosen = parser.parse_args()
    do_without_pandas()
    counted = Counted()
    with tempfile.TemporaryDirectory(prefix="benchmark-tls-") as directory:
        ca_file = ensure_certificate(Path(directory).resolve())
        with Server(DATABASE, USER, SAMPLE_PASSWORD, server_context(Path(directory))) as server:
            counted.server, port = server, server.listen(0)
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda *_: server.close())
            signal.signal(signal.SIGUSR1, counted.tell)
            if chosen.rows:
                fill(server, chosen.rows)
            login = {"user": USER, "password": SAMPLE_PASSWORD, "database": DATABASE}
            print(json.dumps({"host": HOST, "port": port, "ca_file": str(ca_file)} | login), flush=True)
            server.serve_forever()


if __name__ == "__main__":
    main()
