"""The directory of `--data-dir`: one stack at a time, and for its owner's eyes only, since passwords are in it.

The lock is the kernel's: the stack takes it and the embedded AWS, which writes there, has it too. So it is free exactly when
neither lives any more, whatever ended them.
"""

import fcntl
import os
import stat
import time
from pathlib import Path

from flowforge.cli import private_files
from flowforge.cli.keys import FILE_NAME as KEYS

LOCK, FORMAT, VERSION = "data.lock", "format", "1\n"
LEAVING_SECONDS = 5  # the embedded AWS of a stack that was killed ends with it, a moment later


class DataDirectoryError(Exception):
    """The directory cannot be used; the message says why."""


class DataDirectory:
    """A context manager that holds the directory. `lock` is the file descriptor that whoever writes there must have too."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self.lock = -1

    def __enter__(self) -> "DataDirectory":
        try:
            self._claim()
        except OSError as error:
            raise DataDirectoryError(f"--data-dir {self.path}: {error.strerror or error}") from error
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.lock)

    def _claim(self) -> None:
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        known = (self.path / FORMAT).exists()
        if not known and any(one.name not in (LOCK, KEYS) for one in self.path.iterdir()):
            raise DataDirectoryError(f"--data-dir {self.path} holds something else: name an empty folder, or a new one")
        if not known:
            self.path.chmod(0o700)
        elif stat.S_IMODE(self.path.stat().st_mode) & 0o077:
            raise DataDirectoryError(
                f"others may look into --data-dir {self.path}, which holds passwords: chmod 700 it"
            )
        self.lock = os.open(self.path / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        self._wait()
        os.ftruncate(self.lock, 0)
        os.pwrite(self.lock, str(os.getpid()).encode(), 0)
        if known and (self.path / FORMAT).read_text() != VERSION:
            raise DataDirectoryError(f"--data-dir {self.path} was written by another version of FlowForge")
        if not known:
            (self.path / FORMAT).touch(0o600)
            (self.path / FORMAT).write_text(VERSION)
            private_files.write(self.path / ".gitignore", "*\n")  # it holds passwords

    def _wait(self) -> None:
        deadline = time.monotonic() + LEAVING_SECONDS
        while True:
            try:
                fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                owner = os.pread(self.lock, 32, 0).decode() or "unknown"
                if _lives(owner) or time.monotonic() > deadline:
                    os.close(self.lock)
                    raise DataDirectoryError(
                        f"a local stack already runs on --data-dir {self.path} (process {owner}): stop it, or name another"
                    ) from None
                time.sleep(0.05)


def _lives(owner: str) -> bool:
    try:
        os.kill(int(owner), 0)
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:
        return True
    return True
