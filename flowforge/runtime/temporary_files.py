"""Where temporary files are put, and by which errnos a disk refuses them: for servers, too, that load nothing of a function."""

import errno
import os
import tempfile
from pathlib import Path

NUMBERS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def temporary_folder() -> Path:
    """Where temporary files are put; where Python has found none in which it may write four bytes, the one that is meant."""
    try:
        return Path(tempfile.gettempdir())
    except FileNotFoundError:
        return Path(os.environ.get("TMPDIR") or "/tmp")  # noqa: S108
