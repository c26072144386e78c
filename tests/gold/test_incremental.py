"""Incremental models: they end with exactly the rows of a full build, whatever happened; and what cannot is refused."""

import json

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from flowforge.aws.clients import client
from flowforge.domain.errors import TransformRejected
from flowforge.domain.given import given as present
from flowforge.gold.models import copy_of_silver, read_model
from flowforge.operations.query import query
from flowforge.silver.refine import refine
from flowforge.tables.lake import open_table, table_uri
from tests.helpers.gold_models import accounts, build
from tests.helpers.lake import Lake, delta_table

BY_CUSTOMER = (
    "SELECT customer_id, sum(balance)::BIGINT AS total, count(*) AS n FROM silver.accounts GROUP BY customer_id"
)
MODELS = {
    "sums": (BY_CUSTOMER, ["customer_id"]),
    "named": (
        "SELECT a.id, c.name FROM silver.accounts a LEFT JOIN silver.customers c ON c.id = a.customer_id "
        "WHERE a.balance < 55",
        ["id"],
    ),
    "ranks": (
        "SELECT customer_id, id, rank() OVER (PARTITION BY customer_id, id ORDER BY balance) AS r FROM silver.accounts",
        ["customer_id", "id"],
    ),
}


def customers(*rows: tuple[int, str]) -> pa.Table:
    return pa.table({"id": pa.array([row[0] for row in rows], pa.int64()), "name": [row[1] for row in rows]})


def sums(lake) -> str:
    return build(read_model("sums", BY_CUSTOMER, "incremental", ["customer_id"]), lake.bucket).how


def changed(lake) -> dict[str, int]:
    """What the newest commit of the sums tells of itself."""
    newest = present(open_table(table_uri(lake.bucket, "gold", "sums"))).history(1)[0]
    return json.loads(newest["flowforge.change"])


def test_should_rebuild_only_the_keys_that_changed(lake):
    source = lake.source("accounts", key=["id"])
    refine(source.batch(1, accounts((1, 7, 10), (2, 7, 20), (3, 8, 5), (4, None, 1))), lake.bucket)
    assert sums(lake) == "full"
    refine(source.batch(2, accounts((3, 7, 5), (4, None, 2), (5, 9, 50))), lake.bucket)
    result = build(read_model("sums", BY_CUSTOMER, "incremental", ["customer_id"]), lake.bucket)
    assert (result.how, result.rows) == ("incremental", 3)
    told = {row["customer_id"]: (int(row["total"]), row["n"]) for row in lake.read("gold", "sums").to_pylist()}
    assert told == {7: (35, 3), 9: (50, 1), None: (2, 1)}
    assert changed(lake) == {"inserted": 1, "updated": 2, "deleted": 1}
    assert sums(lake) == "unchanged"


def test_should_look_through_the_rewriting_of_the_driving_table(lake):
    source = lake.source("accounts", key=["id"])
    for seq in (1, 2):
        refine(source.batch(seq, accounts((seq, 7, 10))), lake.bucket)
    sums(lake)
    table = delta_table(table_uri(lake.bucket, "silver", "accounts"))
    table.optimize.compact()
    refine(source.batch(3, accounts((1, 8, 10))), lake.bucket)
    assert sums(lake) == "incremental"
    told = {row["customer_id"]: (row["total"], row["n"]) for row in lake.read("gold", "sums").to_pylist()}
    assert told == {7: (10, 1), 8: (10, 1)}
    assert changed(lake) == {"inserted": 1, "updated": 1, "deleted": 0}


def test_should_build_as_a_whole_when_another_input_or_the_query_changed(lake):
    sql, key = MODELS["named"]
    model = read_model("named", sql, "incremental", key)
    people = lake.source("customers", key=["id"])
    refine(lake.source("accounts", key=["id"]).batch(1, accounts((1, 7, 10))), lake.bucket)
    refine(people.batch(1, customers((7, "Ann"))), lake.bucket)
    build(model, lake.bucket)
    refine(people.batch(2, customers((7, "Anna"))), lake.bucket)
    assert build(model, lake.bucket).how == "full"
    assert lake.read("gold", "named").to_pylist() == [{"id": 1, "name": "Anna"}]
    assert build(read_model("named", sql + " ", "incremental", key), lake.bucket).how == "full"


def test_should_build_as_a_whole_when_the_old_version_was_vacuumed(lake):
    source = lake.source("accounts", key=["id"])
    refine(source.batch(1, accounts((1, 7, 10), (2, 8, 1))), lake.bucket)
    sums(lake)
    refine(source.batch(2, accounts((1, 8, 10))), lake.bucket)
    table = delta_table(table_uri(lake.bucket, "silver", "accounts"))
    table.vacuum(0, dry_run=False, enforce_retention_duration=False)
    assert sums(lake) == "full"
    assert [(row["customer_id"], int(row["total"])) for row in lake.read("gold", "sums").to_pylist()] == [(8, 11)]


