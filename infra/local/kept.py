"""What the embedded AWS keeps on disk for a stack that has a data directory: one SQLite file, and a file for each object.

    aws.sqlite          items of tables, messages of queues, secrets, and what is known of objects
    objects/<id>        an object's bytes

Guarantees: what a client has got an answer for is on the disk, whatever kills the process then; what others can see is there
before they see it. A file of an object is complete and synced before the row that names it, and deleted after that row is gone:
files without a row are what a crash has left, and are removed at the next start. Only the owner can read any of it: there are
passwords in it.

Resource management: open as long as the process lives; one process at a time, which whoever starts it must see to.
"""

import json
import os
import sqlite3
import threading
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

PART_BYTES = 8 * 2**20
SCHEMA = """
CREATE TABLE IF NOT EXISTS items (owner TEXT, place TEXT, document TEXT, PRIMARY KEY (owner, place));
CREATE TABLE IF NOT EXISTS messages (number INTEGER PRIMARY KEY, owner TEXT, place TEXT UNIQUE, document TEXT);
CREATE TABLE IF NOT EXISTS secrets (owner TEXT, place TEXT, document TEXT, PRIMARY KEY (owner, place));
CREATE TABLE IF NOT EXISTS objects (owner TEXT, place TEXT, document TEXT, PRIMARY KEY (owner, place));
"""
KINDS = ("items", "messages", "secrets", "objects")

Change = tuple[
    str, str, str, dict[str, Any] | None
]  # kind, owner (a table, queue or bucket), place in it, document or None


class Kept:
    """The store in a folder. Documents are plain JSON."""

    def __init__(self, folder: Path) -> None:
        self._objects, self._lock = folder / "objects", threading.Lock()
        self._objects.mkdir(mode=0o700, exist_ok=True)
        self._database = sqlite3.connect(folder / "aws.sqlite", check_same_thread=False, isolation_level=None)
        for statement in ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL", "PRAGMA secure_delete=ON"):
            self._database.execute(statement)
        self._database.executescript(SCHEMA)
        named = {document["file"] for _, document in self.all("objects", None)}
        for left in self._objects.iterdir():
            if left.name not in named:
                left.unlink()

    def write(self, *changes: Change) -> None:
        """Makes changes, all or none; they are on the disk when it returns."""
        if not changes:
            return
        with self._lock:
            self._database.execute("BEGIN IMMEDIATE")
            try:
                for kind, owner, place, document in changes:
                    self._change(kind, owner, place, document)
                self._database.execute("COMMIT")
            except BaseException:
                if self._database.in_transaction:  # SQLite ends it itself where the disk is full
                    self._database.execute("ROLLBACK")
                raise

    def _change(self, kind: str, owner: str, place: str, document: dict[str, Any] | None) -> None:
        assert kind in KINDS  # noqa: S101
        if document is None:
            self._database.execute(f"DELETE FROM {kind} WHERE owner = ? AND place = ?", (owner, place))  # noqa: S608
            return
        values = (owner, place, json.dumps(document))
        self._database.execute(f"INSERT OR REPLACE INTO {kind} (owner, place, document) VALUES (?, ?, ?)", values)  # noqa: S608

    def one(self, kind: str, owner: str, place: str) -> dict[str, Any] | None:
        """One document; None where there is none."""
        assert kind in KINDS  # noqa: S101
        query = f"SELECT document FROM {kind} WHERE owner = ? AND place = ?"  # noqa: S608
        with self._lock:
            found = self._database.execute(query, (owner, place)).fetchone()
        return None if found is None else json.loads(found[0])

    def all(self, kind: str, owner: str | None) -> Iterator[tuple[str, dict[str, Any]]]:
        """The documents of an owner (None: of all), in the order in which they were written first."""
        assert kind in KINDS  # noqa: S101
        chosen = "" if owner is None else "WHERE owner = ?"
        query = f"SELECT place, document FROM {kind} {chosen} ORDER BY rowid"  # noqa: S608
        with self._lock:
            rows = self._database.execute(query, () if owner is None else (owner,)).fetchall()
        return ((place, json.loads(document)) for place, document in rows)

    # ---------------------------------------------------------------- objects
    def store(self, parts: Iterable[bytes]) -> "StoredFile":
        """Writes bytes into a file of their own, which is on the disk when it returns."""
        path = self._objects / uuid.uuid4().hex
        try:
            with path.open("xb") as file:
                for part in parts:
                    file.write(part)
                file.flush()
                os.fsync(file.fileno())
        except BaseException:
            path.unlink(missing_ok=True)  # a full disk must not be filled by what did not fit
            raise
        folder = os.open(self._objects, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return StoredFile(path)

    def find(self, name: str) -> "StoredFile":
        """The file of that name."""
        return StoredFile(self._objects / name)


class StoredFile:
    """A stored object's bytes, as moto reads them: opened for each read, so that a thousand objects hold no file open."""

    def __init__(self, path: Path) -> None:
        self.path, self._place = path, 0

    def __len__(self) -> int:
        return self.path.stat().st_size

    def seek(self, place: int) -> None:
        self._place = place

    def read(self, size: int = -1) -> bytes:
        with self.path.open("rb") as file:
            file.seek(self._place)
            found = file.read(size)
        self._place += len(found)
        return found

    def close(self) -> None:
        """Nothing is open. Whoever takes the object out of its bucket removes the file."""

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)


def in_parts(source: Any) -> Iterator[bytes]:
    """What a file-like object holds, from its start."""
    source.seek(0)
    while part := source.read(PART_BYTES):
        yield part
