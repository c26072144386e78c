"""Personal data as requests for tables and for files say it: what becomes of a column, and the secret that has the key."""

import re
from collections.abc import Iterator
from typing import Any

from events.redaction import SECRET_ID, shown_name

PROTECTION = re.compile(r"drop|null|hmac|partial\([1-9][0-9]?\)|bucket(\([1-9][0-9]{0,17}\))?")


def known_protections(value: dict[str, str]) -> dict[str, str]:
    """Columns with what becomes of each. Raises ValueError."""
    if wrong := [shown_name(name) for name, how in value.items() if not PROTECTION.fullmatch(how)]:
        raise ValueError(f"expected drop, null, hmac, partial(4), bucket or bucket(100) for {', '.join(wrong)}")
    if len({name.lower() for name in value}) < len(value):
        raise ValueError("names a column twice")
    return value


def key_by_name(value: str | None) -> str | None:
    """The name of the secret that has the key. Raises ValueError for what may be the key."""
    if value is not None and not SECRET_ID.fullmatch(value):
        raise ValueError("expected the name of a secret that holds the key, such as flowforge/keys/people, not the key")
    return value


def of_protection(given: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Protections that do not fit what is read, or lack their key."""
    protect = given.get("protect")
    ways = list(protect.values()) if isinstance(protect, dict) else []
    if given.get("query") and "drop" in ways:
        yield "protect", "drop is for columns of a table: leave them out of the query's SELECT"
    if "hmac" in ways and not given.get("protectionKey"):
        yield "protectionKey", "hmac needs it: the name of the secret that holds the key"
    if given.get("protectionKey") and "hmac" not in ways:
        yield "protectionKey", "is used by hmac alone: leave it out"
