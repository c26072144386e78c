"""Quality rules of gold models: judged over the whole table before it is published, after every kind of build."""

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from flowforge.aws.clients import client
from flowforge.domain.errors import NotFound, TransformRejected
from flowforge.domain.given import given as present
from flowforge.gold.build import Built
from flowforge.gold.graph import check_files, model_states
from flowforge.gold.model_files import parse_model, write_models
from flowforge.gold.publish import publish, publish_model
from flowforge.gold.report import quality_of_table
from flowforge.operations.upkeep import maintain
from flowforge.silver.refine import refine
from flowforge.tables.lake import open_table, table_uri
from tests.helpers.gold_models import accounts, build
from tests.helpers.lake import Lake

SUMS = """-- @buildStrategy incremental
-- @primaryKey customer_id
-- @qualityRule {"rule": "range", "column": "total", "max": 100, "severity": "fail"}
-- @qualityRule {"rule": "unique", "columns": ["total"]}
-- @qualityRule {"rule": "row_count", "max": 3}
SELECT customer_id, sum(balance)::BIGINT AS total FROM silver.accounts GROUP BY customer_id
"""


def sums(lake, text: str = SUMS) -> Built:
    return build(parse_model("models/sums.sql", text), lake.bucket)


def failed(figures) -> dict[str, int]:
    return {figure.rule: figure.failed for figure in figures}


def published(batch, lake) -> dict:
    """The figures of the gold tables that followed from a batch."""
    return {model.table: model.quality for model in publish(batch, lake.bucket).models}


def ruled(*rules: str, sql: str = "SELECT id, balance FROM silver.accounts") -> str:
    return "".join(f"-- @qualityRule {rule}\n" for rule in rules) + sql


@pytest.fixture
def loaded(lake):
    """A lake with four accounts of three customers; one of them has a total of 60 in two accounts."""
    lake.accounts = lake.source("accounts", key=["id"], gold={"table": None})
    refine(lake.accounts.batch(1, accounts((1, 7, 10), (2, 7, 50), (3, 8, 30), (4, 9, 40))), lake.bucket)
    return lake


def test_should_judge_all_rows_of_the_table_whether_built_as_a_whole_or_by_keys(loaded):
    first = sums(loaded)
    assert (first.how, [f.checked for f in first.quality]) == ("full", [3, 3, 1])
    assert failed(first.quality) == {"range total": 0, "unique total": 0, "row_count": 0}
    refine(loaded.accounts.batch(2, accounts((3, 8, 40))), loaded.bucket)
    by_key = sums(loaded)
    assert (by_key.how, [f.checked for f in by_key.quality]) == ("incremental", [3, 3, 1])
    assert failed(by_key.quality) == {"range total": 0, "unique total": 2, "row_count": 0}  # 9's row was not built anew
    refine(loaded.accounts.batch(3, accounts((5, 10, 1))), loaded.bucket)
    assert failed(sums(loaded).quality)["row_count"] == 1


def test_should_leave_the_version_before_when_a_changed_key_breaks_a_rule(loaded):
    version = sums(loaded).version
    refine(loaded.accounts.batch(2, accounts((4, 9, 101))), loaded.bucket)
    with pytest.raises(TransformRejected) as refusal:
        sums(loaded)
    told = "gold.sums (models/sums.sql) breaks quality rules: line 3, range total: 1 of 3 failed"
    assert str(refusal.value) == told
    assert present(open_table(table_uri(loaded.bucket, "gold", "sums"))).version() == version
    refine(loaded.accounts.batch(3, accounts((4, 9, 100))), loaded.bucket)
    assert sums(loaded).how == "incremental"
    rows = {row["customer_id"]: row["total"] for row in loaded.read("gold", "sums").to_pylist()}
    assert rows == {7: 60, 8: 30, 9: 100}


def test_should_create_no_table_of_rows_that_break_a_rule(loaded):
    with pytest.raises(TransformRejected, match="range total: 1 of 3 failed"):
        sums(loaded, SUMS.replace("100", "50"))
    assert open_table(table_uri(loaded.bucket, "gold", "sums")) is None


def test_should_tell_what_rules_found_of_what_is_published_and_of_what_was_refused(loaded):
    write_models({"models/sums.sql": SUMS}, loaded.bucket)
    batch = loaded.accounts.batch(2, accounts((3, 8, 40)))
    refine(batch, loaded.bucket)
    assert failed(published(batch, loaded)["sums"])["unique total"] == 2
    assert failed(published(batch, loaded)["sums"])["unique total"] == 2  # announced again
    shown = quality_of_table(loaded.bucket, "sums")
    assert [(rule["rule"], rule["failed"]) for rule in shown["rules"]] == [
        ("range total", 0),
        ("unique total", 2),
        ("row_count", 0),
    ]
    assert shown["refused"] is None

    second = loaded.accounts.batch(3, accounts((4, 9, 500)))
    refine(second, loaded.bucket)
    with pytest.raises(TransformRejected, match="models/sums"):
        publish(second, loaded.bucket)
    after = quality_of_table(loaded.bucket, "sums")
    assert after["rules"] == shown["rules"]
    assert "line 3, range total: 1 of 3 failed" in after["refused"]["reason"]
    assert [rule["failed"] for rule in after["refused"]["rules"]] == [1, 0, 0]
    (state,) = model_states(loaded.bucket)[0]
    assert (state.state, failed(state.quality)["range total"]) == ("failed", 1)
    with pytest.raises(NotFound, match=r"gold\.nothing"):
        quality_of_table(loaded.bucket, "nothing")


