"""`flowforge cost`: what a run has used and its price, by a table that is ours or the caller's."""

import json

import pytest

RUN = "GET /api/runs/run-1"
PRICES = {
    "region": "eu-central-1",
    "date": "2026-01-01",
    "currency": "EUR",
    "per_gb_second": 0.5,
    "per_million": dict.fromkeys(
        ("requests", "s3_puts", "s3_gets", "dynamodb_reads", "dynamodb_writes", "sqs", "events", "secrets"), 1_000_000
    ),
}


def used(step: str, **counts: float) -> dict:
    figures = {"deliveries": 2, "cold_starts": 1, "silent": 1, "seconds": 4.0, "gb_seconds": 8.0}
    return {"step": step, **figures, "counts": counts}


@pytest.fixture
def run(api, told) -> None:
    tables = [told.table("bronze_a", usage=[used("ingest", s3_puts=3, dynamodb_calls=5, dynamodb_writes=6)])]
    tables.append(told.table("bronze_b", usage=[used("ingest", s3_gets=1), used("silver", s3_gets=2)]))
    api.answer(RUN, told.run(*tables, status="succeeded"))


@pytest.mark.usefixtures("run")
def test_should_sum_the_steps_and_price_them_by_the_callers_table(flowforge):
    (flowforge.folder / "prices.json").write_text(json.dumps(PRICES))
    plain = flowforge("cost", "run-1", "--prices", "prices.json")
    told = flowforge("cost", "run-1", "--prices", "prices.json", "--json").document
    ingest, silver = told["steps"]
    assert (ingest["step"], ingest["deliveries"], ingest["gb_seconds"], ingest["s3_calls"]) == ("ingest", 4, 16, 4)
    # 16 GB-s, 4 requests, 3 PUT and 1 GET, 6 units written, 3 calls of a queue for each delivery
    assert ingest["price"] == 16 * 0.5 + 4 + 3 + 1 + 6 + 12
    assert silver["price"] == 8 * 0.5 + 2 + 2 + 6
    assert told["total"]["price"] == ingest["price"] + silver["price"]
    assert told["rows"] == 1000
    assert told["per_million_rows"]["s3_calls"] == 6 * 1000
    assert told["estimate"] and told["not_counted"]
    assert plain.code == 0
    assert all(text in plain.out for text in ("eu-central-1", "48.00 EUR", "not counted", "failed before")), plain.out


@pytest.mark.usefixtures("run")
def test_should_name_the_region_and_the_date_of_its_own_prices(flowforge):
    ended = flowforge("cost", "run-1")
    assert ended.code == 0
    assert "list prices of us-east-1" in ended.out and "estimates, not a bill" in ended.out


@pytest.mark.usefixtures("run")
@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"per_gb_second": "cheap"}, "per_gb_second"),
        ({"per_million": PRICES["per_million"] | {"sqs": -1}}, "per_million.sqs"),
        ({"per_million": PRICES["per_million"] | {"s3": 1}}, "per_million.s3"),
        ({"date": None}, "date"),
    ],
)
def test_should_name_the_field_of_a_table_of_prices_that_is_wrong(flowforge, change, field):
    (flowforge.folder / "prices.json").write_text(json.dumps(PRICES | change))
    ended = flowforge("cost", "run-1", "--prices", "prices.json", "--json")
    assert ended.code == 2
    assert [one["field"] for one in ended.document["mistakes"]] == [field]


def test_should_say_so_where_a_run_has_told_nothing(flowforge, api, told):
    api.answer(RUN, told.run(told.table(), status="running"))
    ended = flowforge("cost", "run-1")
    assert ended.code == 1
    assert "has told nothing" in ended.err
