"""Synonyms, temporal, sparse and graph tables land their real columns."""

import pytest

from flowforge.domain.errors import UnknownTable, UnsupportedSource
from tests.helpers.loads import landed


def test_should_read_what_a_synonym_stands_for(loads):
    load = loads()
    database = load.connection.database
    load.execute(
        "CREATE SYNONYM dbo.s_{t} FOR dbo.{t}",
        f"CREATE SYNONYM dbo.s3_{{t}} FOR [{database}].dbo.{{t}}",
        "CREATE SYNONYM dbo.remote_{t} FOR [other_server].[ledger].[dbo].[{t}]",
        "CREATE SYNONYM dbo.nothing_{t} FOR dbo.none_such",
    )
    for n, synonym in enumerate((f"s_{load.name}", f"S3_{load.name}")):
        (fact,) = load.load(f"r{n}", column=None, table_name=synonym)
        assert (fact.source_table, fact.records) == (f"dbo.{load.name}", 3)
        assert any("is a synonym: what is read is" in note for note in fact.notes)
    with pytest.raises(UnsupportedSource, match=r"is a synonym of \[other_server\]") as caught:
        load.load("r8", column=None, table_name=f"remote_{load.name}")
    assert f"a query that reads dbo.remote_{load.name}" in caught.value.remedy
    with pytest.raises(UnknownTable, match=r"dbo\.none_such"):
        load.load("r9", column=None, table_name=f"nothing_{load.name}")


def test_should_land_the_period_of_a_temporal_table_though_it_is_hidden(loads):
    load = loads()
    load.execute(
        "DROP TABLE {t}",
        "CREATE TABLE {t} (id int PRIMARY KEY, since datetime2(7) GENERATED ALWAYS AS ROW START HIDDEN NOT NULL, "
        "until datetime2(7) GENERATED ALWAYS AS ROW END HIDDEN NOT NULL, PERIOD FOR SYSTEM_TIME (since, until)) "
        "WITH (SYSTEM_VERSIONING = ON (HISTORY_TABLE = dbo.{t}_history))",
        "INSERT INTO {t} (id) VALUES (1)",
    )
    (fact,) = load.load("r1", column=None)
    (row,) = landed(fact)
    assert list(row)[:3] == ["id", "since", "until"]
    assert row["until"].year == 9999 and row["since"].year >= 2024
    assert any("its history is a table of its own" in note for note in fact.notes)


def test_should_land_sparse_columns_and_no_column_set(loads):
    load = loads()
    load.execute(
        "DROP TABLE {t}",
        "CREATE TABLE {t} (id int PRIMARY KEY, a int SPARSE NULL, b nvarchar(9) SPARSE NULL, "
        "rest xml COLUMN_SET FOR ALL_SPARSE_COLUMNS)",
        "INSERT INTO {t} (id, b) VALUES (1, N'x')",
    )
    (fact,) = load.load("r1", column=None)
    (row,) = landed(fact)
    assert [row["id"], row["a"], row["b"]] == [1, None, "x"] and "rest" not in row
    assert any("the column set rest is left out" in note for note in fact.notes)


def test_should_land_the_ids_of_a_graph_table_by_their_pseudo_columns(loads):
    load = loads()
    load.execute(
        "DROP TABLE {t}",
        "CREATE TABLE {t} (id int PRIMARY KEY, v int) AS NODE",
        "INSERT INTO {t} (id, v) VALUES (1, 2)",
    )
    (fact,) = load.load("r1", column=None)
    (row,) = landed(fact)
    names = [name for name in row if not name.startswith("_")]
    assert names[0].startswith("$node_id_") and names[1:] == ["id", "v"]
    assert '"type":"node"' in row[names[0]]
