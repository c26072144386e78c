"""Values of every canonical type, and how pyarrow (deltalake), DuckDB and Polars read a table back."""

import datetime
import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa

from flowforge.engines.registry import ENGINE
from flowforge.tables.delta.access import storage_options
from flowforge.tables.rows import relation
from tests.helpers.lake import delta_table

UTC = datetime.UTC
NAIVE = datetime.datetime(9999, 12, 31, 23, 59, 59, 999999)
FIRST = datetime.datetime(1, 1, 1)
# name -> (bronze type, two values, silver type, the values in silver)
CANONICAL: dict[str, tuple[pa.DataType, list[Any], pa.DataType, list[Any] | None]] = {
    "bit": (pa.bool_(), [True, False], pa.bool_(), None),
    "tinyint": (pa.uint8(), [255, 0], pa.int16(), None),
    "smallint": (pa.int16(), [-32768, 32767], pa.int16(), None),
    "int": (pa.int32(), [-(2**31), 2**31 - 1], pa.int32(), None),
    "bigint": (pa.int64(), [-(2**63), 2**63 - 1], pa.int64(), None),
    "real": (pa.float32(), [1.5, -0.25], pa.float32(), None),
    "float": (pa.float64(), [0.1, 1.7976931348623157e308], pa.float64(), None),
    "decimal": (pa.decimal128(15, 2), [Decimal("9999999999999.99"), Decimal("-0.01")], pa.decimal128(15, 2), None),
    "decimal38": (pa.decimal128(38, 10), [Decimal("1234567890123456789012345678.0123456789"), Decimal(0)],
                  pa.decimal128(38, 10), None),
    "money": (pa.decimal128(19, 4), [Decimal("922337203685477.5807"), Decimal("-0.0001")], pa.decimal128(19, 4), None),
    "nvarchar": (pa.string(), ["Grüße 名前 🙂 'q' \"d\"", ""], pa.string(), None),
    "nchar": (pa.string(), ["a  ", "\x00\t\n"], pa.string(), None),
    "varbinary": (pa.binary(), [b"\x00\xff'\\", b""], pa.binary(), None),
    "rowversion": (pa.binary(8), [b"\x00" * 7 + b"\x01", b"\xff" * 8], pa.binary(), None),
    "date": (pa.date32(), [datetime.date(1, 1, 1), datetime.date(9999, 12, 31)], pa.date32(), None),
    "time": (pa.time64("us"), [datetime.time(1, 2, 3), datetime.time(23, 59, 59, 999999)], pa.string(),
             ["01:02:03", "23:59:59.999999"]),
    "time7": (pa.time64("ns"), [datetime.time(1, 2, 3, 500000), datetime.time(0, 0)], pa.string(),
              ["01:02:03.5", "00:00:00"]),
    "datetime": (pa.timestamp("ms"), [datetime.datetime(1753, 1, 1), datetime.datetime(2024, 2, 29, 1, 2, 3, 997000)],
                 pa.timestamp("us"), None),
    "datetime2": (pa.timestamp("us"), [FIRST, NAIVE], pa.timestamp("us"), None),
    "datetimeoffset": (pa.timestamp("us", "UTC"), [FIRST.replace(tzinfo=UTC), NAIVE.replace(tzinfo=UTC)],
                       pa.timestamp("us", "UTC"), None),
}  # fmt: skip
ODD_NAMES = [
    "with space", "a]b[c", 'quo"te', "apo's", "back`tick", "dot.ted", "comma,semi;colon", "(paren)={x}", "tab\tnew\nline",
    "100%", "back\\slash", "$dollar", "select", "1st", "Größe", "名前", "Имя", "🙂", " leading", "trailing ", "x" * 128,
]  # fmt: skip


def read_everywhere(uri: str) -> list[list[dict[str, Any]]]:
    """The rows, ordered by id, as pyarrow, DuckDB and Polars (Python values) read them."""
    table = delta_table(uri)
    with ENGINE.session() as session:
        by_duckdb = pa.table(relation(session, table))
    readings = [table.to_pyarrow_table(), by_duckdb, _by_polars(uri)]
    return [sorted(reading.to_pylist(), key=lambda row: row["id"]) for reading in readings]


def _by_polars(uri: str) -> pa.Table:
    command = [sys.executable, str(Path(__file__).with_name("polars_reader.py")), uri]
    done = subprocess.run(command, env=os.environ | storage_options(), stdout=subprocess.PIPE, check=True)
    return pa.ipc.open_stream(done.stdout).read_all()
