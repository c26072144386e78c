"""A request's mistakes: each with its field and what was expected, all at once, and no value repeated."""

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from events.redaction import shown_name

# Of unions, in pydantic's paths.
TAGS = ("(table)", "(pattern)", "(database)", "(file)", "(mode)", "(detection)", "str", "list[str]")
UNKNOWN_FIELD = "unknown field"
MOST_MISTAKES = 100  # that are told at once; a run's item holds at most 400 KB


class InvalidRequest(ValueError):
    """A request with mistakes; `.mistakes` lists each as {"field", "problem"}, at most MOST_MISTAKES and how many more
    there are."""

    def __init__(self, mistakes: list[dict[str, str]]):
        more = len(mistakes) - MOST_MISTAKES
        if more > 0:
            mistakes = [*mistakes[:MOST_MISTAKES], {"field": "(document)", "problem": f"and {more} mistakes more"}]
        mistakes = [{"field": m["field"][:500], "problem": m["problem"][:1500]} for m in mistakes]
        super().__init__("; ".join(f"{m['field']}: {m['problem']}" for m in mistakes))
        self.mistakes = mistakes


def mistakes_of(error: ValidationError, prefix: str = "") -> list[dict[str, str]]:
    """Each mistake's field path (under `prefix`) and what was expected; no value is repeated, it may be a password."""
    return mistakes_among(error.errors(include_url=False, include_input=False), prefix)


def mistakes_among(details: Iterable[Mapping[str, Any]], prefix: str = "") -> list[dict[str, str]]:
    """The same of what pydantic tells of each error."""
    return [_mistake(detail, prefix) for detail in details]


def _mistake(error: Mapping[str, Any], prefix: str) -> dict[str, str]:
    path = [shown_name(part) for part in error["loc"] if part not in TAGS]
    problem = error["msg"].removeprefix("Value error, ")
    if error["type"] == "extra_forbidden":
        problem = UNKNOWN_FIELD
    elif error["type"] == "missing":
        problem = "missing; it is required"
    return {"field": ".".join([prefix] * bool(prefix) + path) or "(document)", "problem": problem}