def test_should_forget_a_refusal_once_the_rule_is_taken_back(loaded):
    write_models({"models/sums.sql": SUMS}, loaded.bucket)
    publish_model("models/sums.sql", loaded.bucket)
    write_models({"models/sums.sql": SUMS.replace("100", "50")}, loaded.bucket)
    with pytest.raises(TransformRejected, match="range total: 1 of 3 failed"):
        publish_model("models/sums.sql", loaded.bucket)
    assert quality_of_table(loaded.bucket, "sums")["refused"] is not None
    write_models({"models/sums.sql": SUMS}, loaded.bucket)
    publish_model("models/sums.sql", loaded.bucket)
    assert quality_of_table(loaded.bucket, "sums")["refused"] is None


def test_should_find_the_figures_again_after_the_tables_upkeep(loaded):
    write_models({"models/sums.sql": SUMS}, loaded.bucket)
    publish_model("models/sums.sql", loaded.bucket)
    refine(loaded.accounts.batch(2, accounts((3, 8, 40))), loaded.bucket)
    publish_model("models/sums.sql", loaded.bucket)
    before = quality_of_table(loaded.bucket, "sums")["rules"]
    maintain(parse_model("models/sums.sql", SUMS).name, loaded.bucket, 168)
    assert quality_of_table(loaded.bucket, "sums")["rules"] == before
    assert failed(sums(loaded).quality)["unique total"] == 2


def test_should_judge_anew_when_a_rule_changes(loaded):
    text = ruled('{"rule": "range", "column": "balance", "max": 45}')
    model = parse_model("models/x.sql", text)
    assert failed(build(model, loaded.bucket).quality) == {"range balance": 1}
    assert build(model, loaded.bucket).how == "unchanged"
    other = parse_model("models/x.sql", text.replace("45", "35"))
    assert failed(build(other, loaded.bucket).quality) == {"range balance": 2}


def test_should_follow_a_table_that_only_a_rule_refers_to(loaded):
    rule = '{"rule": "reference", "columns": ["customer_id"], "table": "customers", "references": ["id"]}'
    sql = "SELECT id, customer_id FROM silver.accounts"
    text = "-- @buildStrategy incremental\n-- @primaryKey id\n" + ruled(rule, sql=sql)
    write_models({"models/x.sql": text}, loaded.bucket)
    assert publish_model("models/x.sql", loaded.bucket).deferred == ["gold.x waits for silver.customers"]
    people = loaded.source("customers", key=["id"], gold={"table": None})
    for seq, ids, missing in ((1, [7], 2), (2, [8], 1)):
        batch = people.batch(seq, pa.table({"id": ids}))
        refine(batch, loaded.bucket)
        assert failed(published(batch, loaded)["x"]) == {"reference customer_id": missing}
    metrics = present(open_table(table_uri(loaded.bucket, "gold", "x"))).history(1)[0]
    assert metrics["operation"] != "WRITE" or metrics.get("operationMetrics", {}).get("num_added_rows", 0) == 0
    (state,) = [state for state in model_states(loaded.bucket)[0] if state.table == "x"]
    assert (state.state, state.reads) == ("current", ["silver.customers", "silver.accounts"])


