"""One message of a file's load as a function's process: `python -m benchmarks.file_step STEP MESSAGE TOLD`.

STEP is `ingest_table` or `ingest_slice`, MESSAGE a file with the command; TOLD is written at the end: this process's peak of
memory by the kernel (VmHWM), which unlike `getrusage` knows nothing of the process that has started it.
"""

from infra.local import packaged  # noqa: F401  first: a function's package has no numpy

# isort: split
import json
import re
import sys
from importlib import import_module
from pathlib import Path

from events.envelopes import sqs

SECONDS = 900  # Lambda's longest


class Context:
    """What the runtime gives a handler beside the event."""

    function_name, aws_request_id, memory_limit_in_mb = "benchmark", "benchmark", 1769
    invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:benchmark"

    def get_remaining_time_in_millis(self) -> int:
        """All of it."""
        return SECONDS * 1000


def peak_mb() -> float:
    """The largest resident set of this process so far, in megabytes of 2^20 bytes."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) / 1024 if found else 0.0


def main() -> None:
    """Handles the message once, as the queue's first delivery of it."""
    step, message, told = sys.argv[1:]
    handler = import_module(f"functions.{step}.handler").handler
    answer = handler(sqs(json.loads(Path(message).read_text())), Context())
    if answer != {"batchItemFailures": []}:
        sys.exit(f"{step}: {answer}")
    Path(told).write_text(str(peak_mb()))


if __name__ == "__main__":
    main()
