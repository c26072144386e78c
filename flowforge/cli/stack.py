"""The local stack: where it is told (`.flowforge/stack.json`), whether it runs, and how it is started.

The stack is a process of its own (`python -m infra.local`); nothing of it is imported here. `stack.json` exists while it
runs; one that a killed stack left behind is recognised by its process id and not used. A stack that was started with another
`--state-dir` is found from the folder that it was started in, where `.flowforge/elsewhere.json` points to it, and from
anywhere by FLOWFORGE_STATE_DIR.
"""

import ctypes
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from flowforge.cli import private_files
from flowforge.cli.failure import BAD_REQUEST, UNREACHABLE, BadRequest, Failure
from flowforge.cli.surroundings import authorities

STATE_DIR = ".flowforge"
FILE_NAME = "stack.json"
POSIX = hasattr(os, "fork")
POINTER = "elsewhere.json"
SECRETS = ("token", "aws_access_key_id", "aws_secret_access_key", "password")
STATE_DIR_VARIABLE = "FLOWFORGE_STATE_DIR"
START_SECONDS = 60.0
STOP_SECONDS = 20.0
_POLL_SECONDS = 0.05
_PR_SET_PDEATHSIG = 1


def find_stack(start: Path | None = None) -> dict[str, Any] | None:
    """The running stack's facts: of FLOWFORGE_STATE_DIR where that is set, else of the nearest `.flowforge` in this folder or
    above; None when none runs."""
    if named := os.environ.get(STATE_DIR_VARIABLE):
        return read_stack(Path(named))
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        if (stack := read_stack(folder / STATE_DIR)) is not None:
            return stack
        pointed = _read(folder / STATE_DIR / POINTER).get("state_dir")
        if isinstance(pointed, str) and (stack := read_stack(Path(pointed))) is not None:
            return stack
    return None


@contextmanager
def pointed_to(state_dir: Path) -> Iterator[None]:
    """Lets commands of this folder find a stack in another state folder, as long as the block lasts; without, where this folder
    cannot be written."""
    own = Path(STATE_DIR)
    if state_dir.resolve() == own.resolve():
        yield
        return
    pointer = own / POINTER
    with suppress(OSError):
        private_files.make_folder(own, ours=True)
        pointer.write_text(json.dumps({"state_dir": str(state_dir.resolve())}), encoding="utf-8")
    try:
        yield
    finally:
        with suppress(OSError):
            if _read(pointer).get("state_dir") == str(state_dir.resolve()):
                pointer.unlink()
            own.rmdir()  # where nothing else is in it


def read_stack(state_dir: Path) -> dict[str, Any] | None:
    """The facts in `state_dir/stack.json` if its stack runs."""
    stack = _read(state_dir / FILE_NAME)
    return stack if stack and _runs(stack.get("pid")) else None


def _read(path: Path) -> dict[str, Any]:
    """The JSON object in a file; empty where there is none, or where another user has put it: we would send passwords there."""
    try:
        if POSIX and path.stat().st_uid not in (os.geteuid(), 0):
            return {}
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def without_secrets(facts: dict[str, Any]) -> dict[str, Any]:
    """A stack's facts for others to see; who needs the rest reads stack.json."""
    shown = {name: value for name, value in facts.items() if name not in SECRETS}
    return {name: without_secrets(value) if isinstance(value, dict) else value for name, value in shown.items()}


def require_stack() -> dict[str, Any]:
    """The running stack's facts; Failure when none runs."""
    stack = find_stack()
    if stack is None:
        named = os.environ.get(STATE_DIR_VARIABLE)
        where = f"in {STATE_DIR_VARIABLE}={named}" if named else "in this folder or above"
        raise Failure(
            f"no local stack runs (no {'' if named else f'{STATE_DIR}/'}{FILE_NAME} of a living process {where})",
            "start it with `flowforge up`; name the folder of one that was started with --state-dir in FLOWFORGE_STATE_DIR; or "
            "name an API with --api or FLOWFORGE_API_URL",
            error="NoStack",
            exit_code=UNREACHABLE,
        )
    return stack


def writable(state_dir: Path) -> Path:
    """The state folder, made where it is missing; BadRequest that names it where nothing can be written in it."""
    try:
        private_files.make_folder(state_dir, ours=state_dir.name == STATE_DIR)
        with tempfile.TemporaryFile(dir=state_dir):
            pass
    except OSError as error:
        raise BadRequest(
            f"the state folder {state_dir} cannot be written: {error.strerror or error}",
            "give another one with --state-dir; commands find it by FLOWFORGE_STATE_DIR",
        ) from error
    return state_dir


def _runs(pid: Any) -> bool:
    if not isinstance(pid, int) or pid <= 0:
        return False
    if not POSIX:  # no stack runs there, and signal 0 would be Ctrl-C
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
            env=os.environ | authorities(),
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            process_group=0,
            preexec_fn=_end_with_parent,  # noqa: PLW1509 (no thread runs yet; Windows has neither, and no stack)
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
