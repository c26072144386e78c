"""A disk that takes no more, below a function or a command: told by its folder, so that somebody can make space there.

Libraries say it in their own ways: Python and pyarrow by an errno, DuckDB and delta-rs by the system's words in a text.
"""

import errno
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from flowforge.domain.errors import NoSpace

NUMBERS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
WORDS = re.compile("|".join(re.escape(os.strerror(number)) for number in NUMBERS))
NAMED = re.compile(r'file "(/[^"]+)"')
MAKE_SPACE = (
    "make space there, or set TMPDIR to a folder on another disk; on Lambda raise the function's EphemeralStorage in the "
    "template and deploy. It is tried again by itself; what was given up meanwhile comes back by: flowforge replay --run RUN"
)


def no_space(error: BaseException) -> NoSpace | None:
    """The error that says where space is lacking; None where `error`, and what it came from, is about something else."""
    for one in _with_causes(error):
        if isinstance(one, NoSpace):
            return one
        text = str(one)
        is_full = isinstance(one, OSError) and one.errno in NUMBERS
        if is_full or (WORDS.search(text) and not getattr(one, "response", None)):
            return lacking(_folder(one, text), _said(one, text))
    return None


def lacking(folder: Path, said: str) -> NoSpace:
    """The error for a folder that takes no more; `said` is who has noticed, in its own words."""
    return NoSpace(f"no space is left in {folder}{_free(folder)}: {said}", MAKE_SPACE)


def _with_causes(error: BaseException) -> Iterator[BaseException]:
    seen: list[BaseException] = []
    now: BaseException | None = error
    while now is not None and now not in seen:
        seen.append(now)
        yield now
        now = now.__cause__ or now.__context__


def _folder(error: BaseException, text: str) -> Path:
    named = getattr(error, "filename", None)
    if isinstance(named, str | bytes):
        return Path(os.fsdecode(named)).parent
    found = NAMED.search(text)
    return Path(found[1]).parent if found else Path(tempfile.gettempdir())


def _free(folder: Path) -> str:
    with suppress(OSError):
        usage = shutil.disk_usage(folder)
        return f" ({usage.free / 2**20:,.1f} of its disk's {usage.total / 2**20:,.1f} MiB are free)"
    return ""


def _said(error: BaseException, text: str) -> str:
    return getattr(error, "strerror", None) or " ".join(text.split("\n", 1)[0].split())[:200]
