"""Models kept in the bucket: what follows from what, what is stale and why, and mistakes told with file and line."""

import pyarrow as pa
import pytest

from flowforge.domain.errors import TransformRejected
from flowforge.domain.given import given
from flowforge.domain.names import TableName
from flowforge.gold.binding import SHORTER, bind_models
from flowforge.gold.graph import check_files, model_states
from flowforge.gold.model_files import parse_model, write_models
from flowforge.gold.models import read_model
from flowforge.gold.order import order_models
from flowforge.gold.publish import publish, publish_model
from flowforge.silver.refine import refine

TOTALS = "-- what is there\nSELECT sum(balance) AS total\nFROM silver.accounts\n"
DOUBLE = "SELECT total * 2 AS twice FROM gold.totals"


def accounts(*rows: tuple[int, int]) -> pa.Table:
    return pa.table({"id": [row[0] for row in rows], "balance": [row[1] for row in rows]})


def states(lake) -> dict[str, tuple[str, str | None]]:
    return {state.table: (state.state, state.reason) for state in model_states(lake.bucket)[0]}


@pytest.fixture
def loaded(lake):
    """A lake with silver.accounts, its published copy, and two models put before the first load."""
    write_models(
        {"models/totals.sql": TOTALS, "models/double.sql": DOUBLE, "models/notes.txt": "no model"}, lake.bucket
    )
    lake.accounts = lake.source("accounts", key=["id"], gold={"table": "accounts"})
    batch = lake.accounts.batch(1, accounts((1, 10), (2, 20)))
    refine(batch, lake.bucket)
    assert publish(batch, lake.bucket).gold_tables == {"accounts": 2, "totals": 1, "double": 1}
    return lake


def test_should_rebuild_what_follows_from_a_batch_and_nothing_else(loaded):
    assert loaded.read("gold", "double").to_pylist() == [{"twice": 60}]
    other = loaded.source("customers", key=["id"], gold={"table": "customers"})
    batch = other.batch(1, pa.table({"id": [1]}))
    refine(batch, loaded.bucket)
    assert publish(batch, loaded.bucket).gold_tables == {"customers": 1}
    batch = loaded.accounts.batch(2, accounts((3, 70)))
    refine(batch, loaded.bucket)
    publish(batch, loaded.bucket)
    assert loaded.read("gold", "double").to_pylist() == [{"twice": 200}]


def test_should_tell_what_is_stale_and_why(loaded):
    assert states(loaded) == {"accounts": ("current", None), "totals": ("current", None), "double": ("current", None)}
    refine(loaded.accounts.batch(2, accounts((3, 70))), loaded.bucket)
    told = states(loaded)
    assert told["totals"] == ("stale", "silver.accounts is at version 2, it was built from 1")
    assert told["double"] == ("stale", "gold.totals is not current")
    publish_model("models/totals.sql", loaded.bucket)
    write_models({"models/double.sql": DOUBLE + " WHERE true"}, loaded.bucket)
    assert states(loaded)["double"] == ("stale", "its query or its rules changed")
    publish_model("models/double.sql", loaded.bucket)
    assert {state for name, (state, _) in states(loaded).items() if name != "accounts"} == {"current"}


def test_should_tell_of_models_that_wait_or_cannot_work(loaded):
    write_models(
        {
            "models/later.sql": "SELECT *\nFROM silver.branches",
            "models/typo.sql": "SELECT id,\n blance\nFROM silver.accounts",
            "models/after_typo.sql": "SELECT id FROM gold.typo",
            "models/writes.sql": "DROP TABLE silver.accounts",
        },
        loaded.bucket,
    )
    found, (problem,) = model_states(loaded.bucket)
    told = {state.table: (state.state, state.reason) for state in found}
    assert told["later"] == ("waits", "gold.later (models/later.sql, line 2): there is no table silver.branches yet")
    state, reason = told["typo"]
    assert state == "refused"
    assert given(reason).startswith(
        'gold.typo (models/typo.sql, line 2): Binder Error: Referenced column "blance" not found'
    )
    assert told["after_typo"][0] == "waits"
    assert problem == "gold.writes (models/writes.sql): DROP is not allowed: expected one SELECT or WITH query: " + (
        "a model is one SELECT over silver.<table> and gold.<table>"
    )


