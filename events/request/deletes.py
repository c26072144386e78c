"""How a table whose loads see no deletions finds them: by comparing the source's keys with silver, now and then."""

import re
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, field_validator

from events.choices import Deletes, Detection
from events.model import Request

EVERY = re.compile(r"([1-9][0-9]{0,4}) (minute|hour|day|week)s?")
SECONDS = {"minute": 60, "hour": 3_600, "day": 86_400, "week": 604_800}
LEAST_SECONDS = 600  # between two comparisons: each reads every key twice


def seconds_of(every: str) -> int:
    """How long it is, such as `1 day` or `6 hours`. Raises ValueError."""
    found = EVERY.fullmatch(every)
    if not found:
        raise ValueError("expected a whole number of minutes, hours, days or weeks, such as 1 day or 6 hours")
    return int(found[1]) * SECONDS[found[2]]


class DeleteDetection(Request):
    """Deletes of an incremental load, found by reading all keys of the source: `mode` is what becomes of the rows."""

    detect: Detection = Field(description="keys: the keys alone are read, twice, and compared with those of silver")
    every: str = Field(
        "1 day", description="how often, at most: a whole number of minutes (10 at least), hours, days or weeks"
    )
    maxDeleteShare: float = Field(
        0.1,
        gt=0,
        le=1,
        allow_inf_nan=False,
        description="the share of silver's rows that may go at once; more is refused, and named",
    )
    mode: Literal["hard", "soft"] | None = Field(
        None, description="removed (default of merge), or marked; of scd2 soft: the version ends"
    )

    @field_validator("every")
    @classmethod
    def _every(cls, value: str) -> str:
        if seconds_of(value) < LEAST_SECONDS:
            raise ValueError("expected 10 minutes or more: each comparison reads every key")
        return value


def _form(value: Any) -> str:
    return "(detection)" if isinstance(value, dict | DeleteDetection) else "(mode)"


DeletesWanted = Annotated[
    Annotated[Deletes, Tag("(mode)")] | Annotated[DeleteDetection, Tag("(detection)")], Discriminator(_form)
]


def mode_in(given: Any) -> Any:
    """The mode in a request's `deletes` as it was given, in whichever form; None where it has none."""
    return given.get("mode") if isinstance(given, dict) else given


def detects(given: Any) -> bool:
    """Whether a request's `deletes`, as it was given, asks for a comparison."""
    return isinstance(given, dict)
