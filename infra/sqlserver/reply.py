"""A session's results as tokens of the reply, [MS-TDS] 2.2.7."""

from __future__ import annotations

import logging
import os
import signal
import struct
import time
from typing import TYPE_CHECKING

import pyarrow as pa

from . import tokens
from .encode import Encoded, encode_batches
from .errors import ClientGone, SqlError, deadlock
from .faults import Fault
from .packets import Channel
from .scopes import Output
from .types import SqlType

if TYPE_CHECKING:
    from .session import Session

_log = logging.getLogger(__name__)


# CurCmd of DONE ([MS-TDS] 2.2.7.6), whose values it leaves open: those that SQL Server sends.
_COMMANDS = {"SELECT": 0xC1, "INSERT": 0xC3, "DELETE": 0xC4, "UPDATE": 0xC5, "CREATE": 0xC6, "DROP": 0xC7, "BEGIN": 0xD4,
             "COMMIT": 0xD5, "ROLLBACK": 0xD2}  # fmt: skip


class Cancelled(ClientGone):
    """The client sent an attention while its request ran."""


class Reply:
    """The sink of a session: writes tokens; holds each DONE back until it knows whether more follows."""

    def __init__(self, channel: Channel, session: Session, in_procedure: bool):
        self._channel, self._session = channel, session
        self._token = tokens.DONE_IN_PROC if in_procedure else tokens.DONE
        self._held: tuple[int, int, int] | None = None
        self.more_calls = False
        self.text = ""  # of the request, for faults that strike some requests only
        self._sent = 0  # rows of the result set under way

    def _flush(self, more: bool) -> None:
        if self._held is not None:
            status, command, count = self._held
            self._channel.put(tokens.done(self._token, status | (tokens.MORE if more else 0), command, count))
            self._held = None

    def columns(self, outputs: tuple[Output, ...]) -> None:
        """Sends the columns of the rows that follow."""
        self._flush(True)
        self._sent = 0
        columns = [(output.name, output.type, output.nullable) for output in outputs]
        self._channel.put(tokens.column_metadata(columns, self._session.server.database))

    def rows(self, batch: pa.RecordBatch | Encoded, types: list[SqlType]) -> None:
        """Sends rows."""
        while fault := self._session.server.faults.take_strike(self.text, self._sent, batch.num_rows):
            before = fault.after_rows - self._sent
            self._send(batch.slice(0, before), types)
            batch = batch.slice(before)
            self._strike(fault)
        self._send(batch, types)

    def _send(self, batch: pa.RecordBatch | Encoded, types: list[SqlType]) -> None:
        self._sent += batch.num_rows
        encoded = batch.tokens(types) if isinstance(batch, Encoded) else encode_batches(batch, types)
        for data in encoded if batch.num_rows else ():
            self._channel.put(data)
            if self._channel.attention_pending():
                raise Cancelled

    def _strike(self, fault: Fault) -> None:
        """Does what the fault says, after what was sent before it; only a stall comes back."""
        if fault.kind == "deadlock":
            if self._session.transaction is not None:
                self._session.rollback(self)
            raise deadlock()
        self._channel.flush()
        if fault.kind == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if fault.kind == "reset":
            self._channel.reset()
        while not self._session.server.faults.cleared.wait(0.02):
            if self._channel.attention_pending():
                raise Cancelled

    def done(self, verb: str, count: int | None) -> None:
        """Ends a statement, with its count of rows if it has one."""
        self._flush(True)
        shown = count is not None and (not self._session.no_count or verb == "SELECT")
        self._held = (tokens.COUNT if shown else 0, _COMMANDS.get(verb, 0), (count or 0) if shown else 0)

    def message(self, number: int, text: str, severity: int, state: int) -> None:
        """Sends what PRINT or a low RAISERROR tells."""
        self._flush(True)
        self._channel.put(tokens.message(number, text, state, severity))

    def failed(self, error: SqlError) -> None:
        """Sends an error."""
        self._flush(True)
        _log.debug("error %s: %s", error.number, error.text)
        self._channel.put(tokens.message(error.number, error.text, error.state, max(11, error.severity)))
        self._held = (tokens.ERROR, 0, 0)

    def transaction_changed(self, kind: str, number: int) -> None:
        """Tells of a transaction that has begun or ended."""
        self._flush(True)
        descriptor = struct.pack("<Q", number)
        change = {
            "begin": (tokens.ENV_BEGIN, descriptor, b""),
            "commit": (tokens.ENV_COMMIT, b"", descriptor),
            "rollback": (tokens.ENV_ROLLBACK, b"", descriptor),
        }[kind]
        self._channel.put(tokens.environment_change(*change))

    def wait(self, seconds: float) -> None:
        """Lets so many seconds go by. Raises Cancelled when the client leaves or cancels meanwhile."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            if self._channel.attention_pending():
                raise Cancelled
            time.sleep(min(0.02, left))

    def finish(self) -> None:
        """The last DONE of a batch."""
        if self._held is None:
            self._held = (0, 0, 0)
        self._flush(False)

    def finish_procedure(self, extra: bytes = b"", status: int = 0) -> None:
        """The end of a procedure call: return status, output values, DONEPROC."""
        failed = self._held is not None and bool(self._held[0] & tokens.ERROR)
        self._flush(True)
        self._channel.put(tokens.return_status(status) + extra)
        bits = (tokens.ERROR if failed else 0) | (tokens.MORE | tokens.CALL_IN_BATCH if self.more_calls else 0)
        self._channel.put(tokens.done(tokens.DONE_PROC, bits, 0xE0))
