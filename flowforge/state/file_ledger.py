"""Which versions of which files a table has taken: one entry for each file of a batch.

Entries are written for a claimed batch before it is landed, by each worker that holds the claim, the same ones each time. Their
key holds the batch's claim, which cannot come again: a worker that has lost its batch writes over no entry of a later one.

Guarantees: an entry counts once its batch is committed, or has ended without a row; that of a batch which was voided never does.
A reset begins a new generation, for which no earlier entry counts, so that all files are loaded again.
"""

import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import groupby

from pydantic import BaseModel

from flowforge.aws import items
from flowforge.domain.batch import Batch, order_of
from flowforge.domain.errors import UnreadableRecord, Wait
from flowforge.domain.file_version import FileVersion
from flowforge.domain.source_key import bronze_table_of
from flowforge.runtime.settings import settings
from flowforge.state.batch_records import RETRY_SECONDS, stored_batch
from flowforge.state.table import TableState

DONE = ("committed", "refined", "empty")
UNKNOWN = "-"  # moment of what was written by a version before: it sorts behind all others
KEY_BYTES = 600  # of a file's key in an index, whose sort key has 1,024
ASKED_ALONE = 20  # files; for more the ledger is read, some thousand entries a call
SETTLED_AT_ONCE = 1_000


class FileEntry(BaseModel):
    """What became of a file: `rows` landed and `rejected` records, and the first of these as text. `skipped`: none was
    read, since a newer snapshot stands in its place. `settled`: its batch was seen to be done, so its record is not needed any
    more. `at` is when it was claimed, in seconds of the epoch (0: not known). `label` is its batch's, where records were
    rejected: their object is named by it (empty: a version before has written the entry)."""

    generation: int
    seq: int
    claim: str
    epoch: str
    run_id: str
    file: FileVersion
    rows: int = 0
    rejected: int = 0
    first_rejected: str = ""
    skipped: bool = False
    settled: bool = False
    at: float = 0
    label: str = ""

    @property
    def order(self) -> int:
        """Position of its batch among the batches of its source."""
        return order_of(self.generation, self.seq)

    @property
    def moment(self) -> str:
        """When it was claimed (ISO 8601, UTC, milliseconds); UNKNOWN for one of a version before."""
        return datetime.fromtimestamp(self.at, UTC).isoformat(timespec="milliseconds") if self.at else UNKNOWN

    @property
    def place_in_moment(self) -> str:
        """Its place among the entries of one moment."""
        key = self.file.key.encode()[:KEY_BYTES].decode(errors="ignore")
        return f"{self.order:020d}#{key}#{self.file.place_id}#{self.claim}"

    @property
    def listed(self) -> str:
        """Its place in the list of files; see `file_listing`."""
        return f"{self.moment}#{self.place_in_moment}"


def entry_of(batch: Batch, file: FileVersion, rows: int, rejected: int = 0, first_rejected: str = "") -> FileEntry:
    """The entry of one file of a batch."""
    return FileEntry(
        generation=batch.generation,
        seq=batch.seq,
        claim=batch.claim,
        epoch=batch.epoch,
        run_id=batch.command.run_id,
        file=file,
        at=batch.claimed_at,
        rows=rows,
        rejected=rejected,
        first_rejected=first_rejected,
        label=batch.label if rejected else "",
    )


def skipped_entry(state: TableState, run_id: str, file: FileVersion) -> FileEntry:
    """The entry of a file that no batch reads, with which none was claimed: it counts from now on."""
    place = {"generation": state.generation, "seq": state.seq, "epoch": state.epoch}
    return FileEntry(**place, claim=run_id, run_id=run_id, file=file, skipped=True, settled=True, at=time.time())


def write_entries(source_key: str, entries: Iterable[FileEntry]) -> None:
    """Writes entries; those that are there already are written over. Raises StoreUnavailable, some may then be there."""
    items.put_many(settings().watermarks_table, [_item(source_key, entry) for entry in entries])


def entries(source_key: str, file: FileVersion | None = None) -> Iterator[FileEntry]:
    """All entries of a source, or of one file in whatever version, of whatever batch, those of one file together and in their
    order. Raises UnreadableRecord."""
    condition, values = "pk = :pk", {":pk": partition(source_key)}
    if file is not None:
        condition, values = f"{condition} AND begins_with(sk, :file)", values | {":file": f"{file.place_id}#"}
    yield from map(entry_in, items.query(settings().watermarks_table, condition, values))


def entry_in(item: items.Item) -> FileEntry:
    """The entry that an item is. Raises UnreadableRecord."""
    try:
        return FileEntry.model_validate(item)
    except ValueError as error:
        raise UnreadableRecord(
            f"{item['sk']} of {item['pk']} cannot be read: {error}",
            "It was changed by hand, or written by a newer version: deploy that version again.",
        ) from error


