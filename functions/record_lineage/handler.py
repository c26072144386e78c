"""record_lineage: keeps what the bus tells as OpenLineage run events in the lake, and sends them to a receiver if one is set."""

from functools import partial

from flowforge.aws.ahead import first_deliveries
from flowforge.aws.message import process_envelopes
from flowforge.lineage.step import Kept, keep_together, record_event
from flowforge.runtime.entry_point import entry_point


def record(envelope: dict, context: object, kept: list[Kept]) -> None:
    """Handles one event of the bus; `kept` are those that the lake has already."""
    record_event(envelope, kept)


@entry_point
def handler(event: dict, context: object) -> dict:
    """The function's entry point: messages of the lineage queue."""
    kept = keep_together(first_deliveries(event))
    return process_envelopes(event, context, "lineage", partial(record, kept=kept))
