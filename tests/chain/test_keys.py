"""Keys that the source compares otherwise than by their characters, through the whole chain."""

import pytest

from tests.helpers.stack import Stack, reconciled


@pytest.mark.parametrize("strategy", ["merge", "scd2"])
def test_should_follow_a_key_into_its_new_spelling(compared: Stack, name, strategy):
    compared.execute(
        f"CREATE TABLE {name} (code nvarchar(20) NOT NULL, part varchar(5) COLLATE Latin1_General_BIN2 NOT NULL, v int, "
        "changed rowversion, PRIMARY KEY (code, part))",
        f"INSERT INTO {name} (code, part, v) VALUES (N'abc', 'x', 1), (N'abc', 'X', 2), (N'Ünal', 'x', 3)",
    )
    config = {"tableName": name, "isIncremental": True, "deltaColumn": "changed"}
    where = {"silverConfig": {"tableName": name, "mergeStrategy": strategy}}
    assert compared.load(config, **where)["silver_rows"] == 3
    compared.execute(
        f"UPDATE {name} SET code = N'ABC' WHERE code = N'abc' AND part = 'x'",
        f"UPDATE {name} SET code = N'ÜNAL  ', v = 4 WHERE code = N'ünal'",
    )
    assert compared.load(config, **where)["records"] == 2
    current = " WHERE _is_current" if strategy == "scd2" else ""
    rows = compared.lake(f"SELECT code, part, v FROM silver.{name}{current} ORDER BY v")
    assert rows == [("ABC", "x", 1), ("abc", "X", 2), ("ÜNAL  ", "x", 4)]
    answer = reconciled(compared, name)
    assert (answer["differs"], answer["source_rows"], answer["only_in_silver"]) == (False, 3, 0)
    compared.execute(f"DELETE FROM {name} WHERE v = 4")
    assert reconciled(compared, name)["only_in_silver"] == 1


def test_should_name_a_key_that_may_be_another_ones_new_spelling_and_take_the_old_one_out(compared: Stack, name):
    compared.execute(
        f"CREATE TABLE {name} (code nvarchar(20) NOT NULL PRIMARY KEY, v int, changed rowversion)",
        f"INSERT INTO {name} (code, v) VALUES (N'Straße', 1), (N'x', 1)",
    )
    config = {"tableName": name, "isIncremental": True, "deltaColumn": "changed"}

    def told(loaded: dict) -> list[str]:
        return [note for note in loaded["notes"] if "spelling" in note]

    assert told(compared.load(config)) == []
    compared.execute(f"UPDATE {name} SET code = N'Strasse' WHERE v = 1 AND code <> N'x'")
    (note,) = told(compared.load(config))
    assert f"silver.{name}: beside 1 of its keys stands another spelling" in note
    assert f"code 'Strasse' and 'Straße'; flowforge reconcile {name} tells which of them the source has" in note
    answer = reconciled(compared, name)
    assert (answer["only_in_silver"], answer["only_in_silver_examples"]) == (1, ["Straße"])
    refreshed = compared.load({"tableName": name}, bronzeConfig={"loadStrategy": "full_refresh"})
    assert (told(refreshed), refreshed["deleted"]) == ([], 1)
    assert compared.lake(f"SELECT code FROM silver.{name} ORDER BY 1") == [("Strasse",), ("x",)]


def test_should_take_a_querys_collation_from_the_servers_description(compared: Stack, name):
    compared.execute(
        f"CREATE TABLE {name} (code nvarchar(20) NULL, part int NOT NULL, v int, UNIQUE (part, code))",
        f"INSERT INTO {name} VALUES (N'abc', 1, 1), (NULL, 1, 2), (NULL, 2, 3)",
    )
    config = {"query": f"SELECT code, part, v FROM {name}"}
    silver = {"tableName": name, "primaryKey": ["part", "code"]}
    where = {"bronzeConfig": {"tableName": f"bronze_{name}"}, "silverConfig": silver}
    assert compared.load(config, **where)["silver_rows"] == 3
    compared.execute(
        f"UPDATE {name} SET code = N'ABC', v = 9 WHERE code = N'abc'", f"UPDATE {name} SET v = 8 WHERE code IS NULL"
    )
    table = compared.load(config, **where)
    assert (table["silver_rows"], table.get("quarantined", 0)) == (3, 0)
    assert compared.lake(f"SELECT code, part, v FROM silver.{name} ORDER BY part, v") == [
        (None, 1, 8),
        ("ABC", 1, 9),
        (None, 2, 8),
    ]


@pytest.mark.parametrize(
    ("kind", "times", "more"),
    [
        ("datetime2(7)", ("2024-01-01 10:00:00.1234561", "2024-01-01 10:00:00.1234568"), "2024-01-01 10:00:00.1234560"),
        ("time(7)", ("10:00:00.1234561", "10:00:00.1234568"), "10:00:00.1234560"),
        (
            "datetimeoffset(7)",
            ("2024-01-01 10:00:00.1234561 +02:00", "2024-01-01 08:00:00.1234568 +00:00"),
            "2024-01-01 09:00:00.1234560 +01:00",
        ),
    ],
)
@pytest.mark.parametrize("strategy", ["merge", "scd2"])
def test_should_tell_keys_apart_by_all_their_digits(compared: Stack, name, kind, times, more, strategy):
    compared.execute(
        f"CREATE TABLE {name} (at {kind} NOT NULL PRIMARY KEY, v int, changed rowversion)",
        *(f"INSERT INTO {name} (at, v) VALUES ('{time}', {n})" for n, time in enumerate(times)),
    )
    config = {"tableName": name, "isIncremental": True, "deltaColumn": "changed"}
    where = {"silverConfig": {"tableName": name, "mergeStrategy": strategy}}
    table = compared.load(config, **where)
    assert (table["silver_rows"], table.get("quarantined", 0)) == (2, 0)
    compared.execute(
        f"INSERT INTO {name} (at, v) VALUES ('{more}', 2)", f"UPDATE {name} SET v = 9 WHERE at = '{times[1]}'"
    )
    compared.load(config, **where)
    current = " WHERE _is_current" if strategy == "scd2" else ""
    assert compared.lake(f"SELECT at_100ns, v FROM silver.{name}{current} ORDER BY v") == [(1, 0), (0, 2), (8, 9)]
    answer = reconciled(compared, name)
    assert (answer["differs"], answer["source_rows"]) == (False, 3)


def test_should_refuse_a_key_that_no_type_of_the_lake_compares_as_the_server_does(compared: Stack, name):
    compared.execute(f"CREATE TABLE {name} (k sql_variant NOT NULL, v int)", f"INSERT INTO {name} VALUES (1, 1)")
    keyed = {"silverConfig": {"tableName": name, "primaryKey": "k"}}
    refused = compared.run(compared.request({"tableName": name}, **keyed))["tables"][0]
    assert refused["status"] == "failed"
    assert f"dbo.{name}: the key column 'k' is a sql_variant" in refused["error"]["cause"]
    assert "a query that converts it" in refused["error"]["remedy"]
    assert compared.load({"tableName": name}, silverConfig={"tableName": name})["silver_rows"] == 1
