"""The reader of a batch or slice, under the strongest consistency that the source gives now."""

from collections.abc import Sequence

from events.targets import ConnectionReference
from flowforge.domain.errors import SnapshotRefused
from flowforge.sources.sqlserver.reader import ArrowReader, open_reader, wanted_driver
from flowforge.sources.sqlserver.selection import Selection
from flowforge.sources.target import Credentials

MOST_WORDS = 300  # of a server's refusal


def open_strongest(
    reference: ConnectionReference,
    credentials: Credentials,
    selection: Selection,
    offered: Sequence[str],
    deadline: float | None = None,
) -> ArrowReader:
    """Opens the reader with the driver that the connection, or else the deployment, names; its report tells which of the offered
    consistencies it has.

    A database that has stopped to allow SNAPSHOT since it was asked, and an object that cannot be read under it, are read
    under READ COMMITTED.
    """
    *stronger, last = offered or [""]
    driver, refused = wanted_driver(reference), ""
    for consistency in stronger:
        asked = selection._replace(consistency=consistency)
        try:
            return open_reader(reference, credentials, asked, driver, deadline=deadline)
        except SnapshotRefused as error:
            refused = str(error)[:MOST_WORDS]
    asked = selection._replace(consistency=last)
    reader = open_reader(reference, credentials, asked, driver, deadline=deadline)
    if refused:
        reader.notes.append(f"read under {last}, since SNAPSHOT was refused: {refused}")
    return reader
