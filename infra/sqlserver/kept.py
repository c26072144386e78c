"""Statements that were compiled, and answers of the catalog, kept for whoever asks the same again.

A load asks each table the same few questions, in the same words, run after run. Reading, compiling and planning them takes
milliseconds, answering next to nothing. Two things are kept, for all sessions:

- a compiled statement, by its text. It is used while every fact that it asked of its session has the same answer (`asked.py`).
- the rows of a compiled text that reads nothing but the catalog's tables and what is written in it, while no definition has
  changed. A session whose transaction sees a state of its own (a snapshot, its own definitions) neither reads nor fills these.
"""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from .catalog import Catalog
from .dialect import LONGEST_KEPT
from .encode import Encoded
from .scopes import Query

Question = Callable[[Any], Any]  # asked of a session

_KEPT = 2_048  # statements, and as many answers: those used last
_LARGEST_ANSWER = 16 * 1024  # bytes
_CATALOG = {"schemas", "objects", "columns", "types", "indexes", "index_columns", "foreign_keys", "foreign_key_columns",
            "captures"}  # fmt: skip
_PLACES = re.compile(r"\bmeta\.(\w+)")
# A user's rows, and what gives another value each time.
_CHANGES = re.compile(r"\"db_|\b(?:random|uuid|gen_random_uuid|nextval|currval|now|duckdb_\w+) *\(|\bcurrent_", re.I)


@dataclass(frozen=True)
class Compiled:
    """A SELECT as it was compiled: its query, what that depends on, and whether it reads from anything."""

    query: Query
    facts: tuple[tuple[Question, Any], ...]
    has_from: bool
    has_tables: bool

    def holds_for(self, session: Any) -> bool:
        """Whether the session would have it compiled to the same text. Raises what its compilation would raise."""
        return all(question(session) == answer for question, answer in self.facts)


class Kept:
    """What a server keeps. Used by all its threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._compiled: OrderedDict[str, Compiled] = OrderedDict()
        self._answers: OrderedDict[str, tuple[int, list[Encoded]]] = OrderedDict()
        self.views: dict[str, Any] = {}  # how each system view is shown, which never changes

    def compiled(self, text: str) -> Compiled | None:
        """The statement of this text; whether it still holds is for the session to say."""
        with self._lock:
            found = self._compiled.get(text)
            if found is not None:
                self._compiled.move_to_end(text)
            return found

    def keep_compiled(self, text: str, compiled: Compiled) -> None:
        """Keeps a statement that asked nothing but facts."""
        if len(text) <= LONGEST_KEPT:
            with self._lock:
                _put(self._compiled, text, compiled)

    def answer(self, sql: str, catalog: Catalog) -> list[Encoded] | None:
        """The rows of a DuckDB text, if they are known for the newest definitions and the catalog's session sees these."""
        if catalog.is_apart:
            return None
        with self._lock:
            version, found = self._answers.get(sql, (-1, None))
            if found is None or version != catalog.version.number:
                return None
            self._answers.move_to_end(sql)
            return found

    def keep_answer(self, sql: str, batches: list[pa.RecordBatch], catalog: Catalog) -> list[Encoded]:
        """Keeps the rows of a text for the version of the catalog at which its statement began."""
        answer = [Encoded(batch) for batch in batches]
        if not catalog.is_apart and sum(batch.nbytes for batch in batches) <= _LARGEST_ANSWER:
            with self._lock:
                _put(self._answers, sql, (catalog.found_at, answer))
        return answer


def is_of_catalog(sql: str) -> bool:
    """Whether a DuckDB text reads the catalog's own tables and nothing else that could change."""
    return set(_PLACES.findall(sql)) <= _CATALOG and _CHANGES.search(sql) is None


def _put(kept: OrderedDict[str, Any], key: str, value: Any) -> None:
    kept[key] = value
    kept.move_to_end(key)
    if len(kept) > _KEPT:
        kept.popitem(last=False)
