"""What a driver's error means to us: the one place where error numbers of SQL Server, FreeTDS and ODBC are known.

Guarantees: the server's own message survives in ours, a password never does, and the class tells whether to try
again. Numbers are those of sys.messages; from 20000 on they are FreeTDS' own (its sybdb.h); mssql-python gives no
number, only the text of the SQLSTATE.
"""

import re
from typing import Any

from events.targets import ConnectionReference
from flowforge.domain.errors import (
    FlowForgeError,
    LoginRefused,
    QueryRefused,
    Retriable,
    SnapshotRefused,
    SourceUnavailable,
    UnknownColumn,
    UnknownTable,
    UnsupportedSource,
)
from flowforge.runtime.disk_space import no_space
from flowforge.sources.sqlserver import remedies
from flowforge.sources.sqlserver.casts import MISFIT
from flowforge.sources.sqlserver.variants import OTHER_PAGE

LOGIN_NUMBERS = {18456, 18452, 18470, 18486, 18487, 18488, 4060, 4064, 911, 916, 942, 978, 40615, 40914}
# Deadlock, lock timeout, snapshot conflict, kill, shutdown, resource limits, failover, Azure throttling, the transport.
TRANSIENT_NUMBERS = {
    1205,
    1222,
    1204,
    3960,
    596,
    601,
    615,
    701,
    802,
    8645,
    976,
    983,
    6005,
    17142,
    40197,
    40501,
    40613,
    -2,
}
# Of SNAPSHOT isolation: changed metadata, no version left, no room for versions.
TRANSIENT_NUMBERS |= {3957, 3958, 3961, 3966, 3967}
TRANSIENT_NUMBERS |= {
    922,
    924,
    927,
    952,
    1101,
    1105,
    9002,
}  # a database that is started, restored, somebody's alone, or full
# Not allowed, not allowed yet; not for remote tables, clustered columnstore indexes, memory-optimized tables.
SNAPSHOT_NUMBERS = {3952, 3956, 7420, 35371, 41332}
TRANSIENT_NUMBERS |= {10053, 10054, 10060, 10928, 10929, 49918, 49919, 49920}
TRANSIENT_NUMBERS |= {20002, 20003, 20004, 20006, 20009, 20047}
PERMISSION_NUMBERS = {229, 230, 262, 297, 300, 371, 15247, 15562}
# No such function, column, object or procedure; and Azure's ways to say that it does not do that.
MISSING_NUMBERS = {195, 207, 208, 2812, 4121}
NOT_HERE_NUMBERS = {40508, 40510, 40512, 40514, 40515, 40516, 40517, 40518, 15868, 15869, 15870, 15871}
NOT_UNICODE = 2403  # FreeTDS' own, severity 4: a character was lost in conversion
UNCONVERTED = re.compile(
    "DB-Lib error message 240[13],"
)  # the same at a text's end gives up the connection (2401, then 20047)
BABELFISH_NUMBER = 33557097  # of whatever it has no number for, in PostgreSQL's words

# mssql-python's text for an SQLSTATE, and the number of sys.messages that usually stands behind it.
STATES = {
    "Base table or view not found": 208,
    "Column not found": 207,
    "Syntax error or access violation": 102,
    "Serialization failure": 1205,
    "Invalid authorization specification": 18456,
    "Invalid catalog name": 4060,
    "Server rejected the connection": 4060,
}


def translate(error: BaseException, where: str, secret: str = "", theirs: bool = False) -> FlowForgeError:
    """Our error for a driver's, to raise `from error`; `where` names server and database, and the table if known. `theirs`: the
    statement holds SQL that a person wrote and can correct."""
    if isinstance(error, FlowForgeError):
        return error
    if full := no_space(error):
        return full
    number, text = _number_and_text(error)
    message = _masked(f"{where}: {text}", secret)
    kind, remedy = _meaning(number, text, theirs=theirs, is_transport=_is_transport(error, number))
    failure = kind(message, remedy)
    failure.number = number
    return failure


def is_denied(error: FlowForgeError) -> bool:
    """Whether the login may not have what was asked for."""
    return error.number in PERMISSION_NUMBERS or "permission denied" in str(error)


def is_lacking(error: FlowForgeError) -> bool:
    """Whether the server refused for want of the thing asked for, or of the right to it."""
    if isinstance(error, Retriable):
        return False
    foreign = error.number == BABELFISH_NUMBER and re.search("does not exist|not .*supported|denied", str(error))
    return error.number in MISSING_NUMBERS | NOT_HERE_NUMBERS | PERMISSION_NUMBERS or bool(foreign)


def _masked(text: str, secret: str) -> str:
    return text.replace(secret, "***") if secret else text


def described(number: int, text: str, where: str) -> FlowForgeError:
    """Our error for one that the server names in its description of a person's query, and does not raise."""
    kind, remedy = _meaning(number, text, theirs=True)
    failure = kind(f"{where}: {text}", remedy)
    failure.number = number
    return failure