def test_should_follow_a_table_that_was_made_anew_and_columns_that_were_added(lake):
    source = lake.source("accounts", key=["id"])
    refine(source.batch(1, accounts((1, 7, 10))), lake.bucket)
    model = copy_of_silver("accounts", "accounts", "incremental", ["id"])
    build(model, lake.bucket)
    refine(source.batch(2, accounts((2, 7, 20)).append_column("note", [["new"]])), lake.bucket)
    assert build(model, lake.bucket).how == "full"
    refine(source.batch(3, accounts((1, 7, 11)).append_column("note", [["n"]])), lake.bucket)
    assert build(model, lake.bucket).how == "incremental"
    assert {(row["id"], row["balance"], row["note"]) for row in lake.read("gold", "accounts").to_pylist()} == {
        (1, 11, "n"),
        (2, 20, "new"),
    }
    for item in lake.s3.list_objects_v2(Bucket=lake.bucket, Prefix="silver/accounts/")["Contents"]:
        lake.s3.delete_object(Bucket=lake.bucket, Key=item["Key"])
    refine(source.batch(4, accounts((9, 9, 9))), lake.bucket)
    assert build(model, lake.bucket).how == "full"
    assert lake.read("gold", "accounts").num_rows == 1


def test_should_refuse_a_key_that_repeats_and_keep_the_old_version(lake):
    source = lake.source("accounts", key=["id"])
    refine(source.batch(1, accounts((1, 7, 10))), lake.bucket)
    model = read_model("by", "SELECT customer_id, balance FROM silver.accounts", "incremental", ["customer_id"])
    build(model, lake.bucket)
    refine(source.batch(2, accounts((2, 7, 20))), lake.bucket)
    with pytest.raises(TransformRejected, match=r"gold\.by: several rows have the same customer_id"):
        build(model, lake.bucket)
    assert lake.read("gold", "by").to_pylist() == [{"customer_id": 7, "balance": 10}]


def test_should_take_a_key_of_any_name(lake):
    source = lake.source("accounts", key=["id"])
    model = read_model(
        "n", "SELECT customer_id AS n, sum(balance) AS t FROM silver.accounts GROUP BY 1", "incremental", ["n"]
    )
    for seq, how in ((1, "full"), (2, "incremental")):
        refine(source.batch(seq, accounts((seq, 7, 10))), lake.bucket)
        assert build(model, lake.bucket).how == how
    assert [(row["n"], int(row["t"])) for row in lake.read("gold", "n").to_pylist()] == [(7, 20)]


@pytest.mark.parametrize("key", ["s", "t", "f", "rowid", "arriving", "changed"])
def test_should_merge_columns_of_any_name(lake, key):
    names = ["s", "t", "f", "p", "rowid", "file_row_number", "file_index", "arriving", "changed", "result", "affected",
             "row_actions", "found", "number"]  # fmt: skip

    def rows(*keys: int) -> pa.Table:
        made = {name: pa.array([f"{one}-{name}-{len(keys)}" for one in keys]) for name in names}
        return pa.table(made | {key: pa.array(keys, pa.int64())})

    source, model = lake.source("named", key=[key]), copy_of_silver("named", "named", "incremental", [key])
    hows = []
    for seq, batch in enumerate((rows(1, 2, 3), rows(2, 4)), 1):
        refine(source.batch(seq, batch), lake.bucket)
        hows.append(build(model, lake.bucket).how)
    assert hows == ["full", "incremental"]
    found = lake.read("gold", "named").select(names).sort_by(key)
    assert found.equals(pa.concat_tables([rows(1, 2, 3), rows(2, 4)]).take([0, 3, 2, 4]).select(names))


ROW = st.tuples(st.integers(1, 5), st.sampled_from([None, 1, 2]), st.integers(40, 60))
STEP = st.tuples(st.sampled_from(["merge", "merge", "refresh", "again", "customer"]), st.lists(ROW, max_size=4))


