"""A copy of a table's log in a folder of this process, from which delta-rs reads and into which it commits.

delta-rs reads each entry of a log on S3 twice, lists the log before and after each commit, and reads the entry that it has just
written. On a copy that costs no call: each object is fetched once, and a commit is one conditional write of what delta-rs
has written into the folder.

Guarantees: a commit is nobody's until S3 has taken it, by If-None-Match: who comes second is told `Moved`, and a copy with a
commit that S3 has not taken is never used again. What is copied is what one listing showed, by ETag. A log in a form that is
not known here is not copied (`Uncopied`): delta-rs reads that one on S3.

Resource management: the folder goes with its copy, and what a process that was killed has left goes when the next one begins.
"""

import json
import os
import re
import shutil
import tempfile
import threading
import weakref
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from botocore.exceptions import ClientError
from deltalake._internal import RawDeltaTable

from flowforge.aws.clients import aws_errors, client, error_code
from flowforge.aws.objects import CHANGED, FoundObject, find_object, put_whole
from flowforge.domain.errors import StoreUnavailable
from flowforge.tables.base import Moved
from flowforge.tables.delta.log import (
    CHECKPOINT_COMMITS,
    DIGITS,
    Listing,
    ToldTransactions,
    commit_name,
    commits_from,
    files_of,
    list_log,
    place_of_log,
)

LAST = "_last_checkpoint"
MOST_BYTES = 4 * 2**20  # of what is fetched: a longer log has a table of thousands of files, or no checkpoint
# Behind the copy's checkpoint: others write checkpoints, too, and a copy that begins there is shorter.
MOST_COMMITS = 30
MOST_GUESSED = 40  # objects: a log with more behind the guess is looked up
READERS = 8
PREFIX = "flowforge-log-"
# delta-rs 1.x takes these in a folder's path for what they mean in an address, and finds nothing there, or panics.
MISREAD, READABLE = re.compile(r"[%\[\]\\^|\udc80-\udcff]"), "/tmp"  # noqa: S108 - a folder of its own is made there
_sweeping = threading.Lock()
_CHECKPOINT = re.compile(rf"\d{{{DIGITS}}}\.checkpoint\.(.+)")


class Uncopied(Exception):
    """A log that is not copied: too long, changed meanwhile, or not in the form that delta-rs writes."""


class NoTable(Exception):
    """There is no log."""


class LogCopy:
    """The log from its last checkpoint on, up to `newest`; `base` is the version of the checkpoint, 0 where there is none."""

    def __init__(self, uri: str, base: int):
        self.uri, self.base, self.newest, self._process = uri, base, base, os.getpid()
        self._etags: dict[int, str] = {}
        self.told = ToldTransactions()
        self.folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=_swept_folder()))
        self._end = weakref.finalize(self, _remove, self.folder, os.getpid())
        self._log.mkdir()
        self._is_to_be_shortened = False

    @property
    def _log(self) -> Path:
        return self.folder / "_delta_log"

    @property
    def is_there(self) -> bool:
        """Whether the folder is there: the collector of circles removes it before who holds the copy hears of its own end."""
        return self._end.alive

    @property
    def etag(self) -> str:
        """That of the newest commit on S3."""
        return self._etags[self.newest]

    def size(self) -> int:
        """Its bytes in the folder."""
        return sum(file.stat().st_size for file in self._log.iterdir())

    def commit(self, version: int) -> FoundObject | None:
        """A commit as S3 has it; None for one that is not copied."""
        file = self._log / commit_name(version)
        return FoundObject(file.read_bytes(), self._etags[version]) if version in self._etags else None

    def open(self) -> RawDeltaTable:
        """The table as of the newest commit. Raises Uncopied where delta-rs does not find it in the copy."""
        raw = RawDeltaTable(str(self.folder), version=None, storage_options=None)
        if raw.version() != self.newest:
            raise Uncopied
        return raw

    def caught_up(self, raw: RawDeltaTable) -> RawDeltaTable:
        """The same table with what has been committed since. Raises Uncopied where the log is not the one that was copied any
        more, or has grown long, and StoreUnavailable."""
        if self._process != os.getpid():
            raise Uncopied  # it was forked, and the folder is the other process's
        listing = commits_from(self.uri, self.newest)
        there = listing.commits()
        later = sorted(version for version in there if version > self.newest)
        follows = later == list(range(self.newest + 1, self.newest + 1 + len(later)))
        is_long = self.newest + len(later) - self.base > MOST_COMMITS
        if not (listing.whole and follows) or is_long or there.get(self.newest) != self.etag:
            raise Uncopied
        self.fetch(listing, [commit_name(version) for version in later])
        if self._is_to_be_shortened:
            for version in [one for one in self._etags if one < self.base]:
                del self._etags[version]
            for file in self._log.glob("*.json"):
                if int(file.name[:DIGITS]) < self.base:
                    file.unlink()
            self._is_to_be_shortened = False
            return self.open()
        if raw.version() < self.newest:
            raw.update_incremental()
        if raw.version() != self.newest:
            raise Uncopied
        return raw

    def fetch(self, listing: Listing, names: Iterable[str]) -> None:
        """Copies objects of the log as they were listed. Raises Uncopied where one is another by now, StoreUnavailable."""
        bucket, log = place_of_log(self.uri)
        wanted = list(names)

        def body_of(name: str) -> bytes:
            found = find_object(bucket, f"{log}{name}")
            if found is None or found.etag != listing.objects[name].etag:
                raise Uncopied
            return found.body

        if len(wanted) > 1:
            with ThreadPoolExecutor(READERS) as readers:
                bodies = list(readers.map(body_of, wanted))
        else:
            bodies = [body_of(name) for name in wanted]
        for name, body in zip(wanted, bodies, strict=True):
            (self._log / name).write_bytes(body)
        commits = {version: etag for version, etag in listing.commits().items() if commit_name(version) in wanted}
        self._etags |= commits
        self.newest = max([self.newest, *commits])

    def publish(self, version: int) -> None:
        """Puts the commit that delta-rs has made in the folder into the log on S3, its data files before and its checkpoint
        behind it. Raises Moved where another commit has this version by now, StoreUnavailable where it is not known what S3
        has; the copy is of no use after either."""
        bucket, log = place_of_log(self.uri)
        commit = self._log / commit_name(version)
        body = commit.read_bytes()
        for path in files_of(body):
            file = self.folder / path
            if file.exists():
                put_whole(f"{self.uri}/{path}", file.read_bytes())
                file.unlink()
        with aws_errors("s3"):
            try:
                put = client("s3").put_object(Bucket=bucket, Key=f"{log}{commit.name}", Body=body, IfNoneMatch="*")
            except ClientError as error:
                if error_code(error) in CHANGED:
                    raise Moved from error
                raise
        self._etags[version], self.newest = put["ETag"], version
        checkpoint = self._log / f"{version:0{DIGITS}}.checkpoint.parquet"
        if checkpoint.exists():
            with suppress(StoreUnavailable):  # the commit stands; a log without it is longer to read, until the next
                put_whole(f"{self.uri}/_delta_log/{checkpoint.name}", checkpoint.read_bytes())
                put_whole(f"{self.uri}/_delta_log/{LAST}", (self._log / LAST).read_bytes())
            self.base, self._is_to_be_shortened = version, True


