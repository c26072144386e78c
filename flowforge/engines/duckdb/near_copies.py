"""Copies of small objects in a folder of this process, for a session that reads and writes nothing else.

DuckDB asks for an object's size, its footer and its columns, by a call each, and to reach S3 at all takes 6 ms of CPU. An object
of a few kilobytes is fetched by one call, however often it is read; a small file is written here and put there by one. What an
address holds does not change: data files have names that come once, and what may be rewritten (bronze) is not copied
here.

Resource management: `NearCopies` is a context manager; its folder goes with it.
"""

import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import TracebackType

from flowforge.aws.objects import find_object, place_of, put_whole
from flowforge.domain.errors import StoreUnavailable
from flowforge.engines.base import ObjectUnreadable, WrittenFile

MOST_BYTES = 4 * 2**20  # of all copies of a session
READERS = 8


class NearCopies:
    """Those of one session."""

    def __init__(self) -> None:
        self._places: dict[str, str] = {}  # by the objects' addresses
        self._left, self._folders = MOST_BYTES, 0
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def __enter__(self) -> "NearCopies":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._folder is not None:
            self._folder.cleanup()

    def of(self, files: Iterable[tuple[str, int]], *, may_grow: bool) -> list[str]:
        """Where to read these objects (address, bytes): copies where there are some of all or, with `may_grow`, where they fit;
        else the objects. Raises ObjectUnreadable."""
        wanted = list(files)
        missing = [(uri, size) for uri, size in wanted if uri not in self._places]
        if missing and (not may_grow or sum(size for _, size in missing) > self._left):
            return [uri for uri, _ in wanted]
        self._left -= sum(size for _, size in missing)
        self._fetch([uri for uri, _ in missing])
        return [self._places[uri] for uri, _ in wanted]

    def place_of(self, uri: str) -> str:
        """The copy of an object; its own address where there is none."""
        return self._places.get(uri, uri)

    def new_folder(self) -> str:
        """An empty folder to write to."""
        self._folders += 1
        folder = self._root / f"written-{self._folders}"
        folder.mkdir()
        return str(folder)

    def put(self, file: WrittenFile, folder: str) -> WrittenFile:
        """Puts a file that was written here into a folder of S3, where it is from now on. Raises ObjectUnreadable."""
        written = Path(file.uri)
        uri = f"{folder.rstrip('/')}/{written.name}"
        try:
            put_whole(uri, written.read_bytes())
        except StoreUnavailable as error:
            raise ObjectUnreadable(str(error)) from error
        written.unlink()
        return replace(file, uri=uri)

    @property
    def _root(self) -> Path:
        self._folder = self._folder or tempfile.TemporaryDirectory(prefix="flowforge-near-")
        return Path(self._folder.name)

    def _fetch(self, uris: list[str]) -> None:
        if len(uris) > 1:
            with ThreadPoolExecutor(min(READERS, len(uris))) as readers:
                bodies = list(readers.map(_body_of, uris))
        else:
            bodies = [_body_of(uri) for uri in uris]
        for uri, body in zip(uris, bodies, strict=True):
            place = self._root / f"{len(self._places)}.parquet"
            place.write_bytes(body)
            self._places[uri] = str(place)


def _body_of(uri: str) -> bytes:
    try:
        found = find_object(*place_of(uri))
    except StoreUnavailable as error:
        raise ObjectUnreadable(str(error)) from error
    if found is None:
        raise ObjectUnreadable(f"{uri} does not exist", is_gone=True)
    return found.body
