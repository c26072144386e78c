"""Reads Delta tables with Sail: a program of its own environment, `.venv-sail`, which has nothing of FlowForge.

sail_reader.py FOLDER URI…    each table's rows as FOLDER/<n>.arrow; S3 as the environment says
"""

import sys
from pathlib import Path

import pyarrow as pa
from pysail.spark import SparkConnectServer  # pyright: ignore[reportMissingImports] - .venv-sail has it
from pyspark.sql import SparkSession  # pyright: ignore[reportMissingImports] - .venv-sail has it


def main(folder: Path, uris: list[str]) -> None:
    """Starts Sail's server and asks it for every table, as any Spark Connect client would."""
    server = SparkConnectServer("127.0.0.1", 0)
    server.start(background=True)
    _, port = server.listening_address
    session = SparkSession.builder.remote(f"sc://127.0.0.1:{port}").getOrCreate()
    session.conf.set("spark.sql.session.timeZone", "UTC")
    for number, uri in enumerate(uris):
        rows = session.read.format("delta").load(uri).toArrow()
        with pa.OSFile(str(folder / f"{number}.arrow"), "wb") as file, pa.ipc.new_file(file, rows.schema) as writer:
            writer.write_table(rows)
    session.stop()
    server.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