@settings(
    max_examples=2,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(steps=st.lists(STEP, min_size=3, max_size=4), late=st.booleans())
def test_should_end_with_the_rows_of_a_full_build(lake_environment, steps, late):
    lake = Lake(client("s3"))
    source, people = lake.source("accounts", key=["id"]), lake.source("customers", key=["id"])
    refine(people.batch(1, customers((1, "Ann"))), lake.bucket)
    batches = [source.batch(1, accounts((1, 1, 50), (2, None, 50)))]
    refine(batches[0], lake.bucket)
    hows = set()
    for seq, (kind, rows) in enumerate(steps, 2):
        unique = accounts(*{row[0]: row for row in rows}.values())
        if kind == "customer":
            refine(people.batch(seq, customers((1, f"Ann {seq}"))), lake.bucket)
        elif kind == "again":
            refine(batches[-1], lake.bucket)
        else:
            load = "full_refresh" if kind == "refresh" else "append"
            number = 100 - seq if late else seq
            batches.append(source.batch(number, unique, load=load))
            refine(batches[-1], lake.bucket)
        for name, (sql, key) in MODELS.items():
            hows.add(build(read_model(name, sql, "incremental", key), lake.bucket).how)
            expected = sorted(map(str, query(sql, lake.bucket).rows))
            assert sorted(map(str, query(f"SELECT * FROM gold.{name}", lake.bucket).rows)) == expected, (name, kind)
    assert "full" in hows


@pytest.mark.parametrize(
    ("sql", "key", "reason"),
    [
        ("SELECT 1 AS id UNION SELECT id FROM silver.t", ["id"], "it is not a single SELECT"),
        ("SELECT id FROM silver.t", [], "primaryKey is missing"),
        ("WITH x AS (SELECT * FROM silver.t) SELECT id FROM x", ["id"], "it has WITH"),
        ("SELECT id FROM silver.t ORDER BY id LIMIT 3", ["id"], "it has LIMIT"),
        ("SELECT DISTINCT ON (name) id FROM silver.t", ["id"], "DISTINCT ON"),
        ("SELECT id, now() AS at FROM silver.t", ["id"], "now differs"),
        ("SELECT id, current_date AS at FROM silver.t", ["id"], "current_date differs"),
        ("SELECT id, random() FROM silver.t", ["id"], "rand differs"),
        ("SELECT id FROM (SELECT * FROM silver.t)", ["id"], "FROM does not begin with a table"),
        ("SELECT t.id FROM silver.t RIGHT JOIN silver.u USING (id)", ["id"], "RIGHT JOIN"),
        ("SELECT t.id FROM silver.t FULL JOIN silver.u USING (id)", ["id"], "FULL JOIN"),
        ("SELECT t.id FROM silver.t ASOF JOIN silver.u ON t.id >= u.id", ["id"], "ASOF JOIN"),
        ("SELECT a.id FROM silver.t a JOIN silver.t b USING (id)", ["id"], "reads silver.t more than once"),
        ("SELECT id FROM silver.t WHERE x > (SELECT avg(x) FROM silver.t)", ["id"], "more than once"),
        ("SELECT id FROM silver.t", ["name"], "does not name the key column name"),
        ("SELECT id + 1 AS id FROM silver.t", ["id"], "is not simply a column of t"),
        ("SELECT u.id FROM silver.t JOIN silver.u ON true", ["id"], "is not simply a column of t"),
        ("SELECT id FROM silver.t JOIN silver.u ON true", ["id"], "is not simply a column of t"),
        ("SELECT id, x FROM silver.t GROUP BY x, any_value(id)", ["id"], "GROUP BY does not contain"),
        ("SELECT a, b, count(*) FROM silver.t GROUP BY ROLLUP (a, b)", ["a", "b"], "GROUP BY does not contain"),
        ("SELECT id, row_number() OVER (ORDER BY x) AS n FROM silver.t", ["id"], "PARTITION BY does not contain"),
        ("SELECT id, sum(x) OVER w FROM silver.t WINDOW w AS (PARTITION BY id)", ["id"], "WINDOW"),
        ("SELECT id FROM silver.t USING SAMPLE 10%", ["id"], "SAMPLE"),
    ],
)
def test_should_refuse_models_for_which_incremental_would_be_wrong(sql, key, reason):
    with pytest.raises(TransformRejected) as refusal:
        read_model("x", f"-- a comment\n{sql}", "incremental", key, "models/x.sql")
    assert str(refusal.value).startswith("gold.x (models/x.sql")
    assert "buildStrategy incremental would be wrong" in str(refusal.value)
    assert reason in str(refusal.value)


@pytest.mark.parametrize(
    ("sql", "key"),
    [
        ("SELECT a, b, sum(x) FROM silver.t GROUP BY ALL", ["a", "b"]),
        ("SELECT a, b, sum(x) FROM silver.t GROUP BY 1, b", ["a", "b"]),
        ("SELECT t.a, u.n, count(*) FROM silver.t AS t JOIN gold.u USING (k) GROUP BY t.a, u.n", ["a"]),
        ("SELECT id, sum(x) OVER (PARTITION BY id ORDER BY at) FROM silver.t QUALIFY rank() OVER (PARTITION BY id) = 1",
         ["id"]),
        ("SELECT DISTINCT id FROM silver.t WHERE k IN (SELECT k FROM silver.u LIMIT 3)", ["id"]),
    ],
)  # fmt: skip
def test_should_take_models_of_which_each_row_depends_on_its_key(sql, key):
    assert read_model("x", sql, "incremental", key).strategy == "incremental"
