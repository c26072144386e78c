"""SQL Server keeps what every kind of source must, by a rowversion, which every change makes grow."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import pytest

from events.targets import SourceTable
from flowforge.sources.base import Source
from flowforge.sources.plans import Wanted
from flowforge.sources.registry import source_of
from flowforge.sources.sqlserver.connection import SourceConnection
from flowforge.sources.target import Target
from tests.helpers.source_conformance import Conformance
from tests.helpers.source_questions import Questions
from tests.helpers.source_server import Server


@dataclass
class Database:
    """See `source_conformance.UnderTest`."""

    server: Server
    connection: SourceConnection
    scratch: Callable[..., str]

    def source(self) -> Source:
        return source_of(Target(self.server.reference, self.server.credentials))

    def table(self, rows: int) -> str:
        name = self.scratch("id int NOT NULL PRIMARY KEY, text nvarchar(20), changed rowversion")
        self.add(name, range(1, rows + 1))
        return name

    def add(self, table: str, keys: Iterable[int]) -> None:
        values = ", ".join(f"({key}, N'row {key}')" for key in keys)
        self.connection.run(f"INSERT INTO {table} (id, text) VALUES {values}")

    def change(self, table: str, keys: Iterable[int]) -> None:
        wanted = ", ".join(map(str, keys))
        self.connection.run(f"UPDATE {table} SET text = N'changed' WHERE id IN ({wanted})")

    def wanted(self, table: str, by_cursor: bool = True) -> Wanted:
        cursor = {"is_incremental": True, "delta_column": "CHANGED"} if by_cursor else {}
        return Wanted(SourceTable(table_name=table, count_rows="always", **cursor), bronze_table="bronze_t")


@pytest.fixture
def made(server, bank, scratch, monkeypatch) -> Database:
    monkeypatch.setenv("FLOWFORGE_SLICE_ROWS", "300")
    return Database(server, bank, scratch)


class TestSqlServer(Conformance):
    """All of it."""


class TestSqlServerAnswers(Questions):
    """All of it."""
