"""Where the database stands: alone or in an availability group, on which replica, and on which recovery fork.

A client changes it while the server runs, on any connection:

    EXEC flowforge_replica 'join'        the database belongs to an availability group from now on
    EXEC flowforge_replica 'failover'    another replica of the group answers: other name and date, the same fork
    EXEC flowforge_replica 'force'       the same with a possible loss of data, which begins a new recovery fork
    EXEC flowforge_replica 'restore'     the database was restored: a new recovery fork, name and date as before
    EXEC flowforge_replica 'leave'       no group any more, the first server's name again
    EXEC flowforge_replica 'go on', '2024-01-31 10:20:30.123', '<fork>'
                                         the database has the date and recovery fork of one that an earlier process has served

As documented for sys.databases (group_database_id) and sys.database_recovery_status.
"""

from __future__ import annotations

import datetime as dt
import uuid

from .errors import SqlError


class Replicas:
    """The facts of one database that a failover or a restore changes."""

    def __init__(self, name: str, created: dt.datetime):
        self._first = (name, created)
        self.name, self.created = self._first
        self.fork, self.group, self._number = uuid.uuid4(), None, 1

    def set(self, arguments: list[object]) -> None:
        """Does what the procedure's argument says. Raises SqlError for another word."""
        word = str(arguments[0]) if len(arguments) == 1 else ""
        if len(arguments) == 3 and arguments[0] == "go on":
            self.created, self.fork = dt.datetime.fromisoformat(str(arguments[1])), uuid.UUID(str(arguments[2]))
            self._first = (self.name, self.created)
            return
        if word not in ("join", "failover", "force", "restore", "leave"):
            raise SqlError(50000, "flowforge_replica: expected join, failover, force, restore or leave.")
        if word == "join":
            self.group = uuid.uuid4()
        if word in ("failover", "force"):
            self._number += 1
            self.name = f"{self._first[0]}-{self._number}"
            self.created = self._first[1] + dt.timedelta(minutes=self._number)
        if word in ("force", "restore"):
            self.fork = uuid.uuid4()
        if word == "leave":
            self.group, (self.name, self.created) = None, self._first
