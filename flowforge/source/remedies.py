"""What a person can do about an error of the server, by the server's own words: numbers are not given by every driver.

Guarantees: pure; a remedy is for the situation that its message tells of, names what the message names, and never advises what
could lose rows. Messages are those of sys.messages, as documented.
"""

import re

LOGIN = "check user name, password and database, and that the login is mapped to that database"
QUERY = "correct the query; the server's message says where"
OWN = (
    "the statement is FlowForge's own: if the server's message names a computed column, a view or a value of the table, mend "
    "that, or leave it out by a query that lists columns; else report it with the message and the server's version"
)
NO_SNAPSHOT = "allow SNAPSHOT isolation in the database, or send snapshotIsolation false"

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
    (r"untrusted domain", "use a SQL login: Windows authentication does not work from where the functions run"),
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
    (r"Login failed for user", LOGIN),
)
# Of what passes, or somebody can end.
_PASSING = (
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
_UNREACHABLE = r"refused|resolve|lookup|timed out|establish connection"


def login_remedy(text: str) -> str | None:
    """What to do where the server does not take the login, or not for this database; None where it says something else."""
    return _remedy(_LOGINS, text)


def passing_remedy(number: int, text: str) -> str:
    """What to do about a failure after which the same may succeed."""
    if number == 20002 or "certificate" in text.lower():
        return "check that FLOWFORGE_SOURCE_CA_FILE names the CA of the server's certificate, and host a name in it"
    if number in (20009, 10060) or re.search(_UNREACHABLE, text):
        return "check host, port, firewall, and that the server is running"
    other = "try again; if it keeps happening, look at the server's load, blocking and error log"
    return _remedy(_PASSING, text) or other


def _remedy(known: tuple[tuple[str, str], ...], text: str) -> str | None:
    found = ((re.search(pattern, text), remedy) for pattern, remedy in known)
    return next((remedy.format(**match.groupdict()) for match, remedy in found if match), None)
