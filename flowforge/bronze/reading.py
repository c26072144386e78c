"""The reader of a batch or slice, under the strongest consistency that the source gives now."""

from events.targets import ConnectionReference
from flowforge.bronze.parquet import Told
from flowforge.domain.errors import SnapshotRefused
from flowforge.runtime.time_limit import deadline
from flowforge.sources.sqlserver.credentials import Credentials
from flowforge.sources.sqlserver.reader import ArrowReader, open_reader, wanted_driver
from flowforge.sources.sqlserver.selection import Selection

MOST_WORDS = 300  # of a server's refusal


class Reading:
    """Opens the reader; `held` tells afterwards which of the offered consistencies it has. `by` is an instant of time.monotonic()
    by which it must be done (default: the function's own time limit)."""

    def __init__(
        self,
        connection: ConnectionReference,
        credentials: Credentials,
        selection: Selection,
        offered: list[str],
        by: float | None = None,
    ):
        self._connection, self._credentials = connection, credentials
        self._selection, self._offered, self._deadline = selection, offered, by or deadline()
        self.held, self._refused = "", ""
        self._reader: ArrowReader | None = None

    def told(self) -> Told:
        """What the read knows of itself, once all rows have been taken."""
        reader = self._reader
        weaker = [f"read under {self.held}, since SNAPSHOT was refused: {self._refused}"] if self._refused else []
        return Told(self.held, reader.counted, [*reader.notes, *weaker]) if reader else Told(self.held)

    def open(self) -> ArrowReader:
        """Opens the reader with the driver that the connection, or else the deployment, names.

        A database that has stopped to allow SNAPSHOT since it was asked, and an object that cannot be read under it, are read
        under READ COMMITTED.
        """
        *stronger, last = self._offered or [""]
        for consistency in stronger:
            try:
                return self._opened(consistency)
            except SnapshotRefused as error:
                self._refused = str(error)[:MOST_WORDS]
        return self._opened(last)

    def _opened(self, consistency: str) -> ArrowReader:
        selection = self._selection._replace(consistency=consistency)
        driver = wanted_driver(self._connection)
        reader = open_reader(self._connection, self._credentials, selection, driver, deadline=self._deadline)
        self.held, self._reader = consistency, reader
        return reader
