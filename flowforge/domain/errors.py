"""The error tree: what a caller does next decides the class, not where the error arose.

    FlowForgeError
    ├── Retriable            the same message may succeed later: it goes back to its queue
    │   ├── SourceUnavailable    host unreachable, connection lost, deadlock victim, timeout
    │   │   └── SnapshotRefused      the database does not allow SNAPSHOT isolation (now)
    │   ├── StoreUnavailable     an AWS call failed or was throttled
    │   ├── NoSpace              a disk that the process writes to is full
    │   ├── FileChanged          a file is no longer the version that was found: what is there now is found anew
    │   ├── EndpointUnavailable  the receiver of lineage events or alerts cannot be reached, or cannot take them now
    │   └── TruncatedRead        the source sent fewer rows than it said
    ├── Fatal                the same message can never succeed: dead-letter queue, StepFailed
    │   ├── LoginRefused         wrong user, password or database
    │   ├── SecretRefused        a secret that belongs to another server, or that a request may not name
    │   ├── UnknownTable         no such table, or no permission to see it
    │   ├── UnknownColumn        no such column
    │   ├── UnsupportedSource    a type, cursor or table that cannot be loaded safely
    │   ├── QueryRefused         the source refused the SQL itself
    │   ├── ConflictingTarget    two sources for one silver table, two batches for one object
    │   ├── SourceChanged        the source is not the one that the watermark belongs to
    │   ├── ChangesLost          the source does not know any more what has changed since the last load
    │   ├── ScopeChanged         the request reads other rows than its table was loaded with
    │   ├── LakeChanged          the lake does not hold what the state says, or holds what it does not know
    │   ├── FileRefused          a file that cannot be taken as it is; nothing of it has landed
    │   ├── LateRows             rows came into an interval that was closed, again and again
    │   ├── TransformRejected        a batch that silver or gold cannot take
    │   │   ├── RulesBroken          rows break a quality rule of severity fail
    │   │   └── DeletesRefused       more rows are gone from the source than may be taken out at once
    │   ├── UnfitStore           the S3 does not do what the lake rests on
    │   ├── EndpointRefused      the receiver of lineage events or alerts does not take them, or is not one to send them to
    │   ├── TooLarge             what is kept, or told, does not fit where it goes
    │   ├── UnreadableRecord     something in our own state that this version cannot read
    │   └── NotFound             no such run, watermark, connection or secret
    └── Wait                 somebody else holds the table: ask again after `.seconds`

Every message names the table or host, the column where there is one, and `.remedy` says what to do. The server's own words
survive in it; a password never does.
"""

from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from events.quality import QualityFigure
from flowforge.domain.file_version import FileVersion


class FlowForgeError(Exception):
    """Base of all errors that FlowForge raises on purpose; `remedy` is one sentence for the user.

    `number` is the source's own number for it (sys.messages), 0 where it gave none.
    """

    number = 0

    def __init__(self, message: str, remedy: str = ""):
        super().__init__(message)
        self.remedy = remedy

    @property
    def with_remedy(self) -> str:
        """The message with its remedy, for places that have one text for both."""
        return f"{self}: {self.remedy}" if self.remedy else str(self)


class Retriable(FlowForgeError):
    """The same message may succeed later."""


class SourceUnavailable(Retriable):
    """The SQL Server cannot be reached or dropped the connection."""


class SnapshotRefused(SourceUnavailable):
    """The database does not allow SNAPSHOT isolation, or not yet, or not for this object (3952, 3956, 7420, 35371, 41332)."""


class StoreUnavailable(Retriable):
    """An AWS service did not do what was asked; asking again may help."""


class NoSpace(Retriable):
    """A disk that the process writes to takes no more; the message names the folder (`runtime.disk_space`)."""


class FileChanged(Retriable):
    """A file was replaced or deleted after it was found, so that this version cannot be read any more."""


class EndpointUnavailable(Retriable):
    """The receiver of lineage events or alerts cannot be reached, or cannot take them now."""


