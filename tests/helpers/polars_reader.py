"""Reads a Delta table with Polars: a program of its own, S3 as the environment says.

polars_reader.py URI    the table's rows as an Arrow stream, to standard output

Once it has read from a cloud, Polars 2.1 asks the environment for POLARS_LOG_CONCURRENCY ten times a second for as long as the
process lives, in a thread of its own: a process that sets variables meanwhile, as tests do, may be ended by SIGSEGV in getenv.
"""

import sys

import polars as pl
import pyarrow as pa


def main(uri: str) -> None:
    """Writes what Polars reads."""
    rows = pl.read_delta(uri).to_arrow()
    with pa.ipc.new_stream(sys.stdout.buffer, rows.schema) as writer:
        writer.write_table(rows)


if __name__ == "__main__":
    main(sys.argv[1])
