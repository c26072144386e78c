"""The pure parts of the lake's benchmark: cases, rows, what is printed. Nothing here is timed."""

import json

import duckdb
import pytest

from benchmarks.lake import report
from benchmarks.lake.cases import CONTENDERS, DLT, ICEBERG, OURS, PLAIN, Case, cases
from benchmarks.lake.report import Outcome
from benchmarks.lake.rows import CLUSTERED, RANDOM, base_numbers, batch_numbers, checksum, history, merged, rows
from flowforge.domain.given import given

NAME = "merge, 100k random into 5M"


@pytest.fixture
def outcomes() -> list[Outcome]:
    return [
        Outcome(NAME, OURS, 4.0, 6.0, 500.0),
        Outcome(NAME, PLAIN, 10.0, 12.0, 2000.0),
        Outcome(NAME, ICEBERG, reason="did not finish | within 120 s"),
        Outcome(NAME, DLT, 12.0, 14.0, 2500.0),
    ]


def test_should_have_every_promised_case_once() -> None:
    names = [case.name for case in cases(5_000_000, ("merge", "scd2", "gold", "copy", "compact"), (100_000, 1_000_000))]
    assert len(names) == len(set(names)) == 11
    assert {"merge, 1M random into 5M", "scd2, 100k clustered into 5M", "gold, 5M", "copy, 5M", "compact, 5M"} < set(
        names
    )


def test_should_give_every_case_a_table_of_its_own() -> None:
    found = [
        case.table for case in cases(5_000_000, ("merge", "scd2", "gold", "copy", "compact"), (100_000, 1_000_000))
    ]
    assert len(set(found)) == len(found)
    assert Case("gold", 5).table == "gold"


def test_should_show_ratios_and_reasons_in_the_table(outcomes: list[Outcome]) -> None:
    table = report.table(outcomes)
    assert f"| {NAME} | **{OURS}** | 4.0 | 6.0 | 500 |  |" in table
    assert f"| {NAME} | {PLAIN} | 10.0 | 12.0 | 2000 | 2.5 |" in table
    assert f"| {NAME} | {ICEBERG} | – | | | did not finish / within 120 s |" in table


def test_should_end_with_figures_of_each_case(outcomes: list[Outcome]) -> None:
    figures = json.loads(json.dumps(report.figures(outcomes)))[NAME]
    assert figures[OURS] == {"seconds": 4.0, "peak_mb": 500}
    assert figures[ICEBERG] == {"reason": "did not finish | within 120 s"}
    assert figures["times_as_fast"] == {PLAIN: 2.5, DLT: 3.0}
    assert figures["memory_ratio"] == 0.25


def test_should_give_no_ratio_where_flowforge_did_not_finish(outcomes: list[Outcome]) -> None:
    outcomes[0] = Outcome(NAME, OURS, reason="wrong rows")
    assert report.figures(outcomes)[NAME]["times_as_fast"] == {}
    assert f"| {NAME} | {PLAIN} | 10.0 | 12.0 | 2000 |  |" in report.table(outcomes)


def test_should_list_contenders_in_their_order(outcomes: list[Outcome]) -> None:
    lines = report.table(list(reversed(outcomes))).splitlines()[2:]
    wanted = [name for name in CONTENDERS if name in {outcome.contender for outcome in outcomes}]
    assert [line.split(" | ")[1].strip("*") for line in lines] == wanted


@pytest.mark.parametrize("spread", [CLUSTERED, RANDOM])
def test_should_change_nine_tenths_of_a_batch_and_add_one(spread: str) -> None:
    with duckdb.connect() as connection:
        connection.execute(f"CREATE TABLE base AS {rows(base_numbers(1, 1000), 0)}")
        connection.execute(f"CREATE TABLE batch AS {rows(batch_numbers(1000, 100, spread), 700)}")
        count, known = given(
            connection.execute(
                "SELECT count(DISTINCT transaction_id), count(*) FILTER (transaction_id <= 1000) FROM batch"
            ).fetchone()
        )
        assert (count, known) == (100, 90)
        merge = connection.execute(checksum(f"({merged('base', 'batch')})", "merge")).fetchone()
        untouched = connection.execute(checksum("base", "merge")).fetchone()
        states = connection.execute(checksum(f"({history('base', 'batch')})", "scd2")).fetchone()
        current = connection.execute(f"SELECT count(*) FROM ({history('base', 'batch')}) WHERE _is_current").fetchone()
    assert (given(merge)[0], given(states)[0], given(current)[0]) == (1010, 1100, 1010)
    assert given(merge)[1] != given(untouched)[1]