def _meaning(number: int, text: str, *, theirs: bool, is_transport: bool = False) -> tuple[type[FlowForgeError], str]:
    login = remedies.login_remedy(text)
    refused = number in LOGIN_NUMBERS or login is not None
    denied = number in PERMISSION_NUMBERS or "permission was denied" in text or "permission denied" in text
    no_snapshot = number in SNAPSHOT_NUMBERS or _refuses_snapshot(text)
    broken_snapshot = "Snapshot isolation transaction" in text
    lost = number in TRANSIENT_NUMBERS or broken_snapshot or is_transport
    cases = (
        (no_snapshot, SnapshotRefused, remedies.snapshot_remedy(text)),
        (refused, LoginRefused, login or remedies.LOGIN),
        (denied, UnknownTable, remedies.grant_remedy(text)),
        (number == NOT_UNICODE or OTHER_PAGE in text, UnsupportedSource, "mend the text at the source"),
        (MISFIT in text, UnsupportedSource, "choose a type in databaseConfig.cast that holds every value"),
        (number == 208, UnknownTable, remedies.MISSING_IN_QUERY if theirs else remedies.MISSING),
        (number == 207, UnknownColumn, remedies.MISSING_IN_QUERY if theirs else remedies.MISSING),
        (lost, SourceUnavailable, remedies.passing_remedy(number, text)),
        (True, QueryRefused, remedies.refusal_remedy(text, theirs)),
    )
    return next((kind, remedy) for holds, kind, remedy in cases if holds)


def translate_login(error: BaseException, where: str, username: str, secret: str) -> FlowForgeError:
    """Our error for a pymssql connection that did not come about. Raise it `from error`.

    pymssql 2.4.6 keeps number and severity of the severest login failure of a process for ever, and drops the text of each
    later one that is not severer. What FreeTDS says itself tells the cases apart: its 20018 stands for a message of the
    server, 20009 for no connection, 20002 alone for a failed TLS handshake. A message without its text is a refused login
    (severity 14) unless the kept number is of a failure that passes: then it may be that again, and is tried again.
    """
    number, raw = _number_and_raw(error)
    raw = raw.replace("Unknown error", "")  # what pymssql puts for nothing
    server, remarks = raw.partition("DB-Lib error message ")[0].strip(), set(re.findall(r"error message (\d+)", raw))
    if number in TRANSIENT_NUMBERS and (server or "20018" in remarks):
        said = (
            server or f"the server refused the login of {username!r} and the driver lost why; earlier it was {number}"
        )
        return SourceUnavailable(_masked(f"{where}: {said}", secret), remedies.passing_remedy(number, server))
    if server or "20018" in remarks:
        said = server or "the server refused it"
        return LoginRefused(
            _masked(f"{where}, login of {username!r}: {said}", secret), remedies.login_remedy(said) or remedies.LOGIN
        )
    if "20009" in remarks or not remarks:
        reason = re.search(r"error during (.*)", raw)
        message = f"{where}: no connection ({reason[1].strip() if reason else 'the host name is not known'})"
        return SourceUnavailable(message, remedies.passing_remedy(20009, raw))
    code = 20002 if "20002" in remarks else 20003
    text = "the TLS handshake or the login failed" if code == 20002 else "the server did not answer in time"
    return SourceUnavailable(f"{where}: {text}", remedies.passing_remedy(code, raw))


def describe_reference(reference: ConnectionReference) -> str:
    """`database on host:port`, as messages name a source."""
    return f"{reference.database} on {reference.host}:{reference.port}"


def _number_and_text(error: BaseException) -> tuple[int, str]:
    driver_error, detail = getattr(error, "driver_error", None), getattr(error, "ddbc_error", "")
    if driver_error is not None:
        text = re.sub(r"^(\[[^\]]*\])+", "", detail) or driver_error
        return STATES.get(driver_error, 0), text.strip()
    number, raw = _number_and_raw(error)
    return number, _server_text(raw)


def _number_and_raw(error: BaseException) -> tuple[int, str]:
    args: tuple[Any, ...] = error.args[0] if error.args and isinstance(error.args[0], tuple) else error.args
    number = args[0] if len(args) >= 2 and isinstance(args[0], int) else 0
    raw = args[1] if number and len(args) > 1 else args[0] if args else repr(error)
    text = raw.decode("utf-8", "replace") if isinstance(raw, bytes) else str(raw)
    return NOT_UNICODE if UNCONVERTED.search(text) else number, text


def _server_text(text: str) -> str:
    server, _, library = text.partition("DB-Lib error message ")
    # FreeTDS puts its own remark behind the server's message; alone it is all there is.
    kept = server.strip() or library.partition(":\n")[2].strip() or text.strip()
    return re.split(r"DB-Lib error message ", kept)[0].strip()


def _is_transport(error: BaseException, number: int) -> bool:
    if 0 < number < 20000 or number >= 21000:
        return False  # the server answered; FreeTDS' own numbers lie between
    return isinstance(error, OSError) or type(error).__name__ in ("OperationalError", "InterfaceError")


def _refuses_snapshot(text: str) -> bool:
    """By the text, where a driver gives no number."""
    started = "Snapshot isolation transaction failed" in text
    return (started and ("not allowed in this database" in text or "has not finished yet" in text)) or (
        "TRANSACTION ISOLATION LEVEL is set to SNAPSHOT" in text
        or "SNAPSHOT isolation level is not supported" in text
        or ("Remote access is not supported" in text and "SNAPSHOT" in text)
    )


def without_row(where: str) -> UnsupportedSource:
    """What an answer without a row is, where there is always one."""
    return UnsupportedSource(
        f"{where}: it answered a question that has always an answer without a row",
        "check that this is the SQL Server that is meant",
    )
