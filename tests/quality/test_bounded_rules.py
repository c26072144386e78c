"""Rules whose SQL takes more than there is: the batch stops with the rule's name, and is applied once that is corrected."""

import sys

import pyarrow as pa
import pytest
from pydantic import TypeAdapter

from events.quality import SilverRules
from flowforge.domain.errors import TransformRejected
from flowforge.silver.refine import refine
from flowforge.silver.release import release

ROWS = 100_000
FINE = {"rule": "not_null", "column": "id", "severity": "quarantine"}
ENDLESS = {  # each row some milliseconds, so that the engine looks up between two chunks of rows only
    "rule": "expression",
    "name": "primes",
    "sql": "len(list_filter(range(2000), x -> x % 7 = id)) >= 0",
    "severity": "quarantine",
}


def read(*rules: dict) -> SilverRules:
    return TypeAdapter(SilverRules).validate_python(list(rules))


@pytest.fixture
def numbers():
    return pa.table({"id": pa.array(range(ROWS), pa.int64())})


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        ([ENDLESS], "rule primes was not done .* 0.3 s"),
        ([FINE, ENDLESS], "rules .* were not done .*; primes takes the longest"),
    ],
    ids=["alone", "among others"],
)
def test_should_stop_a_rule_that_takes_too_long_by_its_name_and_lose_nothing(lake, monkeypatch, numbers, rules, told):
    monkeypatch.setenv("FLOWFORGE_RULE_SECONDS", "0.3")
    batch = lake.source(key=["id"], rules=rules).batch(1, numbers)
    with pytest.raises(TransformRejected, match=f"silver.customers: .*{told}") as refusal:
        refine(batch, lake.bucket)
    assert "RuleSeconds" in refusal.value.remedy and "flowforge replay --run RUN" in refusal.value.remedy
    assert lake.s3.list_objects_v2(Bucket=lake.bucket, Prefix="silver/")["KeyCount"] == 0
    monkeypatch.delenv("FLOWFORGE_RULE_SECONDS")
    assert refine(batch, lake.bucket, rules=read(FINE)).inserted == ROWS


@pytest.mark.skipif(sys.platform != "linux", reason="memory is bounded where RLIMIT_DATA is")
@pytest.mark.parametrize("sql", ["len(range(1000000000 + id)) > 0", "len(repeat('x', 4000000000 + id)) > 0"])
def test_should_stop_a_rule_that_wants_more_memory_than_the_function_has(lake, monkeypatch, sql):
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512")
    rules = [FINE, {"rule": "expression", "name": "vast", "sql": sql, "severity": "warn"}]
    batch = lake.source(key=["id"], rules=rules).batch(1, pa.table({"id": pa.array([1], pa.int64())}))
    with pytest.raises(TransformRejected, match=r"silver\.customers: .*vast.* memory") as refusal:
        refine(batch, lake.bucket)
    assert "MemorySize" in refusal.value.remedy
    assert refine(batch, lake.bucket, rules=read(FINE)).inserted == 1


def test_should_bound_the_rules_by_which_quarantine_is_judged_anew(lake, monkeypatch, numbers):
    strict = {"rule": "range", "column": "id", "max": ROWS - 2, "severity": "quarantine"}
    batch = lake.source(key=["id"], rules=[strict]).batch(1, numbers)
    assert refine(batch, lake.bucket).quarantined == 1
    monkeypatch.setenv("FLOWFORGE_RULE_SECONDS", "0.3")
    with pytest.raises(TransformRejected, match="rule primes was not done"):
        release(batch, lake.bucket, read(ENDLESS))
    assert lake.read("quarantine", "customers").num_rows == 1
