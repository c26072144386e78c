"""Tries a connection as a load will use it: the reader that it would choose, with its driver, its TLS and its login."""

from events.targets import ConnectionReference
from flowforge.domain.source_columns import SourceColumn
from flowforge.runtime.time_limit import deadline
from flowforge.sources.sqlserver.reader import open_reader, wanted_driver
from flowforge.sources.sqlserver.selection import Selection
from flowforge.sources.target import Credentials

ONE_ROW = Selection("SELECT 1 AS probe", [SourceColumn(name="probe", type="integer", sql_type="int", nullable=False)])


def driver_that_reads(reference: ConnectionReference, credentials: Credentials) -> str:
    """Reads one row through the driver that loads will use, and returns its name. Raises what the load would raise."""
    with open_reader(reference, credentials, ONE_ROW, wanted_driver(reference), deadline=deadline()) as reader:
        for _ in reader:
            pass
        return reader.driver
