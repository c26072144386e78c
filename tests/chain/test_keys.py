"""Keys that the source compares otherwise than by their characters, through the whole chain."""

import pytest

from tests.chain.conftest import Stack
from tests.chain.test_reconcile import compared, reconciled  # noqa: F401 - a fixture


@pytest.mark.parametrize("strategy", ["merge", "scd2"])
def test_should_follow_a_key_into_its_new_spelling(compared: Stack, name, strategy):  # noqa: F811
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


def test_should_take_a_querys_collation_from_the_servers_description(compared: Stack, name):  # noqa: F811
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
