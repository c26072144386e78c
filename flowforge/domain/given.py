"""Values that a model lets be missing, at places where they must be there."""

from typing import TypeVar

T = TypeVar("T")


def given(value: T | None) -> T:
    """The value. Raises ValueError where there is none, so that nothing goes on with a gap."""
    if value is None:
        raise ValueError("a value is missing where there must be one: the trace tells which")
    return value
