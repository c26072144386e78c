"""Derived columns are asked for in a request and arrive in silver and gold like any other column."""

from tests.helpers.stack import own

ASKED = ["offset", "baseType", "srid"]


def test_should_carry_derived_columns_of_a_table_and_of_a_query_to_silver_and_gold(stack, name):
    stack.execute(
        f"CREATE TABLE {name} (id int PRIMARY KEY, at datetimeoffset(3), v sql_variant, g geography)",
        f"INSERT INTO {name} VALUES (1, '2024-02-29 12:00:00 +05:30', CAST(42 AS sql_variant), geography::Point(19, 72, 4326))",
        f"INSERT INTO {name} VALUES (2, '2024-02-29 12:00:00 -11:00', CAST(N'42' AS sql_variant), NULL)",
    )
    expected = [(1, 330, "42", "int", 4326), (2, -660, "42", "nvarchar", None)]
    selected = "SELECT id, at_offset_minutes, v, v_base_type, g_srid FROM"
    for source in ({"tableName": name}, {"query": f"SELECT * FROM {name}"}):
        stack.load(source | {"derivedColumns": ASKED}, **own(name))
        assert stack.lake(f"{selected} silver.{name} ORDER BY id") == expected
        assert stack.lake(f"{selected} gold.{name} ORDER BY id") == expected


def test_should_refuse_a_derived_column_whose_name_is_taken_and_land_nothing(stack, name):
    stack.execute(
        f"CREATE TABLE {name} (id int PRIMARY KEY, g geography, g_srid int)", f"INSERT INTO {name} (id) VALUES (1)"
    )
    run = stack.run(stack.request({"tableName": name, "derivedColumns": ["srid"]}, **own(name)))
    (table,) = run["tables"]
    assert table["status"] == "failed"
    assert f"dbo.{name}" in table["error"]["cause"] and "'g_srid'" in table["error"]["cause"]
    assert "derivedColumns" in table["error"]["remedy"]
