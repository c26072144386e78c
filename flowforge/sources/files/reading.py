"""Reads claimed versions of files, one after the other, as typed batches with the audit columns of each row.

Guarantees: of each file, rows and rejects are together the records that a pass without the parser counts; a file that is not so,
or that does not fit its contract, stops the read, and what was read before of the batch does not land either.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Self

import pyarrow as pa

from events.files import FileContract
from flowforge.domain.errors import SourceUnavailable, TruncatedRead
from flowforge.domain.file_version import FileVersion
from flowforge.domain.own_columns import CHANGE_TYPE
from flowforge.domain.slice_plan import ByteRange
from flowforge.sources.files.casting import ROW_NUMBER, Casting, cast_portion, casting_for
from flowforge.sources.files.opening import hiding, opened_file, portions_of, refuse_late, refusing
from flowforge.sources.files.records import GROWING, Records
from flowforge.sources.files.rejected import Portion
from flowforge.sources.files.rejects import Rejects
from flowforge.sources.files.session import VIEW
from flowforge.sources.plans import ReadPlan
from flowforge.sources.protection import dropped_columns
from flowforge.sources.repeated import ONE_TEXT, repeated, stored
from flowforge.sources.reports import CountAtSource, FileRead, ReadReport, Recount

MOST_NOTES = 50
AUDIT = (
    pa.field("_source_file", ONE_TEXT),
    pa.field("_file_modified_time", pa.timestamp("us", tz="UTC")),
    pa.field("_file_version", ONE_TEXT),
    pa.field(ROW_NUMBER, pa.int64()),
)


def count_again(plan: ReadPlan, deadline: float | None) -> Recount:
    """The records of a plan's files, by passes that use no parser."""
    contract, rows = _contract_of(plan), 0
    for file in plan.interval.files:
        refuse_late(deadline)
        with opened_file(file, contract) as records:
            rows += records.counted()
    return Recount(rows, 0, _now())


class FilesReader:
    """See `base.BatchReader`."""

    def __init__(self, plan: ReadPlan, deadline: float | None = None, part: ByteRange | None = None):
        self._plan, self._deadline, self._contract = plan, deadline, _contract_of(plan)
        self._part = part
        wanted = plan.detail.description.wanted
        self._audited = wanted.audited
        self._hides = bool(wanted.read.protect)
        self._rejects = Rejects(self._contract, wanted.bronze_table, of_part=part is not None, without_text=self._hides)
        self._done: list[FileRead] = []
        self._notes: list[str] = list(plan.detail.notes)
        self._counted, self._closed = 0, False
        columns = self._contract.columns
        everything = [column.field for column in columns]
        typed = casting_for(everything, columns, self._contract.unknown_columns, wanted.read.title).schema
        dropped = dropped_columns(wanted.read)
        apart = (ROW_NUMBER, CHANGE_TYPE)
        own = [field for field in typed if field.name not in apart and field.name.lower() not in dropped]
        change = [typed.field(CHANGE_TYPE)] if self._contract.tells_changes else []
        self.schema = pa.schema([*own, *(AUDIT if self._audited else ()), *change])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        try:
            for file in self._plan.interval.files:
                self._check()
                with hiding(self._hides):
                    yield from self._file(file)
        except BaseException:
            self._rejects.close()
            raise

    def report(self) -> ReadReport:
        """What became of each file, and the records that were rejected."""
        more = len(self._notes) - MOST_NOTES
        notes = self._notes if more <= 0 else [*self._notes[:MOST_NOTES], f"and {more:,} more like these"]
        rows = sum(one.rows for one in self._done)
        types = self._plan.detail.types
        return ReadReport(VIEW, CountAtSource(rows, _now()), notes, self._done, self._rejects.finish(), types)

    def close(self) -> None:
        """The read ends at its next portion; what is rejected stays until the reader is gone."""
        self._closed = True

    def _check(self) -> None:
        if self._closed:
            raise SourceUnavailable("the read of files was ended", "The message is delivered again.")
        refuse_late(self._deadline)

    def _file(self, file: FileVersion) -> Iterator[pa.RecordBatch]:
        audit, rows = self._audit_of(file), 0
        self._rejects.begin()
        with opened_file(file, self._contract, self._part) as records:
            casting = self._casting(records, file)
            for portion in portions_of(file, records):
                self._check()
                batch = self._batch(file, portion, casting, audit)
                rows += batch.num_rows
                yield batch
                del portion, batch  # before the next one is read: a record may be long
            self._check()
            with refusing(file):
                count = records.counted()
            self._rejects.end(file, count)
            if rows + self._rejects.count != count or (self._part and self._part.records != count):
                raise TruncatedRead(
                    f"{file.address}: {rows:,} records were read and {self._rejects.count:,} rejected, and it has {count:,}",
                    "Nothing of it has landed. If it happens again with the same file, report it.",
                )
            self._end(file, rows, records)

    def _end(self, file: FileVersion, rows: int, records: Records) -> None:
        count, first = self._rejects.count, self._rejects.told()
        self._done.append(FileRead(file, rows, count, first))
        self._notes += [f"{file.address}: {note}" for note in records.notes]
        if count:
            self._notes.append(
                f"{file.address}: {count:,} of {rows + count:,} records were rejected; the first: {first}"
            )

    def _casting(self, records: Records, file: FileVersion) -> Casting:
        columns, fields = self._contract.columns, list(records.fields)
        if self._contract.format in GROWING:
            fields += [column.field for column in columns if column.field not in set(fields)]
        with refusing(file):
            return casting_for(fields, columns, self._contract.unknown_columns, file.address)

    def _batch(
        self, file: FileVersion, portion: Portion, casting: Casting, audit: Sequence[pa.Scalar]
    ) -> pa.RecordBatch:
        with refusing(file):
            rows, rejected = cast_portion(portion, casting)
        self._rejects.take(file, rejected)
        arrays = dict(zip(rows.schema.names, rows.columns, strict=True))
        if self._audited:
            told = zip((field.name for field in AUDIT), audit, strict=False)
            arrays |= {name: repeated(value, rows.num_rows) for name, value in told}
        return pa.RecordBatch.from_arrays([arrays[name] for name in self.schema.names], schema=self.schema)

    def _audit_of(self, file: FileVersion) -> list[pa.Scalar]:
        modified = datetime.fromisoformat(file.modified) if file.modified else None
        values = [file.key, modified, file.version_id or file.etag]
        return [pa.scalar(value, kind) for value, kind in zip(values, stored(pa.schema(AUDIT[:3])).types, strict=True)]


def _contract_of(plan: ReadPlan) -> FileContract:
    """The contract with the plan's columns, so that each of its files is read by the same."""
    contract: FileContract = plan.detail.description.wanted.read.contract
    columns = plan.detail.columns
    return contract if columns is None else contract.model_copy(update={"columns": list(columns)})


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
