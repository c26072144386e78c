"""The SQL Server stand-in with one benchmark table, fast enough not to be what is measured.

The first time that a client reads the table, the packets it gets are kept; every later read of the same columns with
the same packet size is those bytes again, so that the server costs little more than the kernel's copying. What is
kept is bounded in bytes; the oldest goes first. Encryption is still done for each connection.
"""

import argparse
import json
import signal
import sys
import tempfile
import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any

from sqlglot import exp

from benchmarks.shapes import SHAPES, TABLE, Shape
from flowforge.domain.given import given
from infra.sqlserver.__main__ import SAMPLE_PASSWORD
from infra.sqlserver.batches import Batches
from infra.sqlserver.certificate import ensure_certificate, server_context
from infra.sqlserver.connection import Cancelled, Reply
from infra.sqlserver.definitions import Definitions
from infra.sqlserver.execution import Execution
from infra.sqlserver.login import Login
from infra.sqlserver.queries import Compiler
from infra.sqlserver.script import parse_batch
from infra.sqlserver.server import HOST, Server
from infra.sqlserver.session import Session

DATABASE, USER = "Bench", "sa"
LEAST_ROWS = 1_000  # smaller results are not worth keeping
MOST_BYTES = 13 * 2**30  # five times ten million rows of the bank table


class Replies:
    """Packets of large results, by all that decides their bytes; at most MOST_BYTES of them."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple, tuple[list[bytes], dict[str, Any]]] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def find(self, key: tuple) -> tuple[list[bytes], dict[str, Any]] | None:
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def keep(self, key: tuple, packets: list[bytes], after: dict[str, Any]) -> None:
        with self._lock:
            if key in self._kept:
                return
            self._kept[key] = (packets, after)
            self._bytes += sum(map(len, packets))
            while self._bytes > MOST_BYTES and len(self._kept) > 1:
                _, (dropped, _) = self._kept.popitem(last=False)
                self._bytes -= sum(map(len, dropped))


class ReplayedExecution(Execution):
    """Runs a SELECT once, and answers it from its packets afterwards. The table never changes."""

    keeps_statements = False  # every SELECT comes by `_select`

    def __init__(self, session: Session, replies: Replies):
        super().__init__(session)
        self._replies = replies

    def _select(self, tree: exp.Expr, sink: Any, text: str) -> None:
        if not isinstance(sink, Reply) or tree.find(exp.Table) is None:
            return super()._select(tree, sink, text)
        channel, key = sink._channel, self._key(tree, sink)
        kept = self._replies.find(key)
        if kept is None:
            return self._record(tree, sink, text, key)
        packets, after = kept
        for packet in packets:
            channel._send(packet)
            if channel.attention_pending():
                raise Cancelled
        channel._pending, channel._packet_id = after["pending"], after["packet_id"]
        sink._held, self._session.row_count = after["held"], after["rows"]

    def _key(self, tree: exp.Expr, sink: Reply) -> tuple:
        compiler = Compiler(self._session)
        query = compiler.query(tree.copy(), None)
        channel = sink._channel
        shown = tuple((output.name, output.type, output.nullable) for output in query.outputs)
        asked = (query.sql, repr(compiler.used_binds(query.sql)), shown, sink._held)
        return (*asked, channel.packet_size, channel._pending, channel._packet_id)

    def _record(self, tree: exp.Expr, sink: Reply, text: str, key: tuple) -> None:
        channel, packets = sink._channel, []
        send = channel._send

        def send_and_keep(data: Any) -> None:
            packets.append(bytes(data))
            send(data)

        channel._send = send_and_keep
        try:
            super()._select(tree, sink, text)
        finally:
            del channel._send
        if self._session.row_count >= LEAST_ROWS:
            after = {"pending": channel._pending, "packet_id": channel._packet_id, "held": sink._held}
            self._replies.keep(key, packets, after | {"rows": self._session.row_count})


class BenchmarkServer(Server):
    """A stand-in whose sessions answer from `Replies`."""

    def __init__(self, *arguments: Any):
        super().__init__(*arguments)
        self._replies = Replies()

    def batches(self, session: Session) -> Batches:
        return Batches(session, ReplayedExecution(session, self._replies))

    def create(self, shape: Shape, rows: int) -> None:
        """Creates and fills the benchmark table."""
        owner = Login(0x74000004, 4096, self.name, USER, "", "benchmarks", self.database, False)
        session = Session(self, owner, 1)
        Definitions(session).run(parse_batch(shape.declaration())[0])
        table = session.catalog.find("dbo", TABLE)
        session.cursor.execute(f"INSERT INTO {given(table).storage} {shape.query(rows)}")
        session.close()


def main() -> None:
    """Serves until SIGTERM; says on one line of JSON when it is ready."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.standin", description=__doc__)
    parser.add_argument("--shape", choices=SHAPES, default="bank")
    parser.add_argument("--rows", type=int)
    chosen = parser.parse_args()
    shape = SHAPES[chosen.shape]
    with tempfile.TemporaryDirectory(prefix="benchmark-tls-") as directory:
        ca_file = ensure_certificate(Path(directory).resolve())
        context = server_context(Path(directory))
        with BenchmarkServer(DATABASE, USER, SAMPLE_PASSWORD, context) as server:
            port = server.listen(0)
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda *_: server.close())
            server.create(shape, chosen.rows or shape.rows)
            login = {"user": USER, "password": SAMPLE_PASSWORD, "database": DATABASE}
            print(json.dumps({"host": HOST, "port": port, "ca_file": str(ca_file)} | login), flush=True)
            server.serve_forever()


if __name__ == "__main__":
    sys.exit(main())
