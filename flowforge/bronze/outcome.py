"""What handling a command led to."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from events.facts import BatchEvent, SlicesRead


@dataclass
class Outcome:
    """What a command led to: facts to announce, how far a large batch has come, and seconds to wait when its own batch is still
    to come."""

    facts: Sequence[BatchEvent] = field(default_factory=list)
    wait_seconds: int | None = None
    reason: str = ""
    progress: list[SlicesRead] = field(default_factory=list)
