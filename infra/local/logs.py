"""What the functions and servers print: one readable file for each, and the terminal unless the stack is quiet.

A line is written as it comes, with the time and, for a function, the worker that printed it. The Lambda
runtime joins the lines of a traceback with carriage returns; here they are lines again.
"""

import asyncio
import errno
import os
import time
from pathlib import Path

from flowforge.cli.private_files import make_folder
from infra.local.terminal import tell

# A process that prints no newline must not grow the stack's memory: longer lines are cut into pieces of this size.
LONGEST_LINE_BYTES = 1 << 20
# awslambdaric says with every failure that Lambda's runtime may have been updated; here it never was.
NOISE = b"LAMBDA_WARNING: Unhandled exception."
# Metrics in CloudWatch's embedded format are for machines: the file keeps them, the terminal does not show them.
METRICS = b'{"_aws":'


class Log:
    """One file under `logs/`, begun anew at every start of the stack."""

    def __init__(self, folder: Path, name: str, *, echo: bool) -> None:
        make_folder(folder, ours=True)
        self.name, self.path, self.echo = name, folder / f"{name}.log", echo
        self._file, self._lost = self.path.open("wb", buffering=0), 0

    def write(self, text: str, *, source: str = "", aloud: bool = True) -> None:
        """Write one message, of one or several lines; `source` names the worker, not `aloud` leaves the terminal out."""
        now, label = time.strftime("%H:%M:%S"), source or self.name
        for line in text.replace("\r", "\n").rstrip("\n").split("\n"):
            self._keep(now, f"{label} | {line}" if source else line)
            if self.echo and aloud:
                tell(f"{now} {label:<20} | {line}")

    def _keep(self, now: str, line: str) -> None:
        """Write a line into the file. A full disk loses lines, not who writes them: an output that nobody reads any more would
        stop its process."""
        if self._file.closed:
            return
        told = f"{now} {self._lost} lines are missing: there was no space\n" if self._lost else ""
        text = f"{told}{now} {line}\n".encode(errors="backslashreplace")
        begun = self._file.tell()
        try:
            written = self._file.write(text)
            if written == len(text):
                self._lost = 0
                return
            self._file.seek(begun)
            self._file.truncate()
            reason = os.strerror(errno.ENOSPC)
        except OSError as error:
            reason = error.strerror or str(error)
        if not self._lost:
            tell(f"{now} {self.name:<20} | {self.path} cannot be written ({reason}): lines are lost until it can")
        self._lost += 1

    async def follow(self, stream: asyncio.StreamReader, *, source: str = "") -> None:
        """Copy a process's output into the log until it ends."""
        rest = b""
        while chunk := await stream.read(1 << 16):
            *lines, rest = (rest + chunk).split(b"\n")
            if len(rest) > LONGEST_LINE_BYTES:
                lines, rest = [*lines, rest], b""
            for line in (line for line in lines if NOISE not in line):
                self.write(line.decode(errors="replace"), source=source, aloud=not line.startswith(METRICS))
        if rest:
            self.write(rest.decode(errors="replace"), source=source)

    def close(self) -> None:
        """Close the file; what is written afterwards goes to the terminal only."""
        self._file.close()
