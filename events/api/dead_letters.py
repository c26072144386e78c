"""Messages that were given up: which, what puts them back, what gives them up for good."""

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from events.api.base import Answer, Page, unless_empty
from events.model import Request

MOST_CHARACTERS = 500  # of a reason
ALL_OR_NAMED = 'expected {"all": true}, or one of run_id, table, ids'
WHY = f"expected text of at most {MOST_CHARACTERS} characters: why nobody wants the messages any more"
LetterLimit = Annotated[int, Field(ge=0, le=6_000), unless_empty(1_000)]
DiscardedLimit = Annotated[int, Field(ge=0, le=1_000), unless_empty(200)]


class Selection(Request):
    """Which messages are meant: all, or those of a run, a table, or with one of these ids. An empty selection means none."""

    all: bool = False
    run_id: Annotated[str | None, Field(min_length=1)] = None
    table: Annotated[str | None, Field(min_length=1)] = None
    ids: Annotated[list[str] | None, Field(min_length=1)] = None
    until: float | None = Field(None, allow_inf_nan=False, description="epoch seconds, as an answer before has told it")

    preview: bool = Field(False, strict=True, description="shows which messages are meant and changes nothing")

    @classmethod
    def contradictions(cls, given: dict[str, Any]) -> Iterator[str | tuple[str, str]]:
        """Either all, or what is named."""
        named = [name for name in ("run_id", "table", "ids") if given.get(name) is not None]
        if (given.get("all") is True) == bool(named):
            yield ALL_OR_NAMED


def _why(reason: Any) -> str:
    if not isinstance(reason, str) or not reason.strip() or len(reason) > MOST_CHARACTERS:
        raise ValueError(WHY)
    return reason.strip()


class Discard(Selection):
    """What is given up for good, and why."""

    reason: Annotated[str, BeforeValidator(_why), Field(max_length=MOST_CHARACTERS)]


class Letter(Answer):
    """A message that was given up; what it holds is never shown."""

    id: str | None
    queue: str
    table: str | None
    run_id: str | None
    reason: str | None
    at: float | None
    age_seconds: float | None
    problem: str | None = None
    consequence: str | None = None


class Letters(Page):
    """Messages, oldest first; `more`: others lie in a queue, of which none was seen."""

    messages: list[Letter]
    more: bool
    failed: list[Letter]


class SettledLetters(Letters):
    """The messages that were settled, and what is left."""

    newer: int = Field(description="messages that have come since")
    left: int = Field(description="about how many lie in all the queues now")
    until: float = Field(description="what the next call takes over")


class DiscardedLetter(Answer):
    """A message that was given up for good."""

    id: str | None
    queue: str | None
    table: str | None
    run_id: str | None
    reason: str | None
    sent_at: str | None
    at: str | None
    discarded_because: str | None
    consequence: str | None


class Discarded(Page):
    """Messages that were given up for good, newest first."""

    discarded: list[DiscardedLetter]
