"""Records that do not land: refused with their file, or kept beside it within a budget.

Guarantees: each is in the file of rejects with its place and its text; memory is that of one portion's, however many there are.
"""

import tempfile
from collections.abc import Sequence
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from events.files import FileContract
from flowforge.domain.errors import FileRefused
from flowforge.domain.file_version import FileVersion
from flowforge.sources.files.rejected import Rejected

FIRST = 10  # that are told where a file is refused
MEMORY_BYTES = 2**23
INFERRED = (
    " The types are those of the job's first file: to have others, give columns in the request in place of types."
)
SCHEMA = pa.schema(
    [
        ("file", pa.string()),
        ("version", pa.string()),
        ("row_number", pa.int64()),
        ("line", pa.int64()),
        ("byte_offset", pa.int64()),
        ("column", pa.string()),
        ("reason", pa.string()),
        ("raw", pa.string()),
    ]
)


class Rejects:
    """Those of all files of a read. `count` and `first` are of the file that is read now. `of_part`: it is a part of one file;
    whether the file's share of them is too large shows once all parts are read. `without_text`: places and reasons alone are
    kept, where a record's text may hold what the job protects."""

    def __init__(self, contract: FileContract, table: str, of_part: bool = False, without_text: bool = False):
        self._contract, self._table, self._of_part, self._without_text = contract, table, of_part, without_text
        self._kept: IO[bytes] | None = None
        self._writer: Any = None
        self.count, self.first = 0, list[Rejected]()

    def begin(self) -> None:
        """The next file's rejects follow."""
        self.count, self.first = 0, []

    def take(self, file: FileVersion, found: Sequence[Rejected]) -> None:
        """Keeps rejects of a file. Raises FileRefused once there are more than its contract allows."""
        if not found:
            return
        self.count += len(found)
        self.first += found[: FIRST - len(self.first)]
        if self._contract.bad_rows == "strict":
            if self.count >= FIRST:
                raise self._refused(file, f"at least {self.count:,} of its records do not fit", None)
            return
        if self.count > self._contract.most_bad_rows:
            problem = f"more than {self._contract.most_bad_rows:,} of its records do not fit"
            raise self._refused(file, problem, None)
        self._write(file, found)

    def end(self, file: FileVersion, records: int) -> None:
        """The file has so many records. Raises FileRefused where too many of them do not fit."""
        if not self.count or (self._of_part and self._contract.bad_rows != "strict"):
            return
        if self._of_part:
            raise self._refused(file, f"at least {self.count:,} of its records do not fit", None)
        told = f"{self.count:,} of its {records:,} records do not fit"
        if self._contract.bad_rows == "strict":
            raise self._refused(file, told, records)
        if self.count > self._contract.most_bad_share * records:
            raise self._refused(file, f"{told}, and a share of {self._contract.most_bad_share:g} may", records)

    def told(self) -> str:
        """The first reject of the file in words; empty where it has none."""
        return in_words(self.first[0]) if self.first else ""

    def finish(self) -> IO[bytes] | None:
        """All rejects as a Parquet file, at its start; None where there is none. `close` closes it."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        if self._kept is not None:
            self._kept.seek(0)
        return self._kept

    def close(self) -> None:
        """Lets go of what is kept. May be called again."""
        if (kept := self.finish()) is not None:
            kept.close()
            self._kept = None

    def _write(self, file: FileVersion, found: Sequence[Rejected]) -> None:
        if self._writer is None:
            self._kept = tempfile.SpooledTemporaryFile(MEMORY_BYTES)  # noqa: SIM115  `close` closes it
            self._writer = pq.ParquetWriter(pa.PythonFile(self._kept, mode="w"), SCHEMA, compression="zstd")
        rows = [
            {
                "file": file.key,
                "version": file.version_id or file.etag,
                "row_number": one.row_number,
                "line": one.line,
                "byte_offset": one.byte_offset,
                "column": one.column or None,
                "reason": one.reason,
                "raw": None if self._without_text else one.raw,
            }
            for one in found
        ]
        self._writer.write_batch(pa.RecordBatch.from_pylist(rows, SCHEMA))

    def _refused(self, file: FileVersion, problem: str, records: int | None) -> FileRefused:
        shown = [
            {"row_number": one.row_number, "line": one.line, "column": one.column, "reason": one.reason}
            for one in self.first
        ]
        return FileRefused(
            f"{file.address}: {problem}: {'; '.join(map(in_words, self.first))}",
            f"Mend {file.key} and deliver it again"
            + (
                ", or have the job keep bad rows in quarantine"
                if self._contract.bad_rows == "strict"
                else ", or allow the job more bad rows"
            )
            + f"; then submit the request of {self._table} again. Nothing of the file has landed."
            + (INFERRED if self._contract.types == "inferred" else ""),
            file,
            shown,
            records,
            self.count if records is not None else None,
        )


def in_words(one: Rejected) -> str:
    """Where a reject is and why, without its text."""
    where = f"line {one.line:,}" if one.line is not None else f"record {one.row_number:,}"
    return f"{where}, column {one.column}: {one.reason}" if one.column else f"{where}: {one.reason}"
