"""What a load of files leaves in the ledger and in the list of refusals."""

from collections.abc import Iterable
from typing import Any

from pydantic import ValidationError

from events.commands import IngestTable
from events.targets import SourceFiles
from flowforge.domain.batch import Batch
from flowforge.domain.errors import Fatal, FileRefused, Wait
from flowforge.domain.file_version import FileVersion
from flowforge.domain.interval import Interval
from flowforge.sources.plans import Wanted
from flowforge.sources.reports import ReadReport
from flowforge.state import batches, file_jobs
from flowforge.state.batch_records import RETRY_SECONDS, batch_of, stored_history
from flowforge.state.file_ledger import DONE, entry_of, skipped_entry, write_entries
from flowforge.state.file_refusals import Refusal, Reject, note_refusal
from flowforge.state.table import TableState


def note_files(batch: Batch, read: ReadReport) -> None:
    """Writes the entries of a batch that is read and not yet landed; each worker writes the same ones."""
    if not batch.interval.files:
        return
    found = [entry_of(batch, one.file, one.rows, one.rejected, one.first_rejected) for one in read.files]
    skipped = [entry_of(batch, file, 0).model_copy(update={"skipped": True}) for file in batch.interval.skipped]
    write_entries(batch.source_key, [*found, *skipped])


def note_skipped(state: TableState, run_id: str, files: Iterable[FileVersion]) -> None:
    """Writes the entries of files that no batch will read, where there is no batch."""
    write_entries(state.source_key, [skipped_entry(state, run_id, file) for file in files])


def told_of_last(last: Batch, command: IngestTable) -> list[str]:
    """For a run that finds no file: which run had those of the newest batch, where that was another one, and what stays as it is
    where the job reads files otherwise now."""
    if last.state not in DONE or not last.interval.files:
        return []
    told: list[str] = []
    if last.command.run_id != command.run_id:
        count = len(last.interval.files)
        files = f"last {count:,} files of this job were" if count > 1 else "last file of this job was"
        told.append(f"the {files} loaded by {last.command.run_id}")
    now, then = command.source, last.command.source
    if isinstance(now, SourceFiles) and isinstance(then, SourceFiles) and now.contract_id != then.contract_id:
        told.append(
            "the job reads files otherwise now; those that are loaded, and their rejected records, stay as they are: put one"
            f" under another name, or load all once more by flowforge watermark reset {command.bronze.table} --yes"
        )
    return told


def refuse_unrefined(state: TableState, interval: Interval, wanted: Wanted) -> None:
    """Raises Wait while silver lacks an earlier batch without which it could not tell what the next one is to leave.

    That are those whose rows are to stay; where rows of a key are taken out, all but those of the file itself, which may be the
    very ones that it mends. A history that ends versions so waits for all, and so do
    changes: a deletion leaves no trace either.
    """
    in_order = wanted.follows_changes or (wanted.keeps_history and interval.replaces)
    takes_out = interval.replaces and not wanted.adds_only
    if not (interval.below or in_order or takes_out):
        return
    own = {file.place for file in interval.files}
    for item in stored_history(state.source_key, None):
        if item.get("refined") and in_order:
            return  # which came after all those before it, too
        if item["state"] != "committed" or item.get("refined"):
            continue
        of_now = item["generation"] == state.generation
        stays = of_now and any(first <= item["seq"] <= last for first, last in interval.below)
        if stays or in_order or (takes_out and {file.place for file in batch_of(item).interval.files} != own):
            raise Wait(f"{state.source_key}: batch {item['seq']} is not in silver yet", RETRY_SECONDS)


def give_up(batch: Batch, error: Fatal) -> None:
    """Gives a batch up for good; where a file has stopped it, keeps which one, and why."""
    if isinstance(error, FileRefused):
        note_refused(batch.source_key, batch.command, error)
    batches.abandon(batch)


def note_refused(source_key: str, command: IngestTable, error: FileRefused) -> None:
    """Keeps which file has stopped a load, and why."""
    read = command.source
    refusal = Refusal(
        run_id=command.run_id,
        file=error.file,
        reason=str(error),
        contract=read.contract_id if isinstance(read, SourceFiles) else "",
        records=error.records,
        rejected=error.rejected,
        rejects=[Reject(**one) for one in error.rejects],
    )
    note_refusal(source_key, refusal)


def give_up_load(body: dict[str, Any]) -> None:
    """Lets the next run of a job of files begin when the message of its load is given up; of other messages there is none."""
    try:
        command = IngestTable.model_validate(body)
    except ValidationError:
        return
    look_again(command)


def look_again(command: IngestTable) -> None:
    """Has the next sweep look for a job's other files: a run of it has failed, and so has had its turn."""
    read = command.source
    job = file_jobs.find(read.workflow, read.job) if isinstance(read, SourceFiles) else None
    if job is not None:
        file_jobs.ended(job)
        file_jobs.make_due(job)
