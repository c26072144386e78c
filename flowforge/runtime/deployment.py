"""Which deployment this process works for, and what is made for it once and used again: settings, clients, proofs.

A deployment is what the environment says, nothing else. So nothing that was made for one is ever used for another: a process
whose environment changes (a test, a command line that reaches another stack) has another deployment from then on, and one whose
does not, as in Lambda, keeps its clients with their connections for as long as it lives.

`entered` holds on to one for an invocation. Outside of that, and in threads, it is looked up from the environment each time: the
same object, at 0.03 ms.
"""

import os
import threading
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import Any, TypeVar

AWS = "AWS_"
PREFIXES = ("FLOWFORGE_", AWS)
KEPT = 12  # deployments in one process: the one in use, and those that tests go back to, one for each queue

Variables = tuple[tuple[str, str], ...]
T = TypeVar("T")


class Deployment:
    """The variables of one deployment, and what was made from them."""

    def __init__(self, variables: Variables, prefixes: tuple[str, ...] = PREFIXES):
        self._variables, self._prefixes = variables, prefixes
        self._made: dict[Hashable, Any] = {}
        self._making = threading.RLock()  # boto3's session is not safe to make clients in several threads

    def once(self, name: Hashable, make: Callable[[], T]) -> T:
        """What `make` returns, made at the first call for `name`; an error is raised again by the next call's own try."""
        if name in self._made:
            return self._made[name]
        with self._making:
            if name in self._made:
                return self._made[name]
            made = make()
            if _variables(self._prefixes) == self._variables:  # else it was made in a thread while they changed
                self._made[name] = made
            return made

    def aws(self) -> "Deployment":
        """What this deployment shares with each whose AWS variables are the same, whatever else is set: the clients of AWS."""
        return self.once("aws", lambda: _aws_of(tuple(one for one in self._variables if one[0].startswith(AWS))))

    def has(self, name: Hashable) -> bool:
        """Whether something was made for `name` already."""
        return name in self._made


_entered: ContextVar[Deployment | None] = ContextVar("deployment", default=None)


@contextmanager
def entered() -> Iterator[Deployment]:
    """For the block, `current` is the environment's deployment as it is now."""
    deployment = _of(_variables())
    token = _entered.set(deployment)
    try:
        yield deployment
    finally:
        _entered.reset(token)


def current() -> Deployment:
    """The deployment that is entered, else the environment's."""
    return _entered.get() or _of(_variables())


@lru_cache(maxsize=KEPT)
def _of(variables: Variables) -> Deployment:
    return Deployment(variables)


@lru_cache(maxsize=KEPT)
def _aws_of(variables: Variables) -> Deployment:
    return Deployment(variables, (AWS,))


def _variables(prefixes: tuple[str, ...] = PREFIXES) -> Variables:
    # By name first: another thread may set or delete variables that are not ours while this one looks.
    names = [name for name in os.environ if name.startswith(prefixes)]
    return tuple(sorted((name, os.environ.get(name, "")) for name in names))
