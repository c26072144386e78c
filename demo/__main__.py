"""`make demo`: load the sample bank, change it, load what changed, and check all of it against the source.

    python -m demo [--template FILE]      by another template, such as that of the packages that `make build` makes

Starts a local stack of its own and stops it at the end. Exits 0 only when every check holds, 1 when one does not or the
stack fails, 130 on Ctrl-C.
"""

import argparse
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from demo.evidence import Evidence
from demo.story import Story
from flowforge.cli import output
from flowforge.cli.failure import FAILED, GOOD, INTERRUPTED, Failure
from flowforge.cli.private_files import make_folder
from flowforge.cli.stack import STATE_DIR, StackProcess, read_stack
from flowforge.cli.streams import open_streams
from flowforge.cli.surroundings import leave_account_out, reach_directly

LOG = "demo.log"
LOG_LINES = 15


def main() -> int:
    """Runs the demo; returns its exit code."""
    open_streams()
    reach_directly()
    leave_account_out()
    parser = argparse.ArgumentParser(
        description="Loads the sample bank, changes it, loads what changed, checks all of it."
    )
    parser.add_argument("--template", type=Path, help="another template than the project's")
    template = parser.parse_args().template
    started = time.monotonic()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    story, evidence = Story(output.console()), Evidence()
    try:
        story.chapter("Start the local stack with the sample bank")
        with _own_stack(["--template", str(template.resolve())] if template else []) as process:
            # The lake's engines take a second to import, in which the stack starts.
            from demo.scenario import play

            stack = _ready(process)
            story.stack(stack, time.monotonic() - started)
            play(stack, story, evidence)
            if evidence.wrong:
                story.tell(f"The functions' logs are in {stack['logs']}", "dim")
    except Failure as failure:
        story.failure(failure)
        return FAILED
    except KeyboardInterrupt:
        story.tell("Stopped.")
        return INTERRUPTED
    story.verdict(evidence, time.monotonic() - started)
    return FAILED if evidence.wrong else GOOD


@contextmanager
def _own_stack(options: list[str]) -> Iterator[StackProcess]:
    """A stack that lives as long as the block, beside one that may run already; its ports are free ones where need be."""
    state_dir = Path(STATE_DIR)
    if read_stack(state_dir) is not None:
        state_dir /= "demo"
    make_folder(state_dir, ours=True)
    with (
        (state_dir / LOG).open("w", encoding="utf-8") as log,
        StackProcess(state_dir, ["--quiet", *options], stdout=log, stderr=log) as process,
    ):
        yield process


def _ready(process: StackProcess) -> dict[str, Any]:
    """Where the stack is, once it serves; Failure with the end of its log when it does not."""
    try:
        return process.wait_ready()
    except Failure as failure:
        log = process.state_dir / LOG
        failure.remedy = "\n".join(
            [f"{log} ends with:", *log.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_LINES:]]
        )
        raise


if __name__ == "__main__":
    sys.exit(main())
