"""How a SQL Server's address is written: the forms that its tools take, read into host and port, or refused with what to write.

    db.example.com            with the port beside it, 1433 by default
    db.example.com,1435       the port that ODBC and .NET write behind a comma; tcp: before either
    db.example.com\\SALES,1435 an instance whose port is known; the name decides nothing then

An instance's name alone would have to be asked of the SQL Server Browser (UDP 1434), which firewalls close and neither driver is
made to ask in the same way; pipes and shared memory reach this machine only.
"""

import re
from typing import Any

INSTANCE = (
    "names an instance: write its TCP port instead ({0},PORT). SELECT local_tcp_port FROM sys.dm_exec_connections WHERE "
    "session_id = @@SPID tells it, and SQL Server Configuration Manager under TCP/IP, IPAll"
)
_FORM = re.compile(
    r"(?:tcp:)?(?P<host>[^\\,:\s]+)(?:\\(?P<instance>[^\\,:\s]+))?(?:,\s*(?P<port>\d{1,5}))?", re.IGNORECASE
)
_NAME = re.compile(r"[\w.-]{1,255}")  # what else resolvers drop or stop at: localhost#x reaches localhost
_OTHER = (
    (
        re.compile(r"(?:np|lpc|via|admin):|\\\\", re.IGNORECASE),
        "is no TCP address: write the host alone, and its port beside it",
    ),
    (re.compile(r"\(|\.$|\.\\|\.,"), "means the machine that asks: write its name, or localhost"),
    (re.compile(r"\w+://|.*/"), "is an address of something else: write the host alone"),
    (re.compile(r"\[|.*:.*:"), "is an IPv6 address: write a host name that has it, which TLS needs to be verified"),
    (re.compile(r"[^:]+:\d+$"), "has its port behind a colon: write it behind a comma, or as port"),
)


def with_address(given: Any) -> Any:
    """A connection's document with host and port apart, where the host carries a port that is not another than `port`."""
    if not isinstance(given, dict) or not isinstance(given.get("host"), str):
        return given
    found = _FORM.fullmatch(given["host"].strip())
    if not found or (found["instance"] and not found["port"]):
        return given
    port = int(found["port"]) if found["port"] else None
    if port is not None and given.get("port", port) != port:
        return given
    return {**given, "host": found["host"]} | ({} if port is None else {"port": port})


def checked_host(value: str | None) -> str | None:
    """A host as `with_address` leaves it. Raises ValueError that says what to write in place of another form."""
    if not value:
        return value
    for form, problem in _OTHER:
        if form.match(value):
            raise ValueError(f"{value[:60]!r} {problem}")
    if "\\" in value:
        raise ValueError(f"{value[:60]!r} {INSTANCE.format(value.partition(chr(92))[0][:60])}")
    if "," in value:
        raise ValueError(f"{value[:60]!r} has a port that is none, or another than port: give one of them")
    if not _NAME.fullmatch(value):
        raise ValueError("expected a host name or IPv4 address: letters, digits, -, _ and . only")
    return value
