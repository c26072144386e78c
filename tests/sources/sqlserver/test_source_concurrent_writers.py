"""Loads beside writers: whatever order transactions commit in, every committed row is read, and none twice."""

import random
import threading
import time

import pytest

from events.targets import SourceTable
from flowforge.sources.sqlserver.bounds import plan_interval
from flowforge.sources.sqlserver.catalog import describe_table
from flowforge.sources.sqlserver.connection import connect
from flowforge.sources.sqlserver.sql_text import select_statement

WRITERS, TRANSACTIONS, DEADLINE_SECONDS = 3, 8, 30
LONG_SECONDS = 1.6  # longer than the guard: a bound without the oldest transaction's age would pass it


class Load:
    """What ingest does with one cursor, in memory: plan, read, move the watermark."""

    def __init__(self, connection, description, column):
        self.connection, self.description = connection, description
        self.source = SourceTable(table_name=description.name, is_incremental=True, delta_column=column)
        self.low, self.samples, self.read = None, None, []

    def run(self) -> None:
        # keyed=False: no overlap, so that a row read twice would show as well
        plan = plan_interval(self.connection, self.description, self.source, self.low, self.samples, keyed=False)
        self.samples = plan.samples
        if not plan.empty:
            columns = [c for c in self.description.source_columns if c.name == "id"]
            statement = select_statement(self.description, columns, plan.interval)
            self.read += [row["id"] for row in self.connection.rows(statement)]
            self.low = plan.interval.high


def write(server, table: str, seed: int, committed: set[int]) -> None:
    """Transactions that stamp first and commit later, some of them never."""
    chance = random.Random(seed)
    with connect(server.reference, server.credentials) as connection:
        for number in range(TRANSACTIONS):
            long_until = time.monotonic() + (LONG_SECONDS if number == TRANSACTIONS // 2 else 0)
            connection.run("BEGIN TRANSACTION")
            ids = set()
            for _ in range(chance.randint(1, 3)):
                ids.add(connection.scalar(f"INSERT INTO {table} (at) OUTPUT inserted.id VALUES (SYSDATETIME())"))
                for _ in range(chance.randint(0, 30)):
                    connection.scalar("SELECT 1 AS a")  # time passes while the transaction is open
            while time.monotonic() < long_until:
                connection.scalar("SELECT 1 AS a")
            if number == TRANSACTIONS // 2 or chance.random() < 0.8:
                connection.run("COMMIT TRANSACTION")
                committed |= ids
            else:
                connection.run("ROLLBACK TRANSACTION")


@pytest.mark.parametrize("column", ["at", "id", "v"])
def test_should_read_every_committed_row_once_while_others_write(bank, server, scratch, column):
    table = scratch("id int IDENTITY(1,1) NOT NULL PRIMARY KEY, at datetime2(7) NOT NULL, v rowversion")
    load, committed = Load(bank, describe_table(bank, table), column), set()
    writers = [threading.Thread(target=write, args=(server, table, seed, committed)) for seed in range(WRITERS)]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        load.run()
    deadline = time.monotonic() + DEADLINE_SECONDS
    while len(load.read) < len(committed) and time.monotonic() < deadline:
        load.run()
    assert committed
    assert sorted(load.read) == sorted(committed)
