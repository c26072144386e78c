"""Files that a load has refused: nothing of them is in the lake, and the ledger has no entry of them. For people.

Of each file the newest refusal is kept, with the first rejected records: where they are and why, never what is in them.
"""

from collections.abc import Iterator
from datetime import UTC, datetime

from pydantic import BaseModel, Field

from flowforge.aws import items
from flowforge.domain.errors import unreadable
from flowforge.domain.file_version import FileVersion
from flowforge.runtime.settings import settings

MOST_REJECTS = 10
REASON_CHARACTERS = 2_000


class Reject(BaseModel):
    """Where a record is that was rejected, and why; `line` is None where a format has no lines."""

    row_number: int
    line: int | None = None
    column: str = ""
    reason: str = ""


class Refusal(BaseModel):
    """A version of a file that a run has refused. `records` were read, `rejected` of them did not fit; None: not counted.
    `contract` is a digest of how it was read; empty in items of a version before."""

    run_id: str
    file: FileVersion
    reason: str
    contract: str = ""
    at: str = ""
    records: int | None = None
    rejected: int | None = None
    rejects: list[Reject] = Field(default_factory=list)

    @property
    def place_in_moment(self) -> str:
        """Its place among the refusals of one moment."""
        return f"refused#{self.file.place_id}"

    @property
    def listed(self) -> str:
        """Its place in the list of files; see `file_listing`."""
        return f"{self.at}#{self.place_in_moment}"


def note_refusal(source_key: str, refusal: Refusal) -> None:
    """Keeps a refusal in place of an earlier one of the same file. Raises StoreUnavailable."""
    shown = {"reason": refusal.reason[:REASON_CHARACTERS], "rejects": refusal.rejects[:MOST_REJECTS]}
    kept = refusal.model_copy(update={**shown, "at": datetime.now(UTC).isoformat(timespec="milliseconds")})
    key = {"pk": partition(source_key), "sk": refusal.file.place_id, "listed": kept.listed}
    item = {**key, **kept.model_dump(exclude_none=True)}
    items.put(settings().watermarks_table, item)


def refusals(source_key: str) -> Iterator[Refusal]:
    """What was refused of a source, one for each file, in no order. Raises UnreadableRecord."""
    for item in items.query(settings().watermarks_table, "pk = :pk", {":pk": partition(source_key)}):
        yield refusal_in(item)


def refused_versions(source_key: str, contract: str) -> dict[tuple[str, str], FileVersion]:
    """The versions that were refused as that contract reads them, by bucket and key. Raises UnreadableRecord."""
    return {one.file.place: one.file for one in refusals(source_key) if one.contract == contract}


def refusal_of(source_key: str, file: FileVersion) -> Refusal | None:
    """The newest refusal of a file, of whatever version; None where there is none. Raises UnreadableRecord."""
    found = items.get(settings().watermarks_table, {"pk": partition(source_key), "sk": file.place_id})
    return refusal_in(found) if found else None


def refusal_in(item: items.Item) -> Refusal:
    """The refusal that an item is. Raises UnreadableRecord."""
    try:
        return Refusal.model_validate(item)
    except ValueError as error:
        remedy = (
            "It was changed by hand, or written by a newer version; a load that reads the file anew writes it anew."
        )
        raise unreadable(f"a refused file of {item['pk']}", error, remedy) from error


def partition(source_key: str) -> str:
    """The partition of a table's refusals."""
    return f"REFUSED#{source_key}"
