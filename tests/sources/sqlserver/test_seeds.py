"""Where a first load begins: a seed or a stored watermark that the column can have, or a refusal that says what to write."""

import datetime as dt
import re
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as settings_of_hypothesis
from hypothesis import strategies as st

from flowforge.domain.errors import SourceChanged, UnsupportedSource
from flowforge.sources.sqlserver.connection import connect
from flowforge.sources.sqlserver.seeds import seed_literal
from flowforge.sources.sqlserver.sql_text import normalise_statement
from tests.helpers.examples import examples
from tests.helpers.source_bounds import TIMESTAMPS, plan


def column_of(sql_type: str) -> str:
    """The column of `changes` with this type."""
    return "c_" + re.sub(r"\W", "_", sql_type)


@pytest.fixture(scope="module")
def changes(server) -> Iterator[str]:
    """A table with a column of every type of times."""
    columns = ", ".join(f"{column_of(kind)} {kind}" for kind in TIMESTAMPS)
    with connect(server.reference, server.credentials) as connection:
        connection.run(f"CREATE TABLE dbo.changes (id int PRIMARY KEY, {columns})")
        yield "dbo.changes"
        connection.run("DROP TABLE dbo.changes")


def test_should_use_the_stored_watermark_and_not_the_seed(bank):
    planned = plan(bank, "accounts", "account_id", low="1500", last_watermark="1001")
    assert planned.interval.low == "1500"


@pytest.mark.parametrize(
    ("column", "seed"),
    [
        ("modified_date", "yesterday"), ("modified_date", "2024-13-01"), ("modified_date", "31/01/2024"),
        ("modified_date", "x'; DROP TABLE dbo.customers --"), ("customer_id", "ten"), ("customer_id", "99999999999"),
        ("modified_date", ""), ("modified_date", " "), ("modified_date", "now"), ("modified_date", "today"),
        ("modified_date", "20240131"), ("modified_date", "45000"), ("modified_date", "10:20:30"),
        ("modified_date", "1752-12-31"), ("modified_date", "Jan 31 2024"), ("modified_date", "2024-01-31 24:00:00"),
        ("customer_id", ""), ("customer_id", "1.5"), ("customer_id", "1e3"), ("customer_id", "0x10"),
    ],
)  # fmt: skip
def test_should_refuse_a_seed_that_is_no_value_of_the_column(bank, column, seed):
    with pytest.raises(UnsupportedSource) as caught:
        plan(bank, "customers", column, last_watermark=seed)
    assert "lastWatermark" in str(caught.value) and column in str(caught.value) and caught.value.remedy


@pytest.mark.parametrize("seed", ["0x01", "2001", "0x00000000000007dG"])
def test_should_refuse_a_row_version_seed_that_is_not_eight_bytes(bank, scratch, seed):
    table = scratch("id int NOT NULL PRIMARY KEY, v rowversion")
    with pytest.raises(UnsupportedSource, match="lastWatermark"):
        plan(bank, table, "v", last_watermark=seed)


@pytest.mark.parametrize("clock", ["unknown", "local"])
@pytest.mark.parametrize("sql_type", ["date", "smalldatetime", "datetime", "datetime2(7)"])
@pytest.mark.parametrize("seed", ["2024-01-01T00:00:00+02:00", "2024-01-01T00:00:00Z", "2024-07-01 00:00 -05:30"])
def test_should_refuse_an_offset_where_it_cannot_be_turned_into_the_columns_time(bank, changes, sql_type, seed, clock):
    with pytest.raises(UnsupportedSource, match="has an offset") as caught:
        plan(bank, changes, column_of(sql_type), last_watermark=seed, cursor_clock=clock)
    assert "lastWatermark" in str(caught.value) and "cursorClock" in caught.value.remedy


@pytest.mark.parametrize(
    ("sql_type", "low"),
    [
        ("datetime2(7)", "2023-12-31 22:00:00.1234567"), ("datetime2(0)", "2023-12-31 22:00:00"), ("date", "2023-12-31"),
        ("datetime", "2023-12-31 22:00:00.123"), ("datetimeoffset(7)", "2023-12-31 22:00:00.1234567 +00:00"),
    ],
)  # fmt: skip
def test_should_read_from_the_instant_on_where_the_column_holds_utc(bank, changes, sql_type, low):
    seed = "2024-01-01T00:00:00.1234567+02:00"
    planned = plan(bank, changes, column_of(sql_type), last_watermark=seed, cursor_clock="utc")
    assert planned.interval.low == low


@settings_of_hypothesis(
    max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.sampled_from(TIMESTAMPS), st.datetimes(dt.datetime(1901, 1, 1), dt.datetime(2078, 1, 1)), st.integers(0, 9))
def test_should_never_start_above_the_seed_nor_more_than_a_unit_below_it(bank, sql_type, moment, digit):
    seed = f"{moment.isoformat(sep=' ', timespec='microseconds')}{digit}"
    literal = seed_literal(seed, sql_type)
    assert bank.scalar(normalise_statement(literal, sql_type)) == literal
    low = literal.removesuffix(" +00:00")
    unit = {"date": dt.timedelta(days=1), "smalldatetime": dt.timedelta(minutes=1)}.get(
        sql_type, dt.timedelta(seconds=1)
    )
    assert low <= seed
    assert moment - dt.datetime.fromisoformat(low[:26]) < unit


@pytest.mark.parametrize(
    ("column", "watermark"),
    [("modified_date", "2024-01-31 10:20:30.999"), ("modified_date", "2024-01-31"), ("customer_id", "1.0"), ("customer_id", "")],
)  # fmt: skip
def test_should_stop_at_a_watermark_that_the_server_reads_as_another_value(bank, column, watermark):
    with pytest.raises(SourceChanged, match="to the server") as caught:
        plan(bank, "customers", column, low=watermark)
    assert watermark in str(caught.value) and "flowforge watermark set" in caught.value.remedy


@pytest.mark.parametrize("seed", ["2024-01-31T10:20:30", "2024-01-31 10:20:30"])
def test_should_take_a_seed_in_either_common_form(bank, seed):
    assert plan(bank, "customers", "modified_date", last_watermark=seed).interval.low == "2024-01-31 10:20:30.000"
