"""A disk that takes no more, below a function or a command: told by its folder, so that somebody can make space there.

Python and pyarrow say it by an errno. Texts are not looked at: a server's or an engine's may quote any value of a row. DuckDB has
words alone: they count where only an error of a file can be meant (`said_of_a_file`).
"""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from flowforge.domain.errors import NoSpace
from flowforge.runtime.temporary_files import NUMBERS, temporary_folder

WORDS = re.compile(f"({'|'.join(re.escape(os.strerror(number)) for number in NUMBERS)})\\s*$", re.MULTILINE)
NONE_USABLE = "No usable temporary directory"  # of tempfile, before a process has found one: each that it tries is full
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
        if isinstance(one, OSError) and (one.errno in NUMBERS or str(one.strerror).startswith(NONE_USABLE)):
            named = one.filename
            folder = Path(os.fsdecode(named)).parent if isinstance(named, str | bytes) else temporary_folder()
            return lacking(folder, one.strerror or str(one))
    return None


def said_of_a_file(text: str) -> NoSpace | None:
    """The same for what a library says of a file that it reads or writes, where it gives no errno."""
    if not WORDS.search(text):
        return None
    found = NAMED.search(text)
    folder = Path(found[1]).parent if found else temporary_folder()
    return lacking(folder, " ".join(text.split("\n", 1)[0].split())[:200])


def lacking(folder: Path, said: str) -> NoSpace:
    """The error for a folder that takes no more; `said` is who has noticed, in its own words."""
    return NoSpace(f"no space is left in {folder}{_free(folder)}: {said}", MAKE_SPACE)


def _with_causes(error: BaseException) -> Iterator[BaseException]:
    seen: list[BaseException] = []
    now: BaseException | None = error
    while now is not None and now not in seen:
        seen.append(now)
        yield now
        now = now.__cause__ or (None if now.__suppress_context__ else now.__context__)


def _free(folder: Path) -> str:
    with suppress(OSError):
        usage = shutil.disk_usage(folder)
        return f" ({usage.free / 2**20:,.1f} of its disk's {usage.total / 2**20:,.1f} MiB are free)"
    return ""
