"""Where a session's results go: the wire in real life."""

from __future__ import annotations

from typing import Protocol

import pyarrow as pa

from .encode import Encoded
from .errors import SqlError
from .scopes import Output
from .types import SqlType


class Sink(Protocol):
    """Where a session's results go."""

    def columns(self, outputs: tuple[Output, ...]) -> None: ...
    def rows(self, batch: pa.RecordBatch | Encoded, types: list[SqlType]) -> None: ...
    def done(self, verb: str, count: int | None) -> None: ...
    def message(self, number: int, text: str, severity: int, state: int) -> None: ...
    def failed(self, error: SqlError) -> None: ...
    def transaction_changed(self, kind: str, number: int) -> None: ...
    def wait(self, seconds: float) -> None: ...
