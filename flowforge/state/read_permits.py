"""Read permits: how many workers read one source (server and database) at the same time.

A source has as many places as reads are allowed; a reader holds one of them, as an item of its own in the watermark table, for
as long as it renews it. Guarantees: a place has one holder, by a conditional write; the place of a worker that died is free
again when its lease ends; a reader that ends gives its place back at once. A load that allows fewer reads than others of the
same source takes the first places only, so that never more of its kind read than it allows.
"""

import random
import time
import uuid
from dataclasses import dataclass

from events.targets import ConnectionReference
from flowforge.aws import items
from flowforge.domain.errors import Wait
from flowforge.runtime.settings import settings

WAIT_SECONDS = (1, 5)  # a different time for each that waits, so that they do not come back together
_FREE = "attribute_not_exists(pk) OR lease_until < :now"


@dataclass(frozen=True)
class ReadPermit:
    """A place of a source that this worker holds."""

    source: str
    place: int
    holder: str

    @property
    def key(self) -> items.Item:
        """The item of the place."""
        return {"pk": f"READS#{self.source}", "sk": f"PLACE#{self.place:05d}"}


def take_permit(connection: ConnectionReference) -> ReadPermit:
    """Takes a free place of the connection's source; raises Wait when all are held."""
    source = f"{connection.host.lower()}:{connection.port}/{connection.database}"
    allowed = connection.max_concurrent_reads or settings().reads_per_source
    holder, first = uuid.uuid4().hex, random.randrange(allowed)  # noqa: S311
    if taken := _take(ReadPermit(source, first, holder)):
        return taken
    held, now = {}, time.time()
    for item in items.query(settings().watermarks_table, "pk = :pk", {":pk": f"READS#{source}"}):
        place = int(item["sk"].removeprefix("PLACE#"))
        if item["holder"] == holder:  # the answer to the write above was lost, not the write
            return ReadPermit(source, place, holder)
        held[place] = item["lease_until"] >= now
    free = [place for place in range(allowed) if not held.get(place)]
    random.shuffle(free)
    for place in free:
        if taken := _take(ReadPermit(source, place, holder)):
            return taken
    raise Wait(f"{source}: {allowed} reads are under way, as many as are allowed", random.randint(*WAIT_SECONDS))  # noqa: S311


def renew_permit(permit: ReadPermit) -> bool:
    """Holds the place for longer; False when it is somebody else's by now."""
    values = {":lease": time.time() + settings().lease_seconds, ":me": permit.holder}
    return items.update(
        settings().watermarks_table, permit.key, "SET lease_until = :lease", values, "#holder = :me", holder="holder"
    )


def give_back(permit: ReadPermit) -> None:
    """Frees the place at once, if it is still this reader's."""
    values = {":none": 0, ":me": permit.holder}
    items.update(
        settings().watermarks_table, permit.key, "SET lease_until = :none", values, "#holder = :me", holder="holder"
    )


def _take(permit: ReadPermit) -> ReadPermit | None:
    now = time.time()
    item = {**permit.key, "holder": permit.holder, "lease_until": now + settings().lease_seconds}
    return permit if items.put(settings().watermarks_table, item, _FREE, {":now": now}) else None
