"""What a person can do about an error of the server, by the server's own words: numbers are not given by every driver.

Guarantees: pure; a remedy is for the situation that its message tells of, names what the message names, and never advises what
could lose rows. Messages are those of sys.messages, as documented.
"""

import re

LOGIN = "check user name, password and database, and that the login is mapped to that database"
QUERY = "correct the query; the server's message says where"
LEAVE_OUT = "leave the column out (columns.exclude, or a query that does not select it)"
OWN = (
    "the statement is FlowForge's own: if the server's message names a computed column, a view or a value of the table, mend "
    f"that, or {LEAVE_OUT}; else report it with the message and the server's version"
)
MISSING_IN_QUERY = "check the names in the query: `tables` lists what this login can see, `describe` a table's columns"
MISSING = (
    "what the server names was there when the table was described, or is named by a view only: if it was dropped or renamed, "
    "mend the view (sp_refreshview after a change below it), or run the job again"
)
WITHOUT = "snapshotIsolation false"

# Of logins that cannot be used as things are: no retry mends these.
_LOGINS = (
    (
        r'server principal "(?P<login>[^"]+)" is not able to access the database "(?P<database>[^"]+)"',
        "the login is right, but has no user in [{database}]: run there CREATE USER [{login}] FOR LOGIN [{login}], on the "
        "primary if it is a replica, and GRANT SELECT on what is read",
    ),
    (r"account is disabled", "ask an administrator for ALTER LOGIN ... ENABLE"),
    (r"account is currently locked out", "ask an administrator for ALTER LOGIN ... WITH PASSWORD = '...' UNLOCK"),
    (
        r"password of the account (?:has expired|must be changed)",
        "set a new password for the login at the server, then save it with the connection",
    ),
    (
        r"untrusted domain",
        "the server does not trust the login's domain: use a SQL login, or an account of one that it trusts",
    ),
    (r"Cannot open user default database", "ask an administrator for ALTER LOGIN ... WITH DEFAULT_DATABASE = [master]"),
    (
        r"[Cc]lient (?:with IP address '[^']*' )?is not allowed to access the server",
        "let the functions' address or subnet through the server's firewall rules",
    ),
    (
        r"[Dd]atabase '(?P<database>[^']+)' does not exist",
        "check the database's name in the connection: there is no {database!r} on this server, or this login may not know of it",
    ),
    (
        r"[Dd]atabase '(?P<database>[^']+)' cannot be opened because it is offline",
        "ask an administrator for ALTER DATABASE [{database}] SET ONLINE",
    ),
    (
        r"Cannot open database \"?(?P<database>[^\"]+)\"? requested by the login",
        "check that database {database!r} exists and is online, and that the login has a user in it",
    ),
    (
        r"application intent is set to read only",
        "host names a secondary replica that takes read-only intent alone: name the group's listener, or its primary",
    ),
    (
        r"[Cc]annot open server",
        "check the server's name: host is the whole name, such as NAME.database.windows.net, and no part of the user's name",
    ),
    (r"Login failed for user", LOGIN),
)
# Of what passes, or somebody can end.
_PASSING = (
    (r"scan with NOLOCK", "leave NOLOCK out of the query or the view: rows moved while they were read"),
    (r"modified by a DDL statement", "try again: the table's definition was changed while it was read"),
    (
        r"limit for the database is|Not enough resources|Too many|service is currently busy",
        "read less at once: connection.maxConcurrentReads, or the parameter ReadsPerSource; or give the database a larger tier",
    ),
    (
        r"in the kill state|SHUTDOWN is in progress|has been paused",
        "try again: somebody has ended the session, or the server",
    ),
    (
        r"participating in an availability group and is currently not accessible|not in the PRIMARY or SECONDARY role",
        "try again; if it stays so, host names a replica that is not readable: name the availability group's listener",
    ),
    (
        r"Lock request time out",
        "a writer held a lock for too long: find what blocks (sys.dm_exec_requests), or allow READ_COMMITTED_SNAPSHOT",
    ),
    (
        r"version (?:store|was not found)|row version|tempdb",
        "try again; if it keeps happening, tempdb has no room for row versions: make some, or send snapshotIsolation false",
    ),
    (
        r"being recovered|in transition|middle of a restore",
        "try again once the database is back; it is started or restored now",
    ),
    (r"can only have one user at a time|single.user", "ask an administrator for ALTER DATABASE ... SET MULTI_USER"),
    (
        r"Could not allocate|transaction log for database .* is full",
        "try again once there is room: the server's disk, its tempdb or a log is full",
    ),
    (r"not currently available", "try again: the database wakes, moves or fails over"),
)
# Of statements that never succeed as they are, whoever wrote them.
_REFUSALS = (
    (
        r"READPAST lock in the READ COMMITTED",
        "leave READPAST out of the query: under SNAPSHOT no read waits for a lock; or send snapshotIsolation false, and where "
        "READ_COMMITTED_SNAPSHOT is on write READCOMMITTEDLOCK beside it",
    ),
    (
        r"consistency-based I/O error|Attempt to fetch logical page|I/O error .* detected during",
        "ask an administrator for DBCC CHECKDB: the server has found damage in the database, so nothing of the table is loaded",
    ),
)
_UNREACHABLE = r"refused|resolve|lookup|timed out|establish connection"


