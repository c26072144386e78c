"""One file into one Parquet file, as a process of its own: `python -m benchmarks.file_readers READER FORMAT FILE TARGET`.

All columns are text, the dialect is given, and Parquet is compressed by snappy. FlowForge's is its read path as bronze has it
(records, cast, count, encoder with audit columns and footer, in two threads), on a local file in place of S3.
"""

import sys
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, cast

COLUMNS = ("id", "account", "name", "city", "amount", "currency", "booked", "status", "note", "flag")


def flowforge(format: str, file: Path, target: Path) -> None:
    """Records, cast, encoder."""
    from infra.local import packaged  # noqa: F401  first: a function's package has no numpy

    # isort: split
    from flowforge.bronze.read_ahead import ReadAhead

    with ReadAhead(lambda: cast(Any, _Reader(format, file))) as rows, target.open("wb") as sink:
        # While the first pieces are read.
        from flowforge.bronze.parquet import Encoder
        from flowforge.domain.source_columns import SourceColumn

        columns = [SourceColumn(name=name, type="text", nullable=True) for name in COLUMNS]
        encoder: Encoder | None = None
        for batch in rows:
            encoder = encoder or Encoder(sink, batch.schema, _batch(format, file), columns, file.name)
            encoder.write(batch)
        if encoder:
            encoder.close()


class _Reader:
    """What `ReadAhead` wants of a source's reader; it proves the count as `sources/files/reading.py` does."""

    def __init__(self, format: str, file: Path):
        self._format, self._file = format, file

    def __iter__(self) -> Iterator[Any]:
        from flowforge.sources.files.casting import cast_portion, casting_for
        from flowforge.sources.files.container import StoredFile
        from flowforge.sources.files.records import open_file

        stored = StoredFile(self._file.name, self._file.stat().st_size, lambda: self._file.open("rb"))
        contract, rows = _contract(self._format), 0
        with open_file(stored, contract) as records:
            casting = casting_for(list(COLUMNS), contract.columns, "refuse", stored.name)
            for portion in records:
                batch = cast_portion(portion, casting).rows
                rows += batch.num_rows
                yield batch
                del portion, batch
            if rows != records.counted():
                raise SystemExit(f"{rows} rows of {records.counted()}")

    def close(self) -> None:
        """Nothing is held."""


def _contract(format: str) -> Any:
    from events.files import FileColumn, FileContract

    columns = [FileColumn(name=name, field=name) for name in COLUMNS]
    return FileContract.model_validate({"format": "ndjson" if format == "nested" else format, "columns": columns})


def _batch(format: str, file: Path) -> Any:
    from events.commands import IngestTable
    from events.targets import BronzeTarget, FilePlace, GoldTarget, SilverTarget, SourceFiles
    from flowforge.domain.batch import Batch
    from flowforge.domain.interval import Interval

    command = IngestTable(
        run_id="benchmark",
        workflow_id="benchmark",
        job_id="benchmark",
        batch_id="benchmark",
        connection=FilePlace(bucket="benchmark"),
        source=SourceFiles(workflow="benchmark", job="benchmark", keys=[file.name], contract=_contract(format)),
        bronze=BronzeTarget(table="benchmark"),
        silver=SilverTarget(table="benchmark"),
        gold=GoldTarget(table="benchmark"),
    )
    return Batch(
        source_key="s3://benchmark/benchmark",
        generation=1,
        seq=1,
        state="claimed",
        token="benchmark",
        lease_until=time.time() + 3600,
        label="benchmark",
        interval=Interval(),
        command=command,
    )


def duckdb_copy(format: str, file: Path, target: Path, more: str = "") -> None:
    """DuckDB's COPY; nothing is sniffed."""
    import duckdb

    texts = ", ".join(f"'{name}': 'VARCHAR'" for name in COLUMNS)
    dialect = "auto_detect = false, header = true, delim = ',', quote = '\"', escape = '\"'"
    lines = f"read_json('{file}', format = 'newline_delimited', columns = {{{texts}}})"
    readers = {
        "csv": f"read_csv('{file}', columns = {{{texts}}}, {dialect}{more})",
        "ndjson": lines,
        "nested": lines,
        "parquet": f"read_parquet('{file}')",
    }
    duckdb.sql(f"COPY (FROM {readers[format]}) TO '{target}' (FORMAT parquet, COMPRESSION snappy)")


def duckdb_rejects(format: str, file: Path, target: Path) -> None:
    """The same, bad rows kept in a table of rejects; of CSV alone."""
    duckdb_copy(format, file, target, ", store_rejects = true")


def pyarrow(format: str, file: Path, target: Path) -> None:
    """pyarrow's own readers, batch by batch; of NDJSON the types that it finds in the first block."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    from pyarrow import csv, json

    def batches() -> Any:
        if format == "csv":
            convert = csv.ConvertOptions(column_types={name: pa.string() for name in COLUMNS})
            return csv.open_csv(file, parse_options=csv.ParseOptions(newlines_in_values=True), convert_options=convert)
        return json.open_json(file) if format in ("ndjson", "nested") else pq.ParquetFile(file).iter_batches()

    writer = None
    for batch in batches():
        writer = writer or pq.ParquetWriter(target, batch.schema, compression="snappy")
        writer.write_batch(batch)
    if writer:
        writer.close()


def openpyxl(format: str, file: Path, target: Path) -> None:
    """openpyxl's reader that holds no sheet, cell by cell; of workbooks alone, as the next one."""
    from openpyxl import load_workbook

    with file.open("rb") as stream:  # by its name it takes .xlsx alone
        _write(target, load_workbook(stream, read_only=True, data_only=True).worksheets[0].iter_rows(values_only=True))


def calamine(format: str, file: Path, target: Path) -> None:
    """python-calamine, which holds the sheet."""
    from python_calamine import CalamineWorkbook  # pyright: ignore[reportMissingImports]

    _write(target, CalamineWorkbook.from_path(str(file)).get_sheet_by_index(0).iter_rows())


def _write(target: Path, rows: Iterator[Any]) -> None:
    """Rows below a header as texts."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([(str(name), pa.string()) for name in next(rows)])
    with pq.ParquetWriter(target, schema, compression="snappy") as writer:
        while some := list(islice(rows, 10_000)):
            texts = ([None if value is None else str(value) for value in column] for column in zip(*some, strict=True))
            writer.write_batch(pa.RecordBatch.from_arrays([pa.array(one, pa.string()) for one in texts], schema=schema))


READERS: dict[str, Callable[[str, Path, Path], None]] = {
    "FlowForge": flowforge,
    "DuckDB COPY": duckdb_copy,
    "DuckDB COPY, store_rejects": duckdb_rejects,
    "pyarrow": pyarrow,
    "openpyxl": openpyxl,
    "calamine": calamine,
}
OF_EXCEL = ("openpyxl", "calamine")


def reads(name: str, format: str) -> bool:
    """Whether a reader takes part in a format."""
    if format == "excel":
        return name in ("FlowForge", *OF_EXCEL)
    return name not in OF_EXCEL and (format == "csv" or "rejects" not in name)


def main() -> None:
    """Reads and writes once."""
    name, format, file, target = sys.argv[1:]
    READERS[name](format, Path(file), Path(target))


if __name__ == "__main__":
    main()
