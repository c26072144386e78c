"""ingest_slice: loads one slice of a large table's batch into bronze; the last one announces the batch."""

from events.commands import IngestSlice
from flowforge.aws.bus import announce
from flowforge.aws.message import process_messages
from flowforge.bronze.ingest_slice import give_up_slice, ingest_slice
from flowforge.runtime.entry_point import entry_point
from flowforge.sources.registry import prepare


def load(command: IngestSlice, context: object) -> None:
    """Handles one IngestSlice command."""
    outcome = ingest_slice(command)
    announce(*outcome.progress, *outcome.facts)


@entry_point
def handler(event: dict, context: object) -> dict:
    """The function's entry point: messages of the slice queue."""
    return process_messages(event, context, "ingest", {IngestSlice: load}, give_up_slice)


prepare()
