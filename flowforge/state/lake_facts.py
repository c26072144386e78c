"""What a list of tables has read of each: kept, so that the next list opens only those that were committed to since.

Guarantees: nobody takes what is kept for the table as it is: each entry names its table's version by a seal, which is compared
with the table's log before it is told. Whoever deletes it all loses nothing.
"""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from flowforge.aws import items
from flowforge.aws.compact import pack, unpack
from flowforge.domain.errors import FlowForgeError
from flowforge.runtime.settings import settings

VERSION = 2  # of what is told of a table: another version reads all anew
FACTS = "FACTS"
Kept = tuple[str, dict[str, Any]]  # a seal, and the facts


def read(uris: list[str]) -> dict[str, Kept]:
    """What is kept of these tables."""
    found = items.get_many(settings().watermarks_table, [_key(uri) for uri in uris])
    kept: dict[str, Kept] = {}
    for uri, item in zip(uris, found, strict=True):
        if item and item.get("version") == VERSION:
            with suppress(ValueError, TypeError, KeyError):  # it is read anew
                kept[uri] = str(item["seal"]), dict(unpack(item["facts"]))
    return kept


def keep(kept: Mapping[str, Kept]) -> None:
    """Keeps what was read of tables; that it could not be kept is told to nobody, since the next list reads it again."""
    put = [{**_key(uri), "version": VERSION, "seal": seal, "facts": pack(facts)} for uri, (seal, facts) in kept.items()]
    with suppress(FlowForgeError):
        items.put_many(settings().watermarks_table, put)


def _key(uri: str) -> items.Item:
    return {"pk": f"{FACTS}#{uri}", "sk": FACTS}