def test_should_fail_the_run_with_file_and_line_and_keep_the_old_version(loaded):
    write_models({"models/totals.sql": "SELECT sum(balance) AS total,\n sum(CAST(id || 'x' AS INT)) AS n\n"
                  "FROM silver.accounts"}, loaded.bucket)  # fmt: skip
    batch = loaded.accounts.batch(2, accounts((3, 70)))
    refine(batch, loaded.bucket)
    with pytest.raises(TransformRejected) as refusal:
        publish(batch, loaded.bucket)
    assert str(refusal.value).startswith("gold.totals (models/totals.sql")
    assert "Conversion Error" in str(refusal.value)
    assert loaded.read("gold", "totals").column_names == ["total"]
    assert loaded.read("gold", "accounts").num_rows == 3
    state, reason = states(loaded)["totals"]
    assert state == "failed"
    assert reason and reason in str(refusal.value)


def test_should_not_let_a_file_that_is_no_model_stop_the_others(loaded):
    write_models({"models/broken.sql": "SELECT FROM WHERE"}, loaded.bucket)
    batch = loaded.accounts.batch(2, accounts((3, 70)))
    refine(batch, loaded.bucket)
    assert publish(batch, loaded.bucket).gold_tables["double"] == 1
    with pytest.raises(TransformRejected, match=r"gold\.broken \(models/broken\.sql"):
        publish_model("models/broken.sql", loaded.bucket)


def test_should_check_files_before_they_are_put(loaded):
    good = {"models/more.sql": "SELECT twice + 1 AS n FROM gold.double"}
    assert check_files(good, loaded.bucket, ahead=False) == []
    unknown = {"models/x.sql": "SELECT 1 AS a\nFROM silver.acounts"}
    assert check_files(unknown, loaded.bucket, ahead=False) == [
        "gold.x (models/x.sql, line 2): there is no table silver.acounts"
    ]
    assert check_files(unknown, loaded.bucket, ahead=True) == []
    (problem,) = check_files({"models/totals.sql": "SELECT *\nFROM gold.double"}, loaded.bucket, ahead=False)
    assert problem.startswith("gold models read each other in a circle: ")
    assert "gold.double (models/double.sql, line 1) reads gold.totals" in problem
    assert "gold.totals (models/totals.sql, line 2) reads gold.double" in problem
    (problem,) = check_files({"models/accounts.sql": "SELECT 1 AS n FROM silver.accounts"}, loaded.bucket, ahead=False)
    assert "two definitions for one table (goldConfig and models/accounts.sql)" in problem
    (problem,) = check_files({"models/more.sql": "SELECT total\nFROM gold.double"}, loaded.bucket, ahead=False)
    assert problem.startswith("gold.more (models/more.sql, line 1): Binder Error")


def test_should_refuse_a_model_that_takes_too_long_to_be_bound_and_check_the_others(lake):
    doubled = ", ".join(f"a{n} AS (SELECT * FROM a{n - 1} p, a{n - 1} q)" for n in range(1, 19))
    slow = f"WITH a0 AS (SELECT 1 AS n), {doubled} SELECT 1 AS n FROM a18"  # 262,144 columns
    texts = {"a": "SELECT 1 AS n", "b": slow, "c": "SELECT nobody\nFROM gold.a"}
    found = bind_models([read_model(table, sql) for table, sql in texts.items()], {}, seconds=2)
    assert [str(name) for name in sorted(found)] == ["gold.b", "gold.c"]
    assert found[TableName("gold", "b")] == f"gold.b was not bound within 2 s: {SHORTER}"
    assert found[TableName("gold", "c")].startswith("gold.c (line 1): Binder Error")


def test_should_leave_out_a_circle_with_what_depends_on_it_only():
    texts = {
        "a": "SELECT * FROM gold.b",
        "b": "SELECT * FROM gold.a",
        "c": "SELECT * FROM gold.a",
        "d": "SELECT 1 AS n",
    }
    ordered, (problem,) = order_models([read_model(name, sql) for name, sql in texts.items()])
    assert [model.table for model in ordered] == ["d"]
    assert "in a circle" in problem


def test_should_read_settings_from_the_head_of_a_file():
    head = "-- spending\n-- @buildStrategy incremental\n--@primaryKey a , b\n"
    model = parse_model("models/spending.sql", head + "SELECT a, b, count(*) AS n FROM silver.t GROUP BY ALL")
    assert (model.table, model.strategy, model.key) == ("spending", "incremental", ("a", "b"))
    for wrong, told in (
        ("-- @buildStrategy sometimes\nSELECT 1", r"line 1\): unknown setting @buildStrategy sometimes"),
        ("\n-- @primarykey a\nSELECT 1", r"line 2\): unknown setting @primarykey a"),
        ("-- @primaryKey a,,b\nSELECT 1", "empty name"),
    ):
        with pytest.raises(TransformRejected, match=told):
            parse_model("models/x.sql", wrong)
    with pytest.raises(TransformRejected, match="names no gold table"):
        parse_model("models/a b.sql", "SELECT 1")
