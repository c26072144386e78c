"""One client's connection: TDS requests in, a session's results out as tokens.

Requests are SQL batches, remote procedure calls (sp_executesql and the prepared statements), transaction manager
requests and attentions, [MS-TDS] 2.2.6. A failure here ends this connection only.
"""

from __future__ import annotations

import logging
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from flowforge.domain.given import given

from . import login, procedures, tokens
from .errors import ClientGone, SqlError, not_supported, translate_error
from .packets import ATTENTION, RESET_CONNECTION, Channel, Disconnected
from .parameters import Parameter, Reader
from .reply import Cancelled, Reply
from .session import Session
from .types import SqlType
from .variables import declared_parameters

if TYPE_CHECKING:
    from .batches import Batches
    from .instance import Instance

_log = logging.getLogger(__name__)
_SQL_BATCH, _RPC, _TRANSACTION = 0x01, 0x03, 0x0E  # Type of a packet, [MS-TDS] 2.2.3.1.1
# ProcID, [MS-TDS] 2.2.6.6
_PROCEDURE_IDS = {10: "sp_executesql", 11: "sp_prepare", 12: "sp_execute", 13: "sp_prepexec", 15: "sp_unprepare"}
# RequestType and ISOLATION_LEVEL of a Transaction Manager request, [MS-TDS] 2.2.6.9
_TM_BEGIN, _TM_COMMIT, _TM_ROLLBACK = 5, 7, 8
_ISOLATIONS = {1: "READ UNCOMMITTED", 2: "READ COMMITTED", 3: "REPEATABLE READ", 4: "SERIALIZABLE", 5: "SNAPSHOT"}