def copy_log(uri: str, near: int | None = None) -> LogCopy:
    """A table's log as it is now; `near` guesses its newest version. Raises NoTable, Uncopied and StoreUnavailable."""
    listing, names, base = (None if near is None else _guessed(uri, near)) or _looked_up(uri)
    if sum(listing.objects[name].size for name in names) > MOST_BYTES:
        raise Uncopied
    copy = LogCopy(uri, base)
    copy.fetch(listing, names)
    return copy


def _guessed(uri: str, near: int) -> tuple[Listing, list[str], int] | None:
    """What there is to copy where the log's newest checkpoint, or its beginning, is where it is thought to be; else None. It
    takes one call: where the last checkpoint is said to be need not be read."""
    first = max(0, near - CHECKPOINT_COMMITS)
    listing = list_log(uri, f"{first:0{DIGITS}}" if first else "", MOST_GUESSED)
    if not first and not listing.objects:
        raise NoTable
    try:
        return listing, *_needed(listing, 0, has_checkpoint=LAST in listing.objects)
    except Uncopied:
        return None


def _looked_up(uri: str) -> tuple[Listing, list[str], int]:
    bucket, log = place_of_log(uri)
    last = find_object(bucket, f"{log}{LAST}")
    base = _version_of(last) if last else 0
    listing = list_log(uri, f"{base:0{DIGITS}}" if last else "")
    if last is None and not listing.objects and listing.whole:
        raise NoTable
    return listing, *_needed(listing, base, has_checkpoint=last is not None)


def _version_of(last: FoundObject) -> int:
    try:
        return int(json.loads(last.body)["version"])
    except (ValueError, KeyError, TypeError) as error:
        raise Uncopied from error


def _needed(listing: Listing, base: int, *, has_checkpoint: bool) -> tuple[list[str], int]:
    """The newest checkpoint with the commits from it on, and its version. A checkpoint in parts, or one that refers to further
    files, is a form that is not known here."""
    unknown = any(name.startswith("_") and name != LAST for name in listing.objects)
    checkpoints = [found for found in map(_CHECKPOINT.fullmatch, listing.objects) if found]
    if not listing.whole or unknown or any(found[1] != "parquet" for found in checkpoints):
        raise Uncopied
    names = [found[0] for found in checkpoints][-1:]
    first = int(names[0][:DIGITS]) if names else 0
    commits = sorted(version for version in listing.commits() if version >= first)
    if not commits or commits != list(range(first, commits[-1] + 1)) or (has_checkpoint and first < base):
        raise Uncopied
    if has_checkpoint and not names:
        raise Uncopied
    return [*names, *map(commit_name, commits)], first


def _swept_folder() -> str:
    """Where copies are; what processes have left there that are gone is deleted before this one makes its first."""
    with _sweeping:  # or a second thread takes the first one's copy for what a process of this number has left
        return _swept_once()


@lru_cache(maxsize=1)
def _swept_once() -> str:
    given = tempfile.gettempdir()
    folder = Path(READABLE if MISREAD.search(given) else given)
    for left in folder.glob(f"{PREFIX}*"):
        process = left.name.removeprefix(PREFIX).partition("-")[0]
        if process.isdigit() and (int(process) == os.getpid() or not _is_alive(int(process))):
            shutil.rmtree(left, ignore_errors=True)
    return str(folder)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # another user's
    return True


def _remove(folder: Path, process: int) -> None:
    if os.getpid() == process:  # a forked one has the parent's copies in its memory, not for its own
        shutil.rmtree(folder, ignore_errors=True)