class TruncatedRead(Retriable):
    """Fewer rows arrived than the server says it sent."""


class Fatal(FlowForgeError):
    """The same message can never succeed."""


class LoginRefused(Fatal):
    """The server refused the user, the password or the database (18456, 4060)."""


class SecretRefused(Fatal):
    """A secret that belongs to another server or database than the one it was to be sent to."""


class UnknownTable(Fatal):
    """The table does not exist or the login may not see it."""


class UnknownColumn(Fatal):
    """The table has no such column."""


class UnsupportedSource(Fatal):
    """A type, cursor or table that cannot be loaded without risk."""


class QueryRefused(Fatal):
    """The server refused the SQL text; `line` (from 1) is the one that it points at, where it does."""

    def __init__(self, message: str, remedy: str = "", line: int | None = None):
        super().__init__(message, remedy)
        self.line = line


class ConflictingTarget(Fatal):
    """A destination already belongs to something else."""


class SourceChanged(Fatal):
    """The source is not the one its watermark was taken from (restored, recreated, retyped)."""


class ChangesLost(Fatal):
    """Changes since the last load are not all there any more: cleaned up, truncated, never tracked, or of a restored database."""


class ScopeChanged(Fatal):
    """The request wants another part of its table than the lake has, and reads only what is new of it."""


class LakeChanged(Fatal):
    """State and lake do not go together: one of them was lost, restored, replaced, or has another deployment in it."""


class FileRefused(Fatal):
    """A file that cannot be taken as it is. `rejects` are the first records that do not fit, each with `row_number`, `line`,
    `column` and `reason`; `records` were read by then, and `rejected` of them did not fit (None: not counted)."""

    def __init__(
        self,
        message: str,
        remedy: str,
        file: FileVersion,
        rejects: Sequence[dict[str, Any]] = (),
        records: int | None = None,
        rejected: int | None = None,
    ):
        super().__init__(message, remedy)
        self.file, self.rejects, self.records, self.rejected = file, rejects, records, rejected


class LateRows(Fatal):
    """Rows appeared in an interval after it was closed: the cursor does not keep what its kind promises."""


class TransformRejected(Fatal):
    """A batch that silver or gold cannot take as it is; `gold_tables` are the models that failed, where these are known."""

    def __init__(self, message: str, remedy: str = "", gold_tables: Sequence[str] = ()):
        super().__init__(message, remedy)
        self.gold_tables = tuple(gold_tables)


class UnfitStore(Fatal):
    """The S3 ignores conditions of a write, so two writers would overwrite each other in silence."""


class EndpointRefused(Fatal):
    """The receiver of lineage events or alerts does not take them, or its address or key is not one to use."""


class RulesBroken(TransformRejected):
    """Rows break a quality rule of severity `fail`; `figures` are those of all rules that were judged."""

    def __init__(self, message: str, remedy: str, figures: Sequence[QualityFigure]):
        super().__init__(message, remedy)
        self.figures = list(figures)


class DeletesRefused(TransformRejected):
    """A comparison of keys would take more rows out of silver than its request allows."""


class TooLarge(Fatal):
    """A record or message that is larger than its store or queue takes."""


class UnreadableRecord(Fatal):
    """A record of our own state that cannot be read: damaged by hand, or written by a newer version."""


def unreadable(what: str, error: Exception, remedy: str) -> UnreadableRecord:
    """The error for a stored record, with the fields that do not fit and without their values."""
    found = error.errors(include_input=False, include_url=False) if isinstance(error, ValidationError) else []
    fields = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in found[:3])
    return UnreadableRecord(f"{what} cannot be read: {fields or repr(error)}", remedy)


class NotFound(Fatal):
    """No such run, watermark, connection or secret."""


class Wait(FlowForgeError):
    """Another batch of the table is under way; ask again after `seconds`."""

    def __init__(self, message: str, seconds: int):
        super().__init__(message)
        self.seconds = seconds
