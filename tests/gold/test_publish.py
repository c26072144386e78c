"""Gold from silver: the published copy, models, and SQL that must not run."""

import duckdb
import pyarrow as pa
import pytest

from flowforge.domain.errors import StoreUnavailable, TransformRejected
from flowforge.domain.given import given
from flowforge.engines.duckdb.storage import confine, duckdb_connection
from flowforge.engines.registry import ENGINE
from flowforge.gold.models import read_model
from flowforge.gold.publish import publish
from flowforge.runtime.time_limit import within
from flowforge.silver.refine import refine
from flowforge.tables.base import once
from flowforge.tables.lake import create_table, open_table, table_uri


def accounts(*rows: tuple[int, int, int]) -> pa.Table:
    return pa.table({name: [row[n] for row in rows] for n, name in enumerate(("id", "customer_id", "balance"))})


def customers(*rows: tuple[int, str]) -> pa.Table:
    names = pa.array([row[1] for row in rows], pa.string())
    return pa.table({"id": pa.array([row[0] for row in rows], pa.int64()), "name": names})


def gold(lake, table: str) -> list[dict]:
    return lake.read("gold", table).to_pylist()


def model(table: str, sql: str) -> dict:
    return {"table": None, "models": [{"table": table, "sql": sql}]}


BALANCES = """
-- what each customer has
WITH sums AS (SELECT customer_id, sum(balance) AS total FROM silver.accounts GROUP BY ALL)
SELECT c.name, s.total FROM silver.customers c JOIN sums s ON s.customer_id = c.id;
"""


ENDLESS = "WITH RECURSIVE t(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM t) SELECT max(n) AS n FROM t, silver.customers"
AFTER_COPY = {"table": "b", "sql": "SELECT 1 AS n FROM gold.zeta"}
ENDLESS_FIRST = {"table": "zeta", "models": [{"table": "a", "sql": ENDLESS}, AFTER_COPY]}


def test_should_stop_a_model_that_never_ends_and_build_those_beside_it(lake, monkeypatch):
    monkeypatch.setenv("FLOWFORGE_MODEL_SECONDS", "0.5")
    batch = lake.source(key=["id"], gold=ENDLESS_FIRST).batch(1, customers((1, "Ann")))
    refine(batch, lake.bucket)
    with pytest.raises(TransformRejected, match=r"gold\.a.* was not built within 0\.5 s") as refusal:
        publish(batch, lake.bucket)
    assert list(refusal.value.gold_tables) == ["a"]
    assert "ModelSeconds" in refusal.value.with_remedy
    assert [len(gold(lake, table)) for table in ("zeta", "b")] == [1, 1]


def test_should_try_a_model_again_that_had_only_what_others_left_of_the_functions_time(lake):
    batch = lake.source(key=["id"], gold=ENDLESS_FIRST).batch(1, customers((1, "Ann")))
    refine(batch, lake.bucket)
    with within(1), pytest.raises(StoreUnavailable, match="models before it"):
        publish(batch, lake.bucket)


def test_should_publish_a_copy_without_the_internal_columns(lake):
    batch = lake.source(key=["id"]).batch(1, customers((1, "Ann"), (2, "Bob")))
    refine(batch, lake.bucket)
    assert publish(batch, lake.bucket).gold_tables == {"customers": 2}
    rows = sorted(gold(lake, "customers"), key=str)
    assert [list(row) for row in rows] == [["id", "name", "_sk_id"]] * 2
    assert [(row["id"], row["name"]) for row in rows] == [(1, "Ann"), (2, "Bob")]


def test_should_publish_again_only_when_an_input_changed(lake):
    source = lake.source(key=["id"])
    batch = source.batch(1, customers((1, "Ann")))
    refine(batch, lake.bucket)
    versions = []
    for _ in range(2):
        assert publish(batch, lake.bucket).gold_tables == {"customers": 1}
        versions.append(given(open_table(table_uri(lake.bucket, "gold", "customers"))).version())
    assert versions[0] == versions[1]
    second = source.batch(2, customers((1, "Anna"), (2, "Bob")))
    refine(second, lake.bucket)
    assert publish(second, lake.bucket).gold_tables == {"customers": 2}
    assert {row["name"] for row in gold(lake, "customers")} == {"Anna", "Bob"}


def test_should_defer_a_model_until_its_inputs_exist(lake):
    target = model("balances", BALANCES)
    first = lake.source("customers", key=["id"], gold=target).batch(1, customers((1, "Ann")))
    refine(first, lake.bucket)
    assert publish(first, lake.bucket).deferred == ["gold.balances waits for silver.accounts"]
    second = lake.source("accounts", key=["id"], gold=target).batch(1, accounts((7, 1, 40), (8, 1, 2)))
    refine(second, lake.bucket)
    assert publish(second, lake.bucket).gold_tables == {"balances": 1}
    assert [(row["name"], int(row["total"])) for row in gold(lake, "balances")] == [("Ann", 42)]