def test_should_judge_models_and_copies_that_come_with_a_job(lake):
    rules = [{"rule": "range", "column": "balance", "min": 0, "severity": "fail"}]
    model = {"table": "m", "sql": "SELECT id, balance FROM silver.accounts", "quality_rules": rules}
    gold = {"table": "accounts", "quality_rules": [rules[0] | {"severity": "warn"}], "models": [model]}
    source = lake.source("accounts", key=["id"], gold=gold)
    first = source.batch(1, accounts((1, 7, 10)))
    refine(first, lake.bucket)
    assert {name: failed(found) for name, found in published(first, lake).items()} == {
        "accounts": {"range balance": 0},
        "m": {"range balance": 0},
    }
    second = source.batch(2, accounts((1, 7, -10)))
    refine(second, lake.bucket)
    with pytest.raises(TransformRejected, match=r"gold\.m breaks quality rules: range balance: 1 of 1 failed"):
        publish(second, lake.bucket)
    assert lake.read("gold", "m")["balance"].to_pylist() == [10]
    assert lake.read("gold", "accounts")["balance"].to_pylist() == [-10]
    assert {state.table: state.state for state in model_states(lake.bucket)[0]} == {
        "accounts": "current",
        "m": "failed",
    }


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ('{"rule": "range", "column": "balance"}', r"line 2\): @qualityRule: a range needs min, max or both"),
        ('{"rule": "rnage"}', r"line 2\): @qualityRule: rule: expected not_null, "),
        ('{"rule": "not_null", "colum": "id"}', r"line 2\): @qualityRule: column: missing; it is required; colum: unknown"),
        ('[{"rule": "not_null"', r"line 2\): @qualityRule: expected one JSON object on one line"),
        ('{"rule": "not_null", "column": "id"}', r"line 2\): @qualityRule: two rules are called not_null id"),
        ('{"rule": "unique", "columns": ["id"], "severity": "quarantine"}', r"line 2\).*unique id: a gold table has no quar"),
        ('{"rule": "expression", "name": "e", "sql": "getenv(\'A\') = \'\'"}', r"line 2\): rule e: the function getenv"),
    ],
)  # fmt: skip
def test_should_refuse_a_wrong_rule_with_file_and_line(rule, told):
    with pytest.raises(TransformRejected, match=rf"^gold\.x \(models/x\.sql, {told}"):
        parse_model("models/x.sql", ruled('{"rule": "not_null", "column": "id"}', rule))


def test_should_find_rules_that_do_not_fit_before_files_are_put(loaded):
    rules = (
        '{"rule": "not_null", "column": "blance"}',
        '{"rule": "expression", "name": "e", "sql": "balance + 1"}',
        '{"rule": "not_null", "column": "balance"}',
    )
    (problem,) = check_files({"models/x.sql": ruled(*rules)}, loaded.bucket, ahead=False)
    first, second = problem.split("; ")
    assert first.startswith("gold.x (models/x.sql, line 1): rule not_null blance cannot be evaluated: Binder Error")
    assert second == "gold.x (models/x.sql, line 2): rule e is no condition but a BIGINT"
    reference = '{"rule": "reference", "columns": ["id"], "table": "persons"}'
    assert check_files({"models/x.sql": ruled(reference)}, loaded.bucket, ahead=False) == [
        "gold.x (models/x.sql, line 1): there is no table silver.persons"
    ]


def test_should_refuse_to_put_a_model_with_a_key_that_it_has_no_use_for(loaded):
    text = "-- @primaryKey id\n" + ruled('{"rule": "not_null", "column": "id"}')
    (problem,) = check_files({"models/x.sql": text}, loaded.bucket, ahead=False)
    assert problem.startswith("gold.x (models/x.sql): @primaryKey has no effect on a full build")
    assert check_files({"models/x.sql": "-- @buildStrategy incremental\n" + text}, loaded.bucket, ahead=False) == []


def test_should_tell_of_a_rule_that_fails_on_a_row_without_its_value(lake):
    source = lake.source("people", key=["id"])
    refine(source.batch(1, pa.table({"id": [1], "name": ["s3cret"]})), lake.bucket)
    rule = '{"rule": "expression", "name": "e", "sql": "CAST(name AS INT) > 0"}'
    with pytest.raises(TransformRejected) as refusal:
        build(parse_model("models/x.sql", ruled(rule, sql="SELECT name FROM silver.people")), lake.bucket)
    assert "gold.x (models/x.sql, line 1): rule e cannot be evaluated: Conversion Error" in str(refusal.value)
    assert "s3cret" not in str(refusal.value)


ROW = st.tuples(st.integers(1, 5), st.sampled_from([None, 1, 2, 3]), st.integers(40, 60))


@settings(
    max_examples=3,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(batches=st.lists(st.lists(ROW, max_size=4), min_size=2, max_size=3))
def test_should_find_by_keys_what_a_full_build_finds(lake_environment, batches):
    lake = Lake(client("s3"))
    source = lake.source("accounts", key=["id"])
    rules = [
        '{"rule": "unique", "columns": ["total"]}',
        '{"rule": "not_null", "column": "customer_id"}',
        '{"rule": "range", "column": "total", "max": 99}',
        '{"rule": "row_count", "min": 2, "max": 2}',
        '{"rule": "reference", "columns": ["total"], "table": "accounts", "references": ["balance"]}',
    ]
    sql = "SELECT customer_id, sum(balance)::BIGINT AS total FROM silver.accounts GROUP BY customer_id"
    whole = ruled(*rules, sql=sql)
    by_key = "-- @buildStrategy incremental\n-- @primaryKey customer_id\n" + whole
    for seq, rows in enumerate([[(1, 1, 50), (2, None, 50)], *batches], 1):
        refine(source.batch(seq, accounts(*{row[0]: row for row in rows}.values())), lake.bucket)
        expected = build(parse_model("models/whole.sql", whole), lake.bucket).quality
        assert build(parse_model("models/by_key.sql", by_key), lake.bucket).quality == expected
