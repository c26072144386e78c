"""What is left out of a function's package is never missed: the product's own reading and writing run on a pruned pyarrow."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

from flowforge.domain.given import given
from infra.aws.package import prune

# Lines as pymssql brings them, to Arrow, to Parquet with each compression that a request may ask for, and back.
LINES_TO_PARQUET = """
import io, sys, typing
import pyarrow as pa, pyarrow.parquet as pq
import functions.ingest_slice.handler, functions.ingest_table.handler
from events.request import Compression
from flowforge.bronze import parquet, upload
from flowforge.sources.sqlserver.arrow_types import arrow_schema
from flowforge.sources.sqlserver.mssql_python_reader import MssqlPythonReader
from flowforge.sources.sqlserver.pymssql_reader import PymssqlReader
from flowforge.sources.sqlserver.unpacking import LineReader
from flowforge.domain.batch import SourceColumn

schema = arrow_schema([SourceColumn(name=t, sql_type=t) for t in ("int", "money", "datetime2(3)", "nvarchar(9)")])
arrays = LineReader(list(schema)).arrays(['1,12.3456,2024-02-29 12:34:56.789,"a,b"', ',,,""'])
table = pa.table(arrays, schema=schema)
for compression in typing.get_args(Compression):
    pq.write_table(table, sink := io.BytesIO(), compression=compression)
    # In this thread: with threads, Arrow may abort at the interpreter's end over a buffer of Python's (apache/arrow#50482).
    assert pq.ParquetFile(sink).read(use_threads=False).equals(table), compression
print(pa.__file__)
"""


def test_should_read_lines_and_write_parquet_with_what_the_package_keeps_of_pyarrow(tmp_path):
    installed = Path(given(given(importlib.util.find_spec("pyarrow")).origin)).parent
    shutil.copytree(installed, tmp_path / "pyarrow", copy_function=linked)
    prune(tmp_path)
    assert not list((tmp_path / "pyarrow").glob("_flight*")), "nothing was pruned"
    found = subprocess.run(
        [sys.executable, "-c", LINES_TO_PARQUET],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(Path(__file__).resolve().parents[2])])},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert found.returncode == 0, found.stderr
    assert Path(found.stdout.strip()).is_relative_to(tmp_path)


def linked(source: str, target: str) -> None:
    """A hard link where the file system allows it: pyarrow is 150 MB."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