def test_should_defer_a_model_while_an_input_has_been_created_and_no_more(lake):
    """Its worker makes the table and then commits the first batch: in between, or where it dies there, no rule may fail."""
    target = model("balances", '-- @qualityRule {"rule": "row_count", "min": 1}\n' + BALANCES)
    batches = {
        name: lake.source(name, key=["id"], gold=target).batch(1, rows)
        for name, rows in (("customers", customers((1, "Ann"))), ("accounts", accounts((7, 1, 40))))
    }
    uri = table_uri(lake.bucket, "silver", "accounts")
    with ENGINE.session() as session:
        create_table(uri, session.sql("SELECT 1 AS id, 1 AS customer_id, 1 AS balance"), {})
    refine(batches["customers"], lake.bucket)
    assert publish(batches["customers"], lake.bucket).deferred == ["gold.balances waits for silver.accounts"]
    with ENGINE.session() as session:
        given(open_table(uri)).overwrite(session.sql("SELECT 7 AS id, 1 AS customer_id, 40 AS balance"), once())
    assert publish(batches["accounts"], lake.bucket).gold_tables == {"balances": 1}


def test_should_build_models_in_the_order_of_their_dependencies(lake):
    target = {
        "table": "customers",
        "models": [
            {"table": "last", "sql": "SELECT n + 1 AS n FROM gold.middle"},
            {"table": "middle", "sql": 'SELECT count(*) AS n FROM gold."customers"'},
        ],
    }
    batch = lake.source(key=["id"], gold=target).batch(1, customers((1, "Ann"), (2, "Bob")))
    refine(batch, lake.bucket)
    assert publish(batch, lake.bucket).gold_tables == {"customers": 2, "middle": 1, "last": 1}
    assert gold(lake, "last") == [{"n": 3}]


def test_should_rebuild_when_the_query_changed(lake):
    for n in (1, 2):
        target = model("x", f"SELECT {n} AS n, name FROM silver.customers")
        batch = lake.source(key=["id"], gold=target).batch(1, customers((1, "Ann")))
        refine(batch, lake.bucket)
        publish(batch, lake.bucket)
    assert gold(lake, "x") == [{"n": 2, "name": "Ann"}]


def test_should_keep_the_old_version_and_the_siblings_when_a_model_fails(lake):
    good = {"table": "good", "sql": "SELECT name FROM silver.customers"}
    source = lake.source(key=["id"])
    batch = source.batch(1, customers((1, "11")), gold={"table": None, "models": [good]})
    refine(batch, lake.bucket)
    publish(batch, lake.bucket)
    broken = [
        {"table": "broken", "sql": "SELECT nmae FROM silver.customers"},
        {"table": "failing", "sql": "SELECT CAST(name AS INTEGER) AS n FROM silver.customers"},
    ]
    second = source.batch(2, customers((1, "secret words")), gold={"table": None, "models": [*broken, good]})
    refine(second, lake.bucket)
    with pytest.raises(TransformRejected) as refusal:
        publish(second, lake.bucket)
    assert 'gold.broken (line 1): Binder Error: Referenced column "nmae" not found' in str(refusal.value)
    assert "Candidate bindings" in str(refusal.value) and "\n" not in str(refusal.value)
    assert "gold.failing (line 1): Conversion Error" in str(refusal.value)
    assert "secret words" not in str(refusal.value)
    assert gold(lake, "good") == [{"name": "secret words"}]
    assert open_table(table_uri(lake.bucket, "gold", "broken")) is None


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("ATTACH 'x.db'", "ATTACH is not allowed"),
        ("COPY silver.customers TO 's3://elsewhere/x'", "COPY is not allowed"),
        ("PRAGMA database_list", "PRAGMA is not allowed"),
        ("DROP TABLE silver.customers", "DROP is not allowed"),
        ("SELECT 1; SELECT 2", "found 2 statements"),
        ("SELECT * FROM read_parquet('s3://other/x.parquet')", "read_parquet is not allowed"),
        ("SELECT * FROM read_text('/proc/self/environ')", "read_text is not allowed"),
        ("SELECT * FROM parquet_scan('x')", "parquet_scan is not allowed"),
        ("SELECT * FROM 's3://other/x.parquet'", "is not known here"),
        ("SELECT * FROM duckdb_secrets()", "duckdb_secrets is not allowed"),
        ("SELECT * FROM query('SELECT 1')", "query is not allowed"),
        ("SELECT current_setting('temp_directory') FROM silver.customers", "current_setting is not allowed"),
        ("SELECT * FROM bronze.bronze_customers", "is not known here"),
        ("SELECT * FROM customers", "write silver.<table> or gold.<table>"),
        ("SELECT * FROM gold.forbidden", "reads itself"),
        ("SELECT FROM WHERE", "cannot be read as SQL"),
    ],
)
def test_should_find_sql_that_is_more_than_a_query(sql, reason):
    with pytest.raises(TransformRejected) as refusal:
        read_model("forbidden", sql)
    assert str(refusal.value).startswith("gold.forbidden")
    assert reason in str(refusal.value)


