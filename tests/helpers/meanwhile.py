"""What another person does between two calls that are made for the first."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from flowforge.aws.clients import client


@contextmanager
def after_first_write(service: str, *operations: str, do: Callable[[], Any]) -> Iterator[None]:
    """Does something once, when the first of these calls of this process has been answered."""
    done: list[Any] = []

    def act(**_: Any) -> None:
        if not done:
            done.append(None)
            do()

    events, names = client(service).meta.events, [f"after-call.{service}.{name}" for name in operations]
    for name in names:
        events.register(name, act)
    try:
        yield
    finally:
        for name in names:
            events.unregister(name, act)
    assert done, "none of these calls was made"
