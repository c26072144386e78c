"""Where FlowForge's CPU time goes: each part of the read path alone, one after the other, on the same table.

As a process of its own (`python -m benchmarks.parts`, in the environment of `servers.serving`) it prints the CPU seconds of
each part as JSON. The parts run without the others beside them, so their sum is what the whole run takes on idle cores; what
the whole run takes on top is contention.
"""

import gc
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from statistics import median
from typing import Any

from benchmarks.contenders import ROOT
from flowforge.domain.given import given

IMPORTS, CATALOG, READING, ENCODING, UPLOAD, EXIT = (
    "interpreter and imports",
    "connecting, catalog",
    "driver: TDS to Arrow, canonical types",
    "Parquet: dictionaries, statistics, snappy",
    "S3 client, multipart upload",
    "interpreter's end",
)


class _Nowhere:
    """A file that keeps what an encoder writes, as parts of an object would be."""

    closed = False

    def __init__(self) -> None:
        self.written: list[bytes] = []

    def write(self, data: Any) -> int:
        self.written.append(bytes(data))
        return len(data)

    def tell(self) -> int:
        return sum(map(len, self.written))

    def flush(self) -> None: ...

    def close(self) -> None: ...

    def readable(self) -> bool:
        return False

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False


def measured(variables: dict[str, str], repeat: int) -> dict[str, float]:
    """Median CPU seconds of each part."""
    runs = [_run(variables) for _ in range(repeat)]
    return {part: median(run[part] for run in runs) for part in runs[0]}


def body(parts: dict[str, float]) -> str:
    """A table of the parts and their shares."""
    total = sum(parts.values())
    lines = ["| part, alone | CPU s | share |", "|---|--:|--:|"]
    lines += [f"| {part} | {seconds:.2f} | {seconds / total:.0%} |" for part, seconds in parts.items()]
    return "\n".join([*lines, f"| **sum** | {total:.2f} | |"])


def _run(variables: dict[str, str]) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.parts"]
    process = subprocess.Popen(command, env=variables, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    printed = given(process.stdout).read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"benchmarks.parts ended with {process.returncode}")
    found = json.loads(printed)
    return found["parts"] | {EXIT: usage.ru_utime + usage.ru_stime - found["process"]}


@contextmanager
def _timed(parts: dict[str, float], name: str) -> Iterator[None]:
    before = time.process_time()
    yield
    parts[name] = time.process_time() - before


def main(_: Sequence[str] = ()) -> None:
    """Runs the parts in turn and prints their CPU seconds."""
    from benchmarks import ours
    from flowforge.aws.clients import client
    from flowforge.bronze.parquet import Encoder
    from flowforge.bronze.upload import ObjectWriter

    gc.freeze()  # as the function's handler does
    parts = {IMPORTS: time.process_time()}
    ours.without_encryption("auto")
    with _timed(parts, CATALOG):
        task = ours.Task.of("auto")
    with _timed(parts, READING), task.open() as reader:
        for _batch in reader:
            pass
    with task.open() as reader:
        batches = list(reader)
    sink = _Nowhere()
    with _timed(parts, ENCODING):
        encoder = Encoder(sink, batches[0].schema, task.batch, task.columns, task.name)
        for batch in batches:
            encoder.write(batch)
        encoder.close()
    with _timed(parts, UPLOAD), ObjectWriter(client("s3"), os.environ["BENCH_BUCKET"], "parts/table") as writer:
        for data in sink.written:
            writer.write(data)
        writer.finish()
    del batches, sink
    client("s3").delete_object(Bucket=os.environ["BENCH_BUCKET"], Key="parts/table")
    print(json.dumps({"parts": parts, "process": time.process_time()}))


if __name__ == "__main__":
    main()
