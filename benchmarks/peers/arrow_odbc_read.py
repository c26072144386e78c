"""arrow-odbc: record batches from an ODBC driver, fetched in a thread of their own (its default), then Parquet.

The driver is Microsoft's, from the package mssql-python-odbc; the driver manager (libodbc.so.2) is the system's.
"""

import os
from importlib.util import find_spec
from pathlib import Path

import s3
from arrow_odbc import read_arrow_batches_from_odbc  # pyright: ignore[reportMissingImports] - in its own environment


def driver() -> str:
    """The path of Microsoft's ODBC driver."""
    spec = find_spec("mssql_python_odbc")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("mssql_python_odbc is not installed: it brings the driver")
    (package,) = spec.submodule_search_locations
    found = sorted(Path(package).glob("libs/linux/debian_ubuntu/*/lib/libmsodbcsql*"))
    fitting = [path for path in found if path.parts[-3] == os.uname().machine]
    return str(fitting[0])


def main() -> None:
    encrypt = "yes" if os.environ.get("BENCH_TLS") else "no"
    words = {
        "Driver": driver(),
        "Server": f"{os.environ['BENCH_HOST']},{os.environ['BENCH_PORT']}",
        "Database": os.environ["BENCH_DATABASE"],
        "UID": os.environ["BENCH_USER"],
        "PWD": os.environ["BENCH_PASSWORD"],
        "Encrypt": encrypt,
        "TrustServerCertificate": "yes",
    }
    reader = read_arrow_batches_from_odbc(
        query=f"SELECT * FROM dbo.{os.environ['BENCH_TABLE']}",
        connection_string="".join(f"{word}={{{value}}};" for word, value in words.items()),
        batch_size=65_535,
        max_text_size=int(os.environ["BENCH_LONGEST_TEXT"]),
        max_binary_size=int(os.environ["BENCH_LONGEST_TEXT"]),
    )
    with s3.writer(reader.schema) as parquet:
        for batch in reader:
            parquet.write_batch(batch)


if __name__ == "__main__":
    main()
