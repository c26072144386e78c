"""A full disk below the embedded AWS: told by the folder, its free space and what to do, instead of as an internal error.

A WSGI layer around moto's application. The answer is an error in the service's own form; boto does not try a 507 again at once.
"""

import errno
import json
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from flowforge.runtime.temporary_files import NUMBERS, temporary_folder

CODE = "NoSpaceLeft"
REFUSED = (*NUMBERS, errno.EROFS)
# What SQLite calls a file that cannot grow; the journal's index is mapped, and says that it cannot by its own codes.
SQLITE_REFUSED = ("SQLITE_FULL", "SQLITE_IOERR_WRITE", "SQLITE_IOERR_SHMSIZE", "SQLITE_IOERR_FSYNC", "SQLITE_READONLY")

Application = Callable[[dict[str, Any], Callable], Iterable[bytes]]


class NoSpaceTold:
    """The application; what it could not write for want of space is an answer that says so. `folder` is where it keeps what it
    holds, None where that is memory: then it is the temporary folder that is full."""

    def __init__(self, application: Application, folder: Path | None) -> None:
        self._application, self._folder = application, folder or temporary_folder()

    def __call__(self, environ: dict[str, Any], start_response: Callable) -> Iterable[bytes]:
        try:
            return self._application(environ, start_response)
        except (OSError, sqlite3.OperationalError) as error:
            if not is_refusal(error):
                raise
            kind, body = _in_form(environ, told(self._folder, error))
            start_response("507 Insufficient Storage", [("Content-Type", kind), ("Content-Length", str(len(body)))])
            return [body]


def is_refusal(error: Exception) -> bool:
    """Whether an error says that the disk takes no more."""
    if isinstance(error, sqlite3.Error):
        name = getattr(error, "sqlite_errorname", "")
        return name.startswith(SQLITE_REFUSED)
    return isinstance(error, OSError) and error.errno in REFUSED


def told(folder: Path, error: Exception) -> str:
    """One sentence for whoever has to make space."""
    named = getattr(error, "filename", None)
    where = Path(os.fsdecode(named)).parent if named else folder
    return (
        f"the local stack cannot write to {where}: {getattr(error, 'strerror', None) or error};"
        f" {shutil.disk_usage(where).free / 2**20:.1f} MiB of its disk are free. Make space there: nothing is lost, and what was"
        " not stored is asked for again"
    )


def _in_form(environ: dict[str, Any], message: str) -> tuple[str, bytes]:
    if "HTTP_X_AMZ_TARGET" in environ:
        return "application/x-amz-json-1.0", json.dumps({"__type": CODE, "message": message}).encode()
    text = f"<Error><Code>{CODE}</Code><Message>{escape(message)}</Message></Error>"
    return "application/xml", text.encode()
