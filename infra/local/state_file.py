"""`stack.json`: tells other processes that the local stack is ready, and where.

The file is there exactly while a stack is ready: written whole and readable by its owner only, removed at the end.
A lock that the kernel releases with the process decides whether a state directory has a stack, so that a file left by
a killed stack never stands in the way.
"""

import errno
import fcntl
import json
import os
from pathlib import Path
from typing import Any

from flowforge.cli import private_files
from flowforge.cli.stack import STATE_DIR


class AlreadyRunning(Exception):
    """Another stack runs on the same state directory."""


class NotWritable(Exception):
    """The state directory, or what it needs there, cannot be made."""


def not_writable(folder: Path, error: OSError) -> str | None:
    """What an error says of something in the state folder; None where it is about something else."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT) and error.filename is None:  # a write, which names no file
        return (
            f"no space is left for the state folder {folder} ({error.strerror}): make some, or give another --state-dir"
        )
    where = Path(error.filename) if isinstance(error.filename, str) else Path("/")
    if not where.resolve().is_relative_to(folder.resolve()):
        return None
    return f"{where} cannot be written ({error.strerror}): mend the state folder {folder}, or give another --state-dir"


class StateDirectory:
    """The directory of one running stack; a context manager that holds its lock."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self.file = self.path / "stack.json"

    def __enter__(self) -> "StateDirectory":
        try:
            lock = self.path / "stack.lock"
            is_new = not self.path.exists()
            private_files.make_folder(self.path, ours=self.path.name == STATE_DIR or lock.exists())
            if is_new:  # it will hold credentials, and whatever it is called, nobody wants them committed
                private_files.write(self.path / ".gitignore", "*\n")
            self._lock = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise NotWritable(
                f"the state folder {self.path} cannot be written ({error.strerror or error}): give another --state-dir"
            ) from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.read(self._lock, 32).decode() or "unknown"
            os.close(self._lock)
            raise AlreadyRunning(
                f"a local stack already runs on {self.path} (process {owner}): stop it, or give another --state-dir"
            ) from None
        os.truncate(self._lock, 0)
        os.write(self._lock, str(os.getpid()).encode())
        self.file.unlink(missing_ok=True)
        return self

    def __exit__(self, *_: object) -> None:
        self.withdraw()
        os.close(self._lock)

    def publish(self, facts: dict[str, Any]) -> None:
        """Write stack.json, at once and for the owner's eyes only: it holds the credentials of the stack."""
        private_files.write(self.file, json.dumps(facts, indent=2) + "\n")

    def withdraw(self) -> None:
        """Remove stack.json: the stack is ready no longer."""
        self.file.unlink(missing_ok=True)
