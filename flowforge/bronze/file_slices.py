"""What the slices of a file are together: one file, with all of its records, and one budget for those that do not fit."""

from collections.abc import Mapping
from typing import Any

from events.targets import SourceFiles
from flowforge.domain.batch import Batch
from flowforge.domain.errors import FileRefused, TruncatedRead
from flowforge.domain.given import given
from flowforge.domain.slice_plan import SlicePlan
from flowforge.sources.reports import FileRead, ReadReport


def whole_file(batch: Batch, done: Mapping[int, Mapping[str, Any]]) -> ReadReport:
    """What became of the file whose slices are all `done` (see `slice_set`); nothing where it is no file.

    Raises FileRefused where more of its records do not fit than its contract allows, TruncatedRead where rows and rejects are
    not together the records that the plan has counted.
    """
    if not batch.interval.files:
        return ReadReport()
    parts: list[tuple[int, int, str]] = [done[n]["file"] for n in sorted(done)]
    rows, rejected = sum(part[0] for part in parts), sum(part[1] for part in parts)
    first = next((part[2] for part in parts if part[2]), "")
    found = FileRead(batch.interval.files[0], rows, rejected, first)
    _check_count(found, given(batch.slices))
    _check_budget(found, batch)
    return ReadReport(files=[found])


def _check_count(found: FileRead, plan: SlicePlan) -> None:
    records = sum(given(one.part).records for one in plan.ranges)
    if found.rows + found.rejected != records:
        raise TruncatedRead(
            f"{found.file.address}: {found.rows:,} records were read in slices and {found.rejected:,} rejected, and it has "
            f"{records:,}",
            "Nothing of it has landed. If it happens again with the same file, report it.",
        )


def _check_budget(found: FileRead, batch: Batch) -> None:
    read = batch.command.source
    if not found.rejected or not isinstance(read, SourceFiles):
        return
    contract, records = read.contract, found.rows + found.rejected
    allowed = f"{contract.most_bad_rows:,} and a share of {contract.most_bad_share:g} may, but not all"
    too_many = found.rejected > contract.most_bad_rows or found.rejected > contract.most_bad_share * records
    if too_many or not found.rows:  # a snapshot without a row would take all rows out of silver
        raise FileRefused(
            f"{found.file.address}: {found.rejected:,} of its {records:,} records do not fit, and {allowed}: "
            f"{found.first_rejected}",
            f"Mend {found.file.key} and deliver it again, or allow the job more bad rows; then submit the request of "
            f"{batch.command.bronze.table} again. Nothing of the file has landed.",
            found.file,
            records=records,
            rejected=found.rejected,
        )
