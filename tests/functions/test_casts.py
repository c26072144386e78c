"""A column that is loaded as another type: in bronze, in what later loads hold to, in lineage and in a comparison."""

from decimal import Decimal

import pytest

from flowforge.bronze.announcements import landed_fact
from flowforge.domain.errors import UnknownColumn, UnsupportedSource
from flowforge.domain.given import given
from flowforge.lineage.origins import TRANSFORMATION
from flowforge.lineage.step_columns import bronze_columns
from flowforge.operations.batches import rebuild_states
from flowforge.operations.footers import read_footers
from flowforge.runtime.settings import settings
from flowforge.sources.sqlserver.source import SqlServer
from flowforge.state import batch_records, table
from tests.helpers.loads import landed, run_slices


def test_should_load_a_column_as_another_type_and_remember_it(loads):
    load = loads()
    load.execute("ALTER TABLE {t} ADD amount varchar(20) NOT NULL DEFAULT '1.50', n bigint", "UPDATE {t} SET n = id")
    (fact,) = load.load("a", cast={"AMOUNT": "decimal(9,2)", "n": "int"}, rename={"amount": "total"})
    assert [(row["total"], row["n"]) for row in landed(fact)] == [(Decimal("1.50"), n) for n in (10, 20, 30)]
    (batch,) = batch_records.history(load.key)
    columns = {column.name: column for column in given(batch.manifest).columns}
    assert (columns["total"].type, columns["total"].type_at_source) == ("decimal(9,2)", "varchar(20)")
    scope = given(table.read_state(load.key).scope)
    assert scope.cast == {"amount": "decimal(9,2)", "n": "int"}
    (rebuilt,) = rebuild_states(read_footers(settings().bucket, f"bronze_{load.name}"), settings().bucket)
    assert rebuilt.state.scope == scope
    (origin,) = bronze_columns(given(batch.manifest).columns, "s").fields["total"]
    assert origin.role == TRANSFORMATION


def test_should_land_nothing_where_a_value_does_not_fit(loads):
    load = loads()
    load.execute("ALTER TABLE {t} ADD amount varchar(20)", "UPDATE {t} SET amount = '1.5' WHERE id <> 20",
                 "UPDATE {t} SET amount = 'n/a' WHERE id = 20")  # fmt: skip
    with pytest.raises(UnsupportedSource, match=r"column 'amount' holds a value .* in the row with key 20") as caught:
        load.load("a", cast={"amount": "decimal(9,2)"})
    assert "databaseConfig.cast" in str(caught.value) and "n/a" not in str(caught.value)
    assert load.watermark() is None


def test_should_cast_in_each_slice(loads, sliced):
    load = loads(rows="INSERT INTO {t} SELECT account_id, '2024-01-01' FROM accounts WHERE account_id < 1008")
    load.execute("ALTER TABLE {t} ADD n varchar(9)", "UPDATE {t} SET n = '7'")
    assert load.load("a", cast={"n": "int"}) == []
    run_slices(load)
    (batch,) = batch_records.history(load.key)
    assert batch.state == "landed" and len(given(batch.manifest).objects) > 1
    assert {row["n"] for row in landed(landed_fact(batch))} == {7}


def test_should_cast_no_key_no_cursor_and_nothing_that_is_not_there(loads):
    load = loads()
    load.execute("ALTER TABLE {t} ADD a int")
    for name in ("id", "AT"):
        with pytest.raises(UnsupportedSource, match=r"databaseConfig\.cast names '.*', which is a key or a cursor"):
            load.load("a", cast={name: "varchar(30)"})
    with pytest.raises(UnknownColumn, match="no column 'nope'"):
        load.load("a", cast={"nope": "int"})
    with pytest.raises(UnsupportedSource, match=r"databaseConfig\.cast of 'a': int is not cast to date") as caught:
        load.load("a", cast={"a": "date"})
    assert "varchar(11) or longer" in caught.value.remedy


def test_should_say_at_submit_that_a_cast_names_no_type(loads):
    command = loads().command("a", cast={"a": "money("})
    assert SqlServer.mistakes(command.source, False) == [
        ("cast", "a: 'money(' is no type of SQL Server: write one of bit, tinyint, smallint, int, bigint, decimal, money, "
         "smallmoney, real, float, date, datetime2, datetimeoffset, varchar, nvarchar")
    ]  # fmt: skip


def test_should_read_a_table_once_more_as_its_loads_do(loads):
    load = loads()
    load.execute("ALTER TABLE {t} ADD n varchar(9)", "UPDATE {t} SET n = '7'")
    again = SqlServer(load.connection).reread(load.name, {"n": "int"})
    assert {column.name: column.type for column in again.columns}["n"] == "integer"
