"""Quality rules: what each finds, what becomes of rows that fail, and what a user's expression can reach."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from flowforge.domain.errors import TransformRejected
from flowforge.quality.expressions import check_expression
from flowforge.silver.refine import refine
from flowforge.sql_policy.statements import NotAllowed

NOW = datetime(2024, 3, 1, 12)


def accounts(*rows: tuple[Any, ...]) -> pa.Table:
    names = ("id", "owner", "status", "balance", "seen")
    kinds = (pa.int32(), pa.string(), pa.string(), pa.decimal128(15, 2), pa.timestamp("ms"))
    columns = zip(*rows, strict=True) if rows else [()] * 5
    return pa.table({n: pa.array(list(c), k) for n, c, k in zip(names, columns, kinds, strict=True)})


def account(number: int | None, owner: str | None = "ann", status: str | None = "open", balance: str | None = "10.00",
            seen: datetime | None = NOW) -> tuple[Any, ...]:  # fmt: skip
    return number, owner, status, None if balance is None else Decimal(balance), seen


def claimed(moment: datetime) -> float:
    return (moment - datetime(1970, 1, 1)).total_seconds()


def judged(lake: Any, rule: dict[str, Any], *rows: tuple[Any, ...], **settings: Any) -> tuple[int, int]:
    """What a rule has looked at and found to fail."""
    source = lake.source(key=["id"], rules=[{"severity": "warn", **rule}], claimed_at=claimed(NOW), **settings)
    (figure,) = refine(source.batch(1, accounts(*rows)), lake.bucket).quality
    assert figure.severity == "warn"
    return figure.checked, figure.failed


NONE = account(9, owner=None, status=None, balance=None, seen=None)
BALANCES = [account(n, balance=b) for n, b in enumerate(("-0.01", "10.50", "10.51"), start=1)]
AN_HOUR_SHORT = [account(1, seen=NOW - timedelta(hours=23)), NONE]
RULES = {
    "not_null": ({"column": "owner"}, [account(1), NONE], 1),
    "range": ({"column": "balance", "min": 0, "max": 10.5}, [*BALANCES, NONE], 2),
    "range of times": (
        {"rule": "range", "column": "seen", "min": "2024-01-01"},
        [account(1), account(2, seen=datetime(2023, 12, 31)), NONE],
        1,
    ),
    "allowed_values": (
        {"column": "status", "values": ["open", "it's closed"]},
        [account(1), account(2, status="it's closed"), account(3, status="Open"), NONE],
        1,
    ),
    "pattern": ({"column": "owner", "pattern": "[a-z]+"}, [account(1), account(2, owner="ann7"), NONE], 1),
    "unique": ({"columns": ["owner", "status"]}, [account(1), account(2), account(3, owner="bob"), NONE], 2),
    "expression": (
        {"name": "covered", "sql": "balance >= 0 OR status = 'closed' -- or is it?"},
        [account(1, balance="-1"), account(2, balance="-1", status="closed"), NONE],
        1,
    ),
    "row_count": ({"min": 2, "max": 3}, [account(1)], 1),
    "row_count that fits": ({"rule": "row_count", "min": 1}, [account(1)], 0),
    "freshness": ({"column": "seen", "maxAgeHours": 24}, AN_HOUR_SHORT, 0),
    "freshness of old rows": ({"rule": "freshness", "column": "seen", "maxAgeHours": 22.5}, AN_HOUR_SHORT, 1),
}


@pytest.mark.parametrize("case", RULES)
def test_should_find_what_breaks_a_rule_and_let_null_pass(lake, case):
    given, rows, failed = RULES[case]
    rule = {"rule": case, **given}
    checked = 1 if rule["rule"] in ("row_count", "freshness") else len(rows)
    assert judged(lake, rule, *rows) == (checked, failed)


def test_should_look_at_the_rows_of_the_table_that_stay_for_uniqueness(lake):
    rules = [{"rule": "unique", "columns": ["owner"], "severity": "warn"}]
    source = lake.source(key=["id"], rules=rules)
    refine(source.batch(1, accounts(account(1, "ann"), account(2, "bob"))), lake.bucket)
    swapped = refine(source.batch(2, accounts(account(1, "bob"), account(2, "ann"))), lake.bucket)
    assert swapped.quality[0].failed == 0
    taken = refine(source.batch(3, accounts(account(3, "ann"))), lake.bucket)
    assert taken.quality[0].failed == 1


def test_should_look_up_references_in_another_silver_table(lake):
    refine(lake.source("owners", key=["name"]).batch(1, pa.table({"name": ["ann"]})), lake.bucket)
    rule = {"rule": "reference", "columns": ["owner"], "table": "silver.owners", "references": ["name"]}
    assert judged(lake, rule, account(1), account(2, "zoe"), NONE) == (3, 1)
    missing = {**rule, "table": "nobody"}
    with pytest.raises(TransformRejected, match=r"refers to silver\.nobody, which does not exist"):
        judged(lake, missing, account(1), silver_table="other")


def test_should_keep_rows_out_that_break_a_rule_and_tell_why(lake):
    rules = [
        {"rule": "range", "column": "balance", "min": 0, "severity": "quarantine", "name": "no debt"},
        {"rule": "not_null", "column": "owner", "severity": "quarantine"},
        {"rule": "allowed_values", "column": "status", "values": ["open"], "severity": "warn"},
    ]
    source = lake.source(key=["id"], rules=rules, load="full_refresh")
    refine(source.batch(1, accounts(account(1), account(2))), lake.bucket)
    rows = [account(1, balance="-5"), account(3, owner=None, balance="-1"), account(4, status="odd"), account(None)]
    batch = source.batch(2, accounts(*rows))
    result = refine(batch, lake.bucket)
    assert (result.inserted, result.updated, result.deleted, result.quarantined) == (1, 0, 1, 3)
    assert [(f.rule, f.checked, f.failed) for f in result.quality] == [
        ("no debt", 3, 2),
        ("not_null owner", 3, 1),
        ("allowed_values status", 3, 1),
    ]
    assert sorted(row["id"] for row in lake.read("silver", "customers").to_pylist()) == [1, 4]
    kept = lake.read("quarantine", "customers").to_pylist()
    assert sorted((row["id"], row["_reason"], row["_seq"]) for row in kept if row["id"]) == [
        (1, "breaks no debt", 2),
        (3, "breaks no debt, not_null owner", 2),
    ]
    again = refine(batch, lake.bucket)
    assert (again.already_applied, again.quarantined, again.quality) == (True, 3, result.quality)


@pytest.mark.parametrize("strategy", ["scd2", "append", "replace", "merge"])
def test_should_keep_rows_out_with_every_strategy(lake, strategy):
    rules = [{"rule": "not_null", "column": "owner", "severity": "quarantine"}]
    source = lake.source(key=[] if strategy == "merge" else ["id"], rules=rules, strategy=strategy)
    for seq in (1, 2):
        result = refine(source.batch(seq, accounts(account(seq), account(9, owner=None))), lake.bucket)
        assert result.quarantined == 1
    assert {row["owner"] for row in lake.read("silver", "customers").to_pylist()} == {"ann"}


def test_should_stop_the_batch_at_a_rule_that_fails_it_and_write_nothing(lake):
    rules = [{"rule": "range", "column": "balance", "max": 100, "severity": "fail", "name": "small"}]
    rules.append({"rule": "not_null", "column": "owner", "severity": "quarantine"})
    source = lake.source(key=["id"], rules=rules)
    batch = source.batch(1, accounts(account(1, balance="100.01"), account(2, owner=None)))
    with pytest.raises(TransformRejected, match="breaks quality rules: small: 1 of 2 failed") as refused:
        refine(batch, lake.bucket)
    assert "severity quarantine" in refused.value.remedy and "flowforge replay" in refused.value.remedy
    assert lake.s3.list_objects_v2(Bucket=lake.bucket, Prefix="silver/")["KeyCount"] == 0
    assert refine(batch, lake.bucket, rules=[]).inserted == 2


def test_should_keep_out_the_same_rows_when_a_batch_is_tried_again_under_other_rules(lake):
    rules = [{"rule": "not_null", "column": "owner", "severity": "quarantine"}]
    source = lake.source(key=["id"], rules=rules)
    refine(source.batch(1, accounts(account(1))), lake.bucket)
    retyped = accounts(account(2, owner=None)).set_column(0, "id", pa.array(["2"]))
    with pytest.raises(TransformRejected, match="column id was"):
        refine(source.batch(2, retyped), lake.bucket)
    assert lake.read("quarantine", "customers").num_rows == 1


def test_should_follow_the_columns_of_the_source_in_quarantine(lake):
    source = lake.source(key=["id"], rules=[{"rule": "range", "column": "v", "max": 0, "severity": "quarantine"}])
    for seq, kind in enumerate((pa.int16(), pa.int64(), pa.int64()), start=1):
        refine(source.batch(seq, pa.table({"id": [seq], "v": pa.array([seq], kind)})), lake.bucket)
    kept = lake.read("quarantine", "customers")
    assert sorted(kept["v"].to_pylist()) == [1, 2, 3]


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("(SELECT true)", "one condition"),
        ("id IN (SELECT 1)", "not allowed"),
        ("true), (false", "one condition|cannot be read"),
        ("1 = 1) OR (1 = 1", "one condition"),
        ("true; DROP TABLE x", "one condition|cannot be read"),
        ("count(*) > 1", "one row at a time"),
        ("row_number() OVER () = 1", "one row at a time"),
        ("getenv('AWS_SECRET_ACCESS_KEY') = 'x'", "getenv"),
        ("read_text('/etc/passwd') = ''", "read_text"),
        ("balance >", "cannot be read"),
        ("true AS x", "one condition|cannot be read"),
    ],
)
def test_should_let_an_expression_look_at_its_row_only(sql, reason):
    with pytest.raises(NotAllowed, match=reason):
        check_expression(sql)


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ({"rule": "expression", "name": "e", "sql": "balnce > 0"}, "rule e cannot be evaluated.*balnce"),
        ({"rule": "expression", "name": "e", "sql": "balance + 1"}, "rule e is no condition but a DECIMAL"),
        ({"rule": "not_null", "column": "nothing"}, "rule not_null nothing cannot be evaluated"),
        ({"rule": "unique", "columns": ["Owner", "ownr"]}, r"cannot be evaluated.* \(did you mean owner\?\)"),
        ({"rule": "pattern", "column": "owner", "pattern": "("}, "cannot be evaluated"),
    ],
)
def test_should_name_a_rule_that_cannot_be_evaluated(lake, rule, told):
    with pytest.raises(TransformRejected, match=told):
        judged(lake, rule, account(1))


def test_should_repeat_no_value_of_a_row_in_an_error(lake):
    with pytest.raises(TransformRejected) as refusal:
        judged(lake, {"rule": "expression", "name": "e", "sql": "CAST(owner AS INT) > 0"}, account(1, owner="s3cret"))
    assert "s3cret" not in str(refusal.value)