def login_remedy(text: str) -> str | None:
    """What to do where the server does not take the login, or not for this database; None where it says something else."""
    return _remedy(_LOGINS, text)


def passing_remedy(number: int, text: str) -> str:
    """What to do about a failure after which the same may succeed."""
    if known := _remedy(_PASSING, text):
        return known
    if number == 20002 or "certificate" in text.lower():
        return (
            "check that FLOWFORGE_SOURCE_CA_FILE names the CA of the server's certificate, host a name in it, and that it is of "
            "today by the clocks of both"
        )
    if number in (20009, 10060) or re.search(_UNREACHABLE, text):
        return "check host, port, firewall, and that the server is running"
    return "try again; if it keeps happening, look at the server's load, blocking and error log"


def snapshot_remedy(text: str) -> str:
    """What to do where SNAPSHOT isolation cannot be had, in the database or for one object of it."""
    if "not allowed in this database" in text or "has not finished yet" in text:
        return f"allow SNAPSHOT isolation in the database (ALTER DATABASE ... SET ALLOW_SNAPSHOT_ISOLATION ON), or send {WITHOUT}"
    return f"something that is read cannot be read under SNAPSHOT isolation: send {WITHOUT}"


def refusal_remedy(text: str, theirs: bool) -> str:
    """What to do about a statement that the server does not run; `theirs`: a person wrote it."""
    return _remedy(_REFUSALS, text) or (QUERY if theirs else OWN)


def grant_remedy(text: str) -> str:
    """The right to ask for, as far as the server names what is missing."""
    column = re.search(r"The (?P<right>[A-Z ]+) permission was denied on the column '(?P<column>[^']+)'", text)
    target = re.search(r"The (?P<right>[A-Z ]+) permission was denied on the object '(?P<object>[^']+)'", text)
    of_column = re.search(r"of the object '([^']+)'", text)
    schema, database = re.search(r"schema '([^']+)'", text), re.search(r"database '([^']+)'", text)
    prefix, where = f"[{schema[1]}]." if schema else "", f" in database [{database[1]}]" if database else ""
    if column and of_column:
        right = f"GRANT {column['right']} ON {prefix}[{of_column[1]}] ([{column['column']}])"
        return f"ask the owner for {right} TO this login's user{where}, or {LEAVE_OUT}"
    if target:
        return f"ask the owner for GRANT {target['right']} ON {prefix}[{target['object']}] TO this login's user{where}"
    if state := re.search(r"VIEW \w+(?: \w+)* STATE", text):
        return f"ask an administrator for GRANT {state[0]} TO this login"
    if other := re.search(r"([A-Z][A-Z ]+[A-Z]) permission (?:was )?denied", text):
        return f"ask an administrator for GRANT {other[1]} TO this login's user{where}"
    return "ask the owner for GRANT SELECT on what is read; which right is missing the server does not say"


def _remedy(known: tuple[tuple[str, str], ...], text: str) -> str | None:
    found = ((re.search(pattern, text), remedy) for pattern, remedy in known)
    return next((remedy.format(**match.groupdict()) for match, remedy in found if match), None)
