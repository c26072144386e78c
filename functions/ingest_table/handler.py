"""ingest_table: loads one table once into bronze and announces the batch."""

import gc

from events.commands import IngestTable
from flowforge.aws.bus import announce
from flowforge.aws.message import process_messages
from flowforge.bronze.ingest import ingest
from flowforge.domain.errors import Wait
from flowforge.runtime.entry_point import entry_point
from flowforge.sources.registry import prepare


def load(command: IngestTable, context: object) -> None:
    """Handles one IngestTable command."""
    outcome = ingest(command)
    announce(*outcome.progress, *outcome.facts)
    if outcome.wait_seconds is not None:
        raise Wait(outcome.reason, outcome.wait_seconds)


@entry_point
def handler(event: dict, context: object) -> dict:
    """The function's entry point: messages of the ingest queue."""
    return process_messages(event, context, "ingest", {IngestTable: load})


prepare()
gc.freeze()  # what the imports made stays: no collection, nor the interpreter's end, walks it again (0.2 s)