def taken_files(state: TableState, files: Collection[FileVersion] | None = None) -> Iterator[FileEntry]:
    """The newest version that the table has taken of each file, or of these, one after the other. Memory is that of one file's
    entries, however long the ledger is; few files are asked for one by one, more are found page by page.

    To be asked while no batch is under way; raises Wait where one is, and UnreadableRecord where it is not known what became of
    a batch.
    """
    if state.active is not None:
        raise Wait(f"{state.source_key}: batch {state.active} is under way", RETRY_SECONDS)
    unsettled: list[FileEntry] = []
    for entry in newest_taken(state, files, unsettled):
        yield entry
        if len(unsettled) >= SETTLED_AT_ONCE:
            write_entries(state.source_key, unsettled)
            unsettled.clear()
    write_entries(state.source_key, unsettled)


def newest_taken(
    state: TableState, files: Collection[FileVersion] | None, unsettled: list[FileEntry]
) -> Iterator[FileEntry]:
    """The same, at any time. Entries that are seen to count for the first time are added to `unsettled`, as they are settled."""
    ended: dict[int, bool] = {}
    places = None if files is None else {one.place: one for one in files}
    if places is not None and len(places) <= ASKED_ALONE:
        groups = (entries(state.source_key, one) for one in places.values())
    else:
        groups = (group for _, group in groupby(entries(state.source_key), key=lambda one: one.file.place))
    for group in groups:
        newest = _newest(state, group, ended, unsettled)
        if newest is not None and (places is None or newest.file.place in places):
            yield newest


def taken_version(state: TableState, file: FileVersion) -> FileEntry | None:
    """The newest version that the table has taken of a file, of whatever version; None where it has none. Raises what
    `taken_files` raises, but Wait."""
    return _newest(state, entries(state.source_key, file), {}, [])


def is_counted(state: TableState, entry: FileEntry) -> bool:
    """Whether the ledger has the entry's file from the entry's own batch, and that counts."""
    own = (one for one in entries(state.source_key, entry.file) if (one.order, one.claim) == (entry.order, entry.claim))
    return _newest(state, own, {}, []) is not None


def _newest(
    state: TableState, found: Iterable[FileEntry], ended: dict[int, bool], unsettled: list[FileEntry]
) -> FileEntry | None:
    """Of one file's entries the newest that counts; `ended` tells of batches that were looked at whether they count."""
    newest: FileEntry | None = None
    for entry in found:
        if (entry.epoch, entry.generation) != (state.epoch, state.generation):
            continue
        if not entry.settled:
            if entry.order not in ended:
                ended[entry.order] = _is_done(state.source_key, entry)
            if not ended[entry.order]:
                continue
            unsettled.append(entry.model_copy(update={"settled": True}))
        if newest is None or newest.order < entry.order:
            newest = entry
    return newest


def applied_versions(state: TableState, unsettled: Sequence[FileEntry] = ()) -> list[tuple[FileVersion, int]]:
    """Every version that the table has taken, with the sequence number of its batch. To be asked after `taken_files`, which
    settles what counts, or after `taken_versions` with what that has found."""
    mine = (state.epoch, state.generation)
    found = [*entries(state.source_key), *unsettled]
    return [(e.file, e.seq) for e in found if e.settled and not e.skipped and (e.epoch, e.generation) == mine]


def taken_versions(
    state: TableState, listed: Collection[FileVersion] | None = None, unsettled: list[FileEntry] | None = None
) -> dict[tuple[str, str], FileVersion]:
    """The newest version that the table has taken of each file, by bucket and key; of `listed` files only those of their names,
    and one of each of their contents. Raises what `taken_files` raises. With a list for what is seen to count for the first
    time nothing is written."""
    taken = taken_files(state) if unsettled is None else newest_taken(state, None, unsettled)
    if listed is None:
        return {entry.file.place: entry.file for entry in taken}
    places, contents = {one.place for one in listed}, {(one.etag, one.size) for one in listed}
    found: dict[tuple[str, str], FileVersion] = {}
    for entry in taken:
        file = entry.file
        if (file.etag, file.size) in contents or file.place in places:
            found[file.place] = file
        if file.place not in places:
            contents.discard((file.etag, file.size))
    return found


def needed_batches(state: TableState) -> set[int]:
    """The orders of the batches whose records tell what became of a file: entries of them are not settled yet."""
    epoch = (state.epoch, state.generation)
    return {one.order for one in entries(state.source_key) if not one.settled and (one.epoch, one.generation) == epoch}


def _is_done(source_key: str, entry: FileEntry) -> bool:
    found = stored_batch(source_key, entry.generation, entry.seq)
    if found is None:
        raise UnreadableRecord(
            f"{entry.file.address} was in batch {entry.seq} of {source_key}, whose record is gone",
            "Restore the watermark table from its backup; or load all files again: flowforge watermark reset "
            f"{bronze_table_of(source_key)}",
        )
    return found.get("claim") == entry.claim and found["state"] in DONE


def _item(source_key: str, entry: FileEntry) -> items.Item:
    sort = f"{entry.file.place_id}#{entry.order:020d}#{entry.claim}"
    listed = {"listed": entry.listed}
    return {"pk": partition(source_key), "sk": sort, **listed, **entry.model_dump(exclude_none=True)}


def partition(source_key: str) -> str:
    """The partition of a table's entries."""
    return f"FILES#{source_key}"
