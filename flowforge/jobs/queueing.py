"""Puts the tables of a run on their queue: a message each, or one for all where they are read as of one moment."""

from collections.abc import Sequence

from events.commands import IngestCut, IngestTable
from events.targets import SourceTable
from flowforge.aws.fanout import send_commands
from flowforge.runtime.settings import settings


def queue_tables(commands: Sequence[IngestTable]) -> None:
    """Queues all of them; raises StoreUnavailable when one is not accepted. Sending one again does no harm."""
    send_commands(settings().ingest_queue_url, messages_of(commands))


def messages_of(commands: Sequence[IngestTable]) -> Sequence[IngestTable | IngestCut]:
    """What is sent for the tables of one run."""
    of_cut = [one for one in commands if isinstance(one.source, SourceTable) and one.source.consistent_cut]
    if not of_cut:
        return commands
    return [IngestCut(run_id=of_cut[0].run_id, tables=of_cut), *(one for one in commands if one not in of_cut)]
