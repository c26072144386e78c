"""The plan of an interval of files, settled: its columns are the contract's, or those that its files have.

Guarantees: inferred types are by every value of the first file with a record; a file that cannot be read, or whose
columns cannot land, is refused by name, so that it stops no other.
"""

from collections.abc import Sequence

from events.files import FileColumn, FileContract
from flowforge.domain.file_version import FileVersion
from flowforge.domain.interval import Interval
from flowforge.runtime.time_limit import deadline
from flowforge.sources.files.column_names import with_names
from flowforge.sources.files.opening import hiding, opened_file, portions_of, refuse_late, refusing, stored
from flowforge.sources.files.proposed_types import Inferred, infer_types
from flowforge.sources.files.records import GROWING, content_of
from flowforge.sources.files.session import COUNTING, Detail, checked_columns
from flowforge.sources.plans import Description, ReadPlan


def settled(interval: Interval, description: Description) -> ReadPlan:
    """The plan of an interval, with its columns: the contract's, or those that its files have. Raises FileRefused."""
    with hiding(bool(description.wanted.read.protect)):
        return _settled(interval, description)


def _settled(interval: Interval, description: Description) -> ReadPlan:
    wanted = description.wanted
    contract: FileContract = wanted.read.contract
    columns, inferred = list(contract.columns), Inferred()
    if not columns and interval.files:
        first, columns, inferred = _first_columns(interval.files, contract)
        with refusing(first):
            checked_columns(columns, wanted, first.address)
    if contract.unknown_columns == "add":
        known = {column.field for column in columns}
        for file in interval.files:
            further = [one for one in _columns_of(file, contract) if one.field not in known]
            with refusing(file):
                columns += with_names(further, contract.column_names, file.address, columns)
                checked_columns(columns, wanted, file.address)
            known.update(one.field for one in further)
    found = checked_columns(columns, wanted, wanted.read.title)
    detail = Detail(description, tuple(columns), inferred.columns, inferred.notes)
    return ReadPlan(interval, found, identity=description.identity, counting=COUNTING, detail=detail)


def _columns_of(file: FileVersion, contract: FileContract) -> list[FileColumn]:
    """The columns that a file has by itself: those of a format with types, else texts."""
    with opened_file(file, contract.model_copy(update={"columns": []})) as records:
        if contract.format in GROWING:
            for _ in portions_of(file, records):
                pass
        return list(records.columns)


def _first_columns(
    files: Sequence[FileVersion], contract: FileContract
) -> tuple[FileVersion, list[FileColumn], Inferred]:
    """The columns by the first of the files, or by the first with a record where their types are inferred, and which it is."""
    first, inferred = _inferred(files, contract) if contract.types == "inferred" else (files[0], Inferred())
    found = inferred.columns or _columns_of(first, contract)
    with refusing(first):
        return first, with_names(found, contract.column_names, first.address), inferred


def _inferred(files: Sequence[FileVersion], contract: FileContract) -> tuple[FileVersion, Inferred]:
    """The types that the first of the files with a record has, by all of its values, and which it is; of files without a record
    the first. Raises FileRefused."""
    for file in files:
        with refusing(file):
            content = content_of(stored(file), contract)
            found = infer_types(content, contract, lambda records: refuse_late(deadline()))
        if found.columns:
            return file, found
    return files[0], Inferred()
