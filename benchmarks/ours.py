"""FlowForge's own read path as one process: catalog, reader, Parquet, multipart upload and footer, as `ingest` runs it.

The argument is the driver. What is missing against the function is the claim and the manifest in DynamoDB and the
event afterwards: a few calls whatever the size of the table.

FlowForge never reads without TLS. For comparison with peers that run without it, the connections are opened with
encryption off, here and only here, unless BENCH_TLS is set.
"""

from pydantic import SecretStr

from events.choices import Driver
from infra.local import packaged  # noqa: F401  first: a function's package has no numpy

# isort: split
import gc
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from events.commands import IngestTable
from events.targets import BronzeTarget, ConnectionReference, GoldTarget, SilverTarget, SourceTable
from flowforge.aws.clients import prepare
from flowforge.bronze.landing import land
from flowforge.domain.batch import Batch
from flowforge.domain.interval import Interval
from flowforge.domain.source_columns import SourceColumn
from flowforge.sources.sqlserver.catalog import describe_table
from flowforge.sources.sqlserver.connection import connect
from flowforge.sources.sqlserver.reader import ArrowReader, open_reader
from flowforge.sources.sqlserver.selection import Selection
from flowforge.sources.target import Credentials


def without_encryption(driver: str) -> None:
    """Turns TLS off in the driver that reads."""
    if driver == "pymssql":
        import pymssql

        connect_encrypted: Any = pymssql.connect
        pymssql.connect = lambda **options: connect_encrypted(**options | {"encryption": "off"})
        return
    from flowforge.sources.sqlserver import mssql_python_reader as reader

    encrypted = reader._connection_string
    reader._connection_string = lambda *whom: encrypted(*whom).replace("Encrypt={yes}", "Encrypt={no}")


def command(driver: Driver) -> IngestTable:
    """The command that `submit_job` would send."""
    where = ConnectionReference(
        host=os.environ["BENCH_HOST"],
        port=int(os.environ["BENCH_PORT"]),
        database=os.environ["BENCH_DATABASE"],
        secret_id="benchmark",
        trust_server_certificate=not os.environ.get("BENCH_TLS"),
        driver=driver,
    )
    return IngestTable(
        run_id="benchmark",
        workflow_id="benchmark",
        job_id="benchmark",
        batch_id="benchmark",
        connection=where,
        source=SourceTable(table_name=f"dbo.{os.environ['BENCH_TABLE']}"),
        bronze=BronzeTarget(table="benchmark"),
        silver=SilverTarget(table="benchmark"),
        gold=GoldTarget(table="benchmark"),
    )


class Task(NamedTuple):
    """What is read and how, after a look at the catalog."""

    batch: Batch
    columns: list[SourceColumn]
    name: str
    open: Callable[[], ArrowReader]

    @classmethod
    def of(cls, driver: Driver) -> "Task":
        """Asks the source for the table."""
        asked = command(driver)
        password = SecretStr(os.environ["BENCH_PASSWORD"])
        credentials = Credentials(username=os.environ["BENCH_USER"], password=password)
        assert isinstance(asked.connection, ConnectionReference)  # noqa: S101
        with connect(asked.connection, credentials) as connection:
            described = describe_table(connection, asked.source.title)
        columns = [SourceColumn(**c.model_dump(include=set(SourceColumn.model_fields))) for c in described.columns]
        interval = Interval()
        batch = Batch(
            source_key="benchmark",
            generation=1,
            seq=1,
            state="claimed",
            token="benchmark",
            lease_until=time.time() + 3600,
            label=f"{os.environ['BENCH_PREFIX']}/table",
            interval=interval,
            command=asked,
        )
        reader = partial(open_reader, asked.connection, credentials, Selection(described, columns, interval), driver)
        return cls(batch, columns, described.qualified_name, reader)


def main() -> None:
    """Reads and lands the table once."""
    driver: Any = sys.argv[1]
    if not os.environ.get("BENCH_TLS"):
        without_encryption(driver)
    prepare("s3")
    task = Task.of(driver)
    gc.freeze()  # as the function's handler does
    land(task.batch, task.columns, task.name, task.open)


if __name__ == "__main__":
    main()
