"""maintain_lake: upkeep of the Delta tables; its schedule makes one message of every table, each of which is handled alone."""

from events.commands import MaintainTable
from flowforge.aws.message import process_messages
from flowforge.operations.upkeep_step import maintain_one, queue_all
from flowforge.runtime.entry_point import entry_point


def maintain(command: MaintainTable, context: object) -> None:
    """Handles one MaintainTable command."""
    maintain_one(command)


@entry_point
def handler(event: dict, context: object) -> dict:
    """The function's entry point: the schedule, and the messages that it makes."""
    if event.get("maintain"):
        return queue_all()
    return process_messages(event, context, "upkeep", {MaintainTable: maintain})
