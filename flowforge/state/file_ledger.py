"""Which versions of which files a table has taken: one entry for each file of a batch.

Entries are written for a claimed batch before it is landed, by each worker that holds the claim, the same ones each time. Their
key holds the batch's claim, which cannot come again: a worker that has lost its batch writes over no entry of a later one.

Guarantees: an entry counts once its batch is committed, or has ended without a row; that of a batch which was voided never does.
A reset begins a new generation, for which no earlier entry counts, so that all files are loaded again.
"""

import hashlib
from collections.abc import Iterable, Iterator

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


class FileEntry(BaseModel):
    """What became of a file: `rows` landed and `rejected` records, and the first of these as text. `settled`: its batch was seen
    to be done, so the batch's record is not needed any more."""

    generation: int
    seq: int
    claim: str
    epoch: str
    run_id: str
    file: FileVersion
    rows: int = 0
    rejected: int = 0
    first_rejected: str = ""
    settled: bool = False

    @property
    def order(self) -> int:
        """Position of its batch among the batches of its source."""
        return order_of(self.generation, self.seq)


def entry_of(batch: Batch, file: FileVersion, rows: int, rejected: int = 0, first_rejected: str = "") -> FileEntry:
    """The entry of one file of a batch."""
    return FileEntry(
        generation=batch.generation,
        seq=batch.seq,
        claim=batch.claim,
        epoch=batch.epoch,
        run_id=batch.command.run_id,
        file=file,
        rows=rows,
        rejected=rejected,
        first_rejected=first_rejected,
    )


def write_entries(source_key: str, entries: Iterable[FileEntry]) -> None:
    """Writes entries; those that are there already are written over. Raises StoreUnavailable, some may then be there."""
    items.put_many(settings().watermarks_table, [_item(source_key, entry) for entry in entries])


def entries(source_key: str) -> Iterator[FileEntry]:
    """All entries of a source, of whatever batch, those of one file together and in their order. Raises UnreadableRecord."""
    for item in items.query(settings().watermarks_table, "pk = :pk", {":pk": _partition(source_key)}):
        try:
            yield FileEntry.model_validate(item)
        except ValueError as error:
            raise UnreadableRecord(
                f"{item['sk']} of {item['pk']} cannot be read: {error}",
                "It was changed by hand, or written by a newer version: deploy that version again.",
            ) from error


def taken_files(state: TableState) -> dict[tuple[str, str], FileEntry]:
    """The newest version of each file that the table has taken, by bucket and key.

    To be asked while no batch is under way; raises Wait where one is, and UnreadableRecord where it is not known what became of
    a batch.
    """
    if state.active is not None:
        raise Wait(f"{state.source_key}: batch {state.active} is under way", RETRY_SECONDS)
    newest: dict[tuple[str, str], FileEntry] = {}
    ended: dict[int, bool] = {}
    unsettled: list[FileEntry] = []
    for entry in entries(state.source_key):
        if (entry.epoch, entry.generation) != (state.epoch, state.generation):
            continue
        if not entry.settled:
            if entry.order not in ended:
                ended[entry.order] = _is_done(state.source_key, entry)
            if not ended[entry.order]:
                continue
            unsettled.append(entry.model_copy(update={"settled": True}))
        before = newest.get(entry.file.place)
        if before is None or before.order < entry.order:
            newest[entry.file.place] = entry
    write_entries(state.source_key, unsettled)
    return newest


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
    bucket, key = entry.file.place
    file = hashlib.sha256(f"{bucket}/{key}".encode()).hexdigest()[:32]
    sort = f"{file}#{entry.order:020d}#{entry.claim}"
    return {"pk": _partition(source_key), "sk": sort, **entry.model_dump(exclude_none=True)}


def _partition(source_key: str) -> str:
    return f"FILES#{source_key}"
