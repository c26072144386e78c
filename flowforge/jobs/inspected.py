"""What a stored file is, for callers of the API: what `flowforge files inspect` tells, of a file that is small enough to be
looked through while they wait."""

import time
from functools import partial
from typing import Any

from events.api.files import MOST_INSPECTED_BYTES
from events.request.files import LANDING
from flowforge.aws.stored_files import find_file, open_file
from flowforge.domain.errors import FileRefused, NotFound
from flowforge.jobs.proposed_source import source_of
from flowforge.runtime.settings import settings
from flowforge.runtime.time_limit import deadline
from flowforge.sources.files.container import look_into
from flowforge.sources.files.inspection import Inspection, inspect

REMEDY = "Look at it with `flowforge files inspect FILE`, which takes as long as it needs: FILE is s3://BUCKET/KEY."


def shown(found: Inspection) -> dict[str, Any]:
    """What is shown of an inspection: the contract as a request says it."""
    return {**found.model_dump(exclude={"contract"}), "source_config": source_of(found.contract)}


def inspect_stored(key: str, member: str | None, sheet: str | None, records_at: str) -> dict[str, Any]:
    """Looks through a file below landing/ as it is now. Raises NotFound, FileRefused (too large, too slow), UnsupportedSource."""
    found = find_file(settings().bucket, key) if key.startswith(LANDING) else None
    if found is None:
        remedy = "GET /api/files?state=waiting lists those that are not loaded."
        raise NotFound(f"there is no file {key!r} below {LANDING}", remedy)
    if found.size > MOST_INSPECTED_BYTES:
        told = f"{found.address} has {found.size:,} bytes, of at most {MOST_INSPECTED_BYTES:,} here"
        raise FileRefused(told, REMEDY, found)
    until = deadline()

    def in_time(records: int) -> None:
        if until is not None and time.monotonic() > until:
            told = f"{found.address} takes too long to look through: {records:,} records were read"
            raise FileRefused(told, REMEDY, found)

    content = look_into(key.rpartition("/")[2], found.size, partial(open_file, found), member)
    return shown(inspect(content, in_time, member, sheet, records_at))