class Connection:
    """Serves one socket until the client leaves."""

    def __init__(self, server: Instance, channel: Channel, batches: Callable[[Session], Batches]):
        self._server, self.channel = server, channel
        self._make_batches = batches
        self.session: Session | None = None
        self._prepared: dict[int, tuple[str, str]] = {}

    def serve(self) -> None:
        """Login, then one request after another. Raises Disconnected or OSError when the client has gone."""
        try:
            asked = login.receive_login(self.channel, self._server.tls_context)
        except (IndexError, struct.error, UnicodeDecodeError) as error:  # this is not TDS
            raise Disconnected from error
        if not self._server.is_password(asked.user, asked.password):
            login.refuse(self.channel, asked.user, None)
            return
        known = (self._server.database.lower(), "master", "")
        if asked.database.lower() not in known:
            login.refuse(self.channel, asked.user, asked.database)
            return
        database = asked.database if asked.database.lower() == "master" else self._server.database
        self._server.admit(self, lambda spid: self._begin(asked, spid))
        login.accept(self.channel, asked, database)
        while True:
            kind, status, data = self.channel.read_message()
            if status & RESET_CONNECTION:
                self._current.reset()
                self.channel.put(tokens.environment_change(tokens.ENV_RESET, b"", b""))
            self._answer(kind, data)

    def _begin(self, asked: login.Login, spid: int) -> None:
        self.session = Session(self._server, asked, spid)
        self.session.is_encrypted = self.channel.is_encrypted
        self._batches = self._make_batches(self.session)

    @property
    def _current(self) -> Session:
        """The session of the client, which has logged in."""
        return given(self.session)

    def _answer(self, kind: int, data: bytes) -> None:
        self._current.begin_request()
        try:
            if kind == ATTENTION:
                self.channel.put(tokens.done(tokens.DONE, tokens.ATTENTION))
            elif kind == _SQL_BATCH:
                self._batch(_without_headers(data).decode("utf-16le"))
            elif kind == _RPC:
                self._procedures(_without_headers(data))
            elif kind == _TRANSACTION:
                self._transaction(_without_headers(data))
            else:
                self._refuse(SqlError(4002, f"The stand-in does not know requests of type {kind:#x}."))
        except Cancelled:
            self.channel.read_message()
            self.channel.put(tokens.done(tokens.DONE, tokens.ATTENTION))
        finally:
            self._current.end_request()
        self.channel.end()

    def _refuse(self, error: SqlError) -> None:
        self.channel.put(tokens.message(error.number, error.text, error.state, error.severity))
        self.channel.put(tokens.done(tokens.DONE, tokens.ERROR))

    def _run(self, sql: str, reply: Reply, variables: dict | None = None) -> bool:
        reply.text = sql
        finished = self._batches.run(sql, reply, variables)
        if not finished and self._current.last_error == 3617 and self.channel.attention_pending():
            raise Cancelled
        return finished

    def _batch(self, sql: str) -> None:
        _log.debug("batch %s", sql)
        reply = Reply(self.channel, self._current, False)
        self._run(sql, reply)
        reply.finish()

    # --- remote procedure calls

    def _procedures(self, data: bytes) -> None:
        """Every call of a request, in turn: drivers send one per row of a parameter array."""
        reader, more = Reader(data), True
        while more:
            reply = Reply(self.channel, self._current, True)
            try:
                name, parameters, more = self._read_call(reader)
            except Exception as error:  # what follows cannot be read either
                reply.failed(translate_error(error))
                reply.finish_procedure()
                return
            reply.more_calls = more
            self._call(name, parameters, reply)

    def _read_call(self, reader: Reader) -> tuple[str, list[Parameter], bool]:
        length = reader.number("<H")
        if length == 0xFFFF:
            number = reader.number("<H")
            name = _PROCEDURE_IDS.get(number, f"procedure {number}")
        else:
            name = reader.take(2 * length).decode("utf-16le").lower().split(".")[-1].strip("[]")
        reader.take(2)  # option flags
        parameters = []
        while not reader.at_end():
            if reader.at_next_call():
                return name, parameters, True
            parameters.append(reader.parameter())
        return name, parameters, False

    def _call(self, name: str, parameters: list[Parameter], reply: Reply) -> None:
        try:
            method = getattr(self, f"_{name}", None) if name.startswith("sp_") else None
            if method is None:
                raise SqlError(2812, f"Could not find stored procedure '{name}'.")
            _log.debug("rpc %s %s", name, [(item.name, str(item.type)) for item in parameters])
            method(parameters, reply)
        except ClientGone:
            raise
        except Exception as error:
            reply.failed(translate_error(error))
            reply.finish_procedure()

    def _variables(self, declaration: str, values: list[Parameter]) -> dict[str, tuple[SqlType, object]]:
        """The parameters of a statement by name: typed by the wire, by the declaration when a value is NULL."""
        declared = declared_parameters(declaration)
        names = list(declared)
        found = {}
        for index, item in enumerate(values):
            if item.is_output:
                raise not_supported("output parameters")
            name = item.name or (names[index] if index < len(names) else f"p{index + 1}")
            kind = declared[name][0] if item.value is None and name in declared else item.type
            found[name] = (kind, item.value)
        return found

    def _sp_executesql(self, parameters: list[Parameter], reply: Reply) -> None:
        declaration = str(parameters[1].value or "") if len(parameters) > 1 else ""
        finished = self._run(str(parameters[0].value), reply, self._variables(declaration, parameters[2:]))
        reply.finish_procedure(status=0 if finished else self._current.last_error)

    def _sp_prepare(self, parameters: list[Parameter], reply: Reply) -> None:
        handle = self._remember(parameters)
        reply.finish_procedure(tokens.return_handle(handle))

    def _remember(self, parameters: list[Parameter]) -> int:
        handle = max(self._prepared, default=0) + 1
        self._prepared[handle] = (str(parameters[2].value), str(parameters[1].value or ""))
        return handle

    def _sp_prepexec(self, parameters: list[Parameter], reply: Reply) -> None:
        handle = self._remember(parameters)
        sql, declaration = self._prepared[handle]
        finished = self._run(sql, reply, self._variables(declaration, parameters[3:]))
        reply.finish_procedure(tokens.return_handle(handle), 0 if finished else self._current.last_error)

    def _sp_execute(self, parameters: list[Parameter], reply: Reply) -> None:
        handle = parameters[0].value
        if not isinstance(handle, int) or handle not in self._prepared:
            raise SqlError(8179, f"Could not find prepared statement with handle {handle}.")
        sql, declaration = self._prepared[handle]
        finished = self._run(sql, reply, self._variables(declaration, parameters[1:]))
        reply.finish_procedure(status=0 if finished else self._current.last_error)

    def _sp_unprepare(self, parameters: list[Parameter], reply: Reply) -> None:
        handle: Any = parameters[0].value
        self._prepared.pop(handle, None)
        reply.finish_procedure()

    def _sp_reset_connection(self, parameters: list[Parameter], reply: Reply) -> None:
        self._current.reset()
        reply.finish_procedure()

    def _sp_describe_first_result_set(self, parameters: list[Parameter], reply: Reply) -> None:
        declaration = str(parameters[1].value or "") if len(parameters) > 1 else ""
        procedures.describe(self._current, str(parameters[0].value), declaration, reply)
        reply.finish_procedure()

    # --- transaction manager requests

    def _transaction(self, data: bytes) -> None:
        kind = struct.unpack("<H", data[:2])[0]
        reply = Reply(self.channel, self._current, False)
        try:
            if kind == _TM_BEGIN:
                self._set_isolation(data[2])
                self._current.begin(reply)
            elif kind == _TM_COMMIT:
                self._current.commit(reply)
                self._begin_again(data, reply)
            elif kind == _TM_ROLLBACK:
                self._current.rollback(reply)
                self._begin_again(data, reply)
            else:
                raise not_supported(f"transaction manager request {kind}")
        except SqlError as error:
            reply.failed(error)
        reply.finish()

    def _set_isolation(self, level: int) -> None:
        self._current.isolation = _ISOLATIONS.get(level, self._current.isolation)

    def _begin_again(self, data: bytes, reply: Reply) -> None:
        """A commit or rollback may ask for the next transaction at once: name, flags, isolation, name."""
        flags_at = 3 + data[2]
        if flags_at < len(data) and data[flags_at] & 1:
            self._set_isolation(data[flags_at + 1])
            self._current.begin(reply)


def _without_headers(data: bytes) -> bytes:
    """The request after ALL_HEADERS, [MS-TDS] 2.2.5.3."""
    return data[struct.unpack("<I", data[:4])[0] :]
