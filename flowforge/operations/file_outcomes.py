"""What became of one file, as a report: by its entry in the ledger and the record of its batch, or by its refusal."""

from datetime import UTC, datetime
from typing import Any

from flowforge.bronze.keys import rejected_place
from flowforge.state.batch_records import stored_batch, stored_batches_of
from flowforge.state.file_ledger import DONE, FileEntry
from flowforge.state.file_refusals import Refusal
from flowforge.state.table import TableState

Report = dict[str, Any]


def iso(moment: float) -> str:
    """A time in seconds as text, UTC."""
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds")


class Batches:
    """The records of a table's batches, each asked for once."""

    def __init__(self, state: TableState):
        self._key = state.source_key
        self._known: dict[int, dict[str, Any]] = {}

    def read(self, asked: list[FileEntry]) -> None:
        """Asks for the records of many entries together."""
        places = {one.order: (one.generation, one.seq) for one in asked if one.order not in self._known}
        found = stored_batches_of(self._key, list(places.values()))
        self._known |= {order: item or {} for order, item in zip(places, found, strict=True)}

    def of(self, entry: FileEntry) -> dict[str, Any]:
        """The record of the entry's batch, {} where it is gone or another's."""
        if entry.order not in self._known:
            self._known[entry.order] = stored_batch(self._key, entry.generation, entry.seq) or {}
        found = self._known[entry.order]
        return found if found.get("claim") == entry.claim else {}

    def at(self, entry: FileEntry) -> str:
        """When the file was taken, which no later release or replay of its batch moves; '' where that is not known. Of an entry
        of a version before it is when its batch was last noted."""
        moment = entry.at or self.of(entry).get("updated_at")
        return iso(moment) if moment else ""


def report_of_entry(state: TableState, entry: FileEntry, batches: Batches) -> Report:
    """What became of a file that was taken into a batch."""
    about = {"rows": entry.rows, "rejected": entry.rejected, "records": entry.rows + entry.rejected}
    told = {"first_rejected": entry.first_rejected or None, "generation": entry.generation, "seq": entry.seq}
    kept = {"rejects_at": _rejects_at(state, entry, batches), "protects": bool(state.scope and state.scope.protected)}
    return (
        _head(state, entry)
        | about
        | told
        | {"at": batches.at(entry) or None, "state": _state(state, entry, batches)}
        | kept
    )


def _rejects_at(state: TableState, entry: FileEntry, batches: Batches) -> str | None:
    label = entry.label or (batches.of(entry).get("label") if entry.rejected else None)
    return rejected_place(state.bronze_table, label) if label else None


def _state(state: TableState, entry: FileEntry, batches: Batches) -> str:
    if (entry.epoch, entry.generation) != (state.epoch, state.generation):
        return "forgotten"  # by a reset: the file is loaded anew
    if entry.skipped:
        return "skipped"
    if entry.settled:
        return "loaded"
    found = batches.of(entry).get("state")
    if found is None:
        return "given up"
    return {"claimed": "loading", "landed": "landed", "voided": "given up"}.get(
        found, "loaded" if found in DONE else found
    )


def report_of_refusal(state: TableState, refusal: Refusal, mended: bool) -> Report:
    """What was wrong with a file that no batch took; `mended`: it was loaded since."""
    rejects = [one.model_dump() for one in refusal.rejects]
    about = {"rows": 0, "rejected": refusal.rejected, "records": refusal.records, "reason": refusal.reason}
    first = _words(rejects[0]) if rejects else refusal.reason
    told = {
        "first_rejected": first,
        "rejects": rejects,
        "at": refusal.at and iso(datetime.fromisoformat(refusal.at).timestamp()),
        "generation": None,
        "seq": None,
    }
    return _head(state, refusal) | about | told | {"state": "mended" if mended else "refused"}


def _head(state: TableState, one: FileEntry | Refusal) -> Report:
    version = one.file.model_dump(include={"etag", "version_id", "size", "modified"})
    return {"file": one.file.address, "table": state.bronze_table, "run_id": one.run_id, **version}


def _words(reject: dict[str, Any]) -> str:
    where = f"record {reject['row_number']:,}" if reject["line"] is None else f"line {reject['line']:,}"
    column = f", column {reject['column']}" if reject["column"] else ""
    return f"{where}{column}: {reject['reason']}"