def test_should_refuse_forbidden_sql_and_publish_nothing_of_it(lake):
    sql = "SELECT * FROM read_text('/proc/self/environ')"
    batch = lake.source(key=["id"], gold=model("forbidden", sql)).batch(1, customers((1, "Ann")))
    with pytest.raises(TransformRejected, match=r"the table function read_text is not allowed|the function read_text"):
        publish(batch, lake.bucket)
    assert open_table(table_uri(lake.bucket, "gold", "forbidden")) is None


def test_should_confine_a_connection_whatever_its_sql_says(lake):
    batch = lake.source(key=["id"]).batch(1, customers((1, "Ann")))
    refine(batch, lake.bucket)
    uri = given(open_table(table_uri(lake.bucket, "silver", "customers"))).file_uris()[0]
    landed = f"s3://{lake.bucket}/{batch.manifest.objects[0].key}"
    with duckdb_connection() as connection:
        confine(connection, [uri])
        assert connection.execute(f"SELECT count(*) FROM read_parquet('{uri}')").fetchone() == (1,)
        for sql in (
            f"SELECT * FROM read_parquet('{landed}')",
            "SELECT * FROM read_text('/etc/hostname')",
            f"COPY (SELECT 1) TO 's3://{lake.bucket}/written.parquet'",
            "ATTACH 'file.db'",
            "SET enable_external_access = true",
            "LOAD '/tmp/any.duckdb_extension'",  # its signature is checked once in a process only, so none may be loaded
            "INSTALL json",
        ):
            with pytest.raises(duckdb.Error, match=r"disabled (by|through) configuration|locked|Cannot"):
                connection.execute(sql)


def test_should_refuse_models_in_a_circle(lake):
    models = [{"table": "a", "sql": "SELECT * FROM gold.b"}, {"table": "b", "sql": "SELECT * FROM gold.a"}]
    batch = lake.source(key=["id"], gold={"table": "copy", "models": models}).batch(1, customers((1, "Ann")))
    refine(batch, lake.bucket)
    with pytest.raises(TransformRejected, match="in a circle"):
        publish(batch, lake.bucket)
    assert [row["name"] for row in gold(lake, "copy")] == ["Ann"]


def test_should_refuse_two_models_for_one_table(lake):
    target = {"table": "x", "models": [{"table": "x", "sql": "SELECT * FROM silver.customers"}]}
    batch = lake.source(key=["id"], gold=target).batch(1, customers((1, "Ann")))
    refine(batch, lake.bucket)
    with pytest.raises(TransformRejected, match="two definitions for one table"):
        publish(batch, lake.bucket)


def test_should_store_every_type_that_a_model_makes(lake):
    sql = """SELECT 255::UTINYINT AS u8, sum(id) AS big, TIME '01:02:03.5' AS t, uuid() AS u, now() AS z,
             TIMESTAMP '2024-01-01' AS naive, INTERVAL 1 DAY AS i, [1, 2] AS list, {'a': 1} AS struct, NULL AS nothing,
             count(*) AS n, 1 AS n FROM silver.customers"""
    batch = lake.source(key=["id"], gold=model("types", sql)).batch(1, customers((1, "Ann")))
    refine(batch, lake.bucket)
    assert publish(batch, lake.bucket).gold_tables == {"types": 1}
    row = gold(lake, "types")[0]
    assert (row["u8"], row["t"], row["list"], row["struct"], row["n"], row["n_1"]) == (
        255, "01:02:03.5", [1, 2], {"a": 1}, 1, 1,
    )  # fmt: skip


def test_should_publish_empty_tables_too(lake):
    target = {"table": "customers", "models": [{"table": "n", "sql": "SELECT count(*) AS n FROM gold.customers"}]}
    batch = lake.source(key=["id"], gold=target).batch(1, customers())
    refine(batch, lake.bucket)
    assert publish(batch, lake.bucket).gold_tables == {"customers": 0, "n": 1}
    assert gold(lake, "n") == [{"n": 0}]
