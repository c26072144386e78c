"""Where moto is changed: it builds much of itself at run time, so its objects are `Any` to what replaces a part of it."""

from typing import Any


def put_in_place(owner: Any, **members: Any) -> None:
    """Replaces members of one of moto's classes or modules, in this process."""
    for name, member in members.items():
        setattr(owner, name, member)
