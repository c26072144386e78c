"""A large file in slices: parts of its bytes, each read by a message of its own.

Guarantees: all slices read one version of the file. What a slice reads is counted twice: as its bytes are read, and by the pass
that planned it (of Parquet by the footer); so rows and rejects of all slices are together the file's records. Only a plan is made
here: where none can be made, the file is read at once, and what is wrong with it is told by that read.
"""

from events.targets import SourceFiles
from flowforge.domain.errors import FileChanged, FileRefused, UnsupportedSource
from flowforge.domain.interval import Interval
from flowforge.domain.slice_plan import ByteRange, FileSlices, KeyRange, SlicePlan
from flowforge.sources.files.expected_slices import bytes_of_a_slice, why_at_once
from flowforge.sources.files.opening import stored
from flowforge.sources.files.records import content_of, splits_of
from flowforge.sources.files.session import COUNTING, Detail
from flowforge.sources.files.settled_columns import settled
from flowforge.sources.plans import Description, ReadPlan, Wanted


def slices_of(interval: Interval, description: Description) -> SlicePlan | None:
    """The slices of an interval that is one large file; None where it is to be read at once. Raises StoreUnavailable."""
    read: SourceFiles = description.wanted.read
    if why_at_once(read.contract):
        return None
    file = interval.files[0]
    try:
        plan = settled(interval, description)
        contract = read.contract.model_copy(update={"columns": list(plan.detail.columns)})
        parts = splits_of(content_of(stored(file), contract), contract, bytes_of_a_slice(file.size))
    except (UnsupportedSource, FileRefused, FileChanged):
        return None
    return _plan(plan, parts) if len(parts) > 1 else None


def resumed(interval: Interval, splits: SlicePlan, slices: FileSlices) -> ReadPlan:
    """The plan of a claimed interval, from what its batch keeps."""
    wanted = Wanted(slices.read, bronze_table=slices.bronze_table, audited=slices.audited)
    detail = Detail(Description(wanted, splits.name, splits.columns), tuple(slices.columns))
    return ReadPlan(interval, splits.columns, splits, counting=splits.counting, detail=detail)


def split_of(plan: ReadPlan, index: int) -> ByteRange:
    """The part of the file that a slice reads. Raises UnsupportedSource."""
    part = plan.splits.ranges[index].part if plan.splits else None
    if part is None:
        raise UnsupportedSource("the plan has no such part of a file", "submit the request again")
    return part


def _plan(plan: ReadPlan, parts: list[ByteRange]) -> SlicePlan:
    wanted: Wanted = plan.detail.description.wanted
    return SlicePlan(
        schema_name="",
        name=wanted.read.title,
        columns=plan.columns,
        key=[],
        primary_key=[],
        ranges=[KeyRange(part=part) for part in parts],
        counting=COUNTING,
        file=FileSlices(
            read=wanted.read,
            columns=list(plan.detail.columns),
            bronze_table=wanted.bronze_table,
            audited=wanted.audited,
        ),
    )
