"""ingest_table: loads one table once into bronze, or several as of one moment, and announces the batches."""

from events.commands import IngestCut, IngestTable
from flowforge.aws.bus import announce
from flowforge.aws.message import process_messages
from flowforge.bronze.cut import ingest_cut
from flowforge.bronze.file_notes import give_up_load
from flowforge.bronze.ingest import ingest
from flowforge.bronze.outcome import Outcome
from flowforge.domain.errors import Wait
from flowforge.runtime.entry_point import entry_point
from flowforge.sources.registry import prepare


def load(command: IngestTable, context: object) -> None:
    """Handles one IngestTable command."""
    _tell(ingest(command))


def load_cut(command: IngestCut, context: object) -> None:
    """Handles one IngestCut command."""
    _tell(ingest_cut(command))


def _tell(outcome: Outcome) -> None:
    announce(*outcome.progress, *outcome.facts)
    if outcome.wait_seconds is not None:
        raise Wait(outcome.reason, outcome.wait_seconds)


@entry_point
def handler(event: dict, context: object) -> dict:
    """The function's entry point: messages of the ingest queue."""
    handlers = {IngestTable: load, IngestCut: load_cut}
    return process_messages(event, context, "ingest", handlers, give_up_load)


prepare()
