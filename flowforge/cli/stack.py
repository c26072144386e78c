"""The local stack: where it is told (`.flowforge/stack.json`), whether it runs, and how it is started.

The stack is a process of its own (`python -m infra.local`); nothing of it is imported here. `stack.json` exists while it
runs; one that a killed stack left behind is recognised by its process id and not used.
"""

import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from flowforge.cli.failure import BAD_REQUEST, Failure

STATE_DIR = ".flowforge"
FILE_NAME = "stack.json"
START_SECONDS = 60.0
STOP_SECONDS = 20.0
_POLL_SECONDS = 0.05
_PR_SET_PDEATHSIG = 1


def find_stack(start: Path | None = None) -> dict[str, Any] | None:
    """The running stack's facts, from the nearest `.flowforge/stack.json` in this folder or above; None when none runs."""
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        if (stack := read_stack(folder / STATE_DIR)) is not None:
            return stack
    return None


def read_stack(state_dir: Path) -> dict[str, Any] | None:
    """The facts in `state_dir/stack.json` if its stack runs."""
    try:
        stack = json.loads((state_dir / FILE_NAME).read_text())
    except (OSError, ValueError):
        return None
    return stack if isinstance(stack, dict) and _runs(stack.get("pid")) else None


def require_stack() -> dict[str, Any]:
    """The running stack's facts; Failure when none runs."""
    stack = find_stack()
    if stack is None:
        raise Failure(
            f"no local stack runs (no {STATE_DIR}/{FILE_NAME} of a living process in this folder or above)",
            "start it with `flowforge up`, or name an API with --api or FLOWFORGE_API_URL",
            error="NoStack",
        )
    return stack


def _runs(pid: Any) -> bool:
    if not isinstance(pid, int) or pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


class StackProcess:
    """A stack that this process started. A context manager: leaving it stops the stack and waits for it.

    It gets a process group of its own, so that Ctrl-C in a terminal reaches it once, from us, and not twice.
    """

    def __init__(self, state_dir: Path, arguments: list[str], *, stdout: Any = None, stderr: Any = None):
        root = _project_root()
        self.state_dir = state_dir.resolve()
        command = [sys.executable, "-m", "infra.local", "--state-dir", str(self.state_dir), *arguments]
        self.process = subprocess.Popen(
            command,
            cwd=root,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            process_group=0,
            preexec_fn=_end_with_parent,  # noqa: PLW1509 (no thread runs yet)
        )

    def __enter__(self) -> "StackProcess":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def wait_ready(self, timeout_seconds: float = START_SECONDS) -> dict[str, Any]:
        """Waits until the stack serves and returns its facts; Failure when it ends or does not get there in time."""
        deadline = time.monotonic() + timeout_seconds
        while time.monotonic() < deadline:
            stack = read_stack(self.state_dir)
            if stack is not None and stack.get("pid") == self.process.pid:
                return stack
            if (code := self.process.poll()) is not None:
                raise Failure(f"the local stack ended with code {code} before it was ready", error="StackFailed")
            time.sleep(_POLL_SECONDS)
        raise Failure(f"the local stack was not ready after {timeout_seconds:.0f} s", error="StackFailed")

    def pass_on(self, number: int) -> None:
        """Sends it a signal, if it still runs."""
        if self.process.poll() is None:
            self.process.send_signal(number)

    def stop(self) -> int:
        """Asks it to end, waits, and ends it by force after STOP_SECONDS; returns its exit code."""
        self.pass_on(signal.SIGINT)
        try:
            return self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            return self.process.wait()


def _end_with_parent() -> None:
    """Has the kernel end the stack when we are killed and cannot (Linux; elsewhere it stays and is found again)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _project_root() -> Path:
    """The folder that holds `infra/local`: this folder or one above it, else the one that FlowForge is installed from."""
    here = Path.cwd().resolve()
    for folder in (here, *here.parents, Path(__file__).resolve().parents[2]):
        if (folder / "infra" / "local" / "__main__.py").is_file():
            return folder
    raise Failure(
        "this installation has no local stack",
        "run it in a checkout of FlowForge, or name a deployed API with --api or FLOWFORGE_API_URL",
        error="NoStack",
        exit_code=BAD_REQUEST,
    )
