"""record_lineage: keeps what the bus tells as OpenLineage run events in the lake, and sends them to a receiver if one is set."""

from flowforge.aws.ahead import facts_ahead
from flowforge.aws.message import process_envelopes
from flowforge.lineage.step import HEARD, record_event
from flowforge.lineage.steps import know_batches
from flowforge.runtime.entry_point import entry_point


def record(envelope: dict, context: object) -> None:
    """Handles one event of the bus."""
    record_event(envelope)


@entry_point
def handler(event: dict, context: object) -> dict:
    """The function's entry point: messages of the lineage queue."""
    know_batches(facts_ahead(event, *HEARD))
    return process_envelopes(event, context, "lineage", record)
