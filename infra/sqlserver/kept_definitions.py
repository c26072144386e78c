"""What a session remembers of definitions: of one version of the catalog, or of its own transaction.

Guarantees: what is shared with other sessions was read by a transaction that began at the version which is still the newest as
it ends, or is a table that the transaction itself has made and committed.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from .catalog_tables import CatalogVersion


@dataclass(kw_only=True)
class KeptDefinitions:
    """What was read is kept until a definition changes."""

    version: CatalogVersion
    found_at: int = -1  # the version that the statement under way began at, or a later one
    has_changed: bool = False
    _found: dict = field(default_factory=dict)
    _made: dict = field(default_factory=dict)  # what the newest definition of the transaction under way has made
    _is_apart: bool = False
    _departed_at: int = -1  # the version that the transaction under way began at

    def begin_statement(self) -> None:
        """Drops what was remembered if any session has changed a definition since."""
        if self.found_at != self.version.number:
            self._drop()

    @property
    def is_apart(self) -> bool:
        """Whether the session's transaction may see other definitions than the newest that are committed."""
        return self._is_apart

    @property
    def is_behind(self) -> bool:
        """Whether another session may have changed a definition since the transaction under way began."""
        return self._is_apart and not self.has_changed and self._departed_at != self.version.number

    def depart(self) -> None:
        """Called before a transaction begins in DuckDB: what it finds from here on is its own."""
        self._found, self._is_apart, self._departed_at = dict(self._found), True, self.version.number

    def forget(self) -> None:
        """Called after a change of a definition in this session."""
        self.has_changed, self._made = True, {}
        self.version.advance()
        self._drop()

    @contextmanager
    def defining(self) -> Iterator[None]:
        """Holds one statement that defines something: what was read before it is old, but for a table that it has made."""
        self._made = {}
        yield
        if not self._made:
            self.forget()

    def _drop(self) -> None:
        self.found_at, found = self.version.now
        self._found = {} if self._is_apart else found

    def end_transaction(self, is_committed: bool = False) -> None:
        """Called when a transaction has ended: what it saw may be old, what it changed is now there for others. What it found is
        kept where nobody has changed a definition meanwhile: to read one table takes longer than most statements."""
        seen, number = (self._made, self.found_at) if self.has_changed else (self._found, self._departed_at)
        is_newest = number == self.version.number and (is_committed or not self.has_changed)
        if self.has_changed:
            self.has_changed = False
            self.version.advance()
        self._is_apart, self._made = False, {}
        self._drop()
        if is_newest:
            self._found.update(seen)
