"""Files and folders of one user: nobody else of this machine reads them, and nobody else can have written them.

Where a file system keeps no modes (a Windows drive under WSL), what is written stays readable and what is read counts as read by
others: `closed` tells.
"""

import os
import stat
from contextlib import suppress
from pathlib import Path


def make_folder(path: Path, *, ours: bool = False) -> Path:
    """Makes a folder that its owner only may enter. One that is there is closed to others if it is `ours` or empty."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        path.mkdir(mode=0o700)
        return path
    if ours or not any(path.iterdir()):
        with suppress(OSError):  # another user's, or a file system without modes
            path.chmod(0o700)
    return path


def write(path: Path, text: str) -> None:
    """Writes a file at once, as its owner's only (0600)."""
    draft = path.with_name(f"{path.name}.new")
    draft.unlink(missing_ok=True)  # whoever made it could read what is written into it
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    draft.replace(path)


def closed(path: Path) -> bool:
    """Whether a file is there, is this user's, and nobody else may read or write it."""
    try:
        found = path.lstat()
    except OSError:
        return False
    mine = not hasattr(os, "geteuid") or found.st_uid == os.geteuid()
    return mine and stat.S_ISREG(found.st_mode) and not stat.S_IMODE(found.st_mode) & 0o077
