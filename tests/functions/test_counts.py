"""Every batch is counted at its source: real rows come and go between the reading of a batch and its counting."""

import pyarrow as pa
import pytest

from flowforge.bronze.ingest import ingest
from flowforge.bronze.parquet import read_footer
from flowforge.domain.errors import LateRows, UnknownTable
from flowforge.domain.given import given
from flowforge.operations.watermarks import commit_landed
from tests.helpers.loads import MANY, OLD, READER, run_slices


def test_should_tell_that_the_source_counts_what_landed(aws, loads):
    load = loads()
    (fact,) = load.load("one")
    assert (fact.records, fact.source_rows, fact.notes) == (3, 3, [])
    assert fact.counted == "in the snapshot that was read, and again after landing"
    assert fact.counted_at.startswith("20")
    body = aws.client("s3").get_object(Bucket=aws.name("Lake"), Key=fact.bronze_key)["Body"].read()
    footer = read_footer(pa.BufferReader(body))
    assert (given(footer)["source_rows"], given(footer)["null_cursors"]) == (3, 0)


@pytest.mark.parametrize("at", ["date", "smalldatetime", "datetime", "datetime2(7)", "datetimeoffset(7)"])
def test_should_read_again_what_came_late_into_a_closed_interval(loads, at):
    load = loads(at)
    load.meanwhile = [f"INSERT INTO {{t}} VALUES (40, '{OLD}')"]
    (fact,) = load.load("one")
    assert (fact.records, fact.source_rows, load.states()) == (4, 4, ["voided", "committed"])
    assert fact.bronze_key.endswith("one~2.parquet")
    assert "1 rows came into the interval" in fact.notes[-1]
    assert "batch 1 was given up" in fact.notes[-1]


def test_should_read_again_what_an_update_brings_into_a_closed_interval(loads):
    load = loads()
    load.meanwhile = [f"UPDATE {{t}} SET at = '{OLD}' WHERE id = 10"]
    (fact,) = load.load("one", last_watermark="2024-02-01")
    assert (fact.records, fact.source_rows, load.states()) == (3, 3, ["voided", "committed"])


def test_should_read_again_a_number_that_came_late(loads):
    load = loads()
    load.meanwhile = ["INSERT INTO {t} VALUES (15, NULL)"]
    (fact,) = load.load("one", "id")
    assert (fact.records, fact.source_rows, load.states()) == (4, 4, ["voided", "committed"])


def test_should_read_again_what_a_transaction_commits_that_nobody_could_see(loads):
    """A blind login keeps five minutes from the clock; a transaction that stays open for longer is what the count is for."""
    load = loads(login=READER)
    with load.server.connect() as connection, connection.cursor() as writer:
        writer.execute(f"BEGIN TRANSACTION; INSERT INTO {load.name} VALUES (40, '{OLD}')")
        load.meanwhile = [lambda: writer.execute("COMMIT")]
        (fact,) = load.load("one")
    assert (fact.records, fact.source_rows, load.states()) == (4, 4, ["voided", "committed"])


def test_should_give_up_with_the_reason_when_rows_come_late_every_time(loads):
    load = loads()
    load.meanwhile = [f"INSERT INTO {{t}} VALUES ({n}, '{OLD}')" for n in range(100, 120)]
    with pytest.raises(LateRows, match="1 rows came into the interval") as caught:
        load.load("one")
    assert "so were 2 before it" in str(caught.value)
    assert "rowversion" in caught.value.remedy
    assert (load.states(), load.watermark(), len(load.meanwhile)) == (["voided"] * 3, None, 17)
    load.meanwhile.clear()
    (fact,) = load.load("two")
    assert (fact.records, fact.source_rows) == (6, 6)


def test_should_start_anew_when_a_person_replays_what_was_given_up(loads):
    load = loads()
    command = load.command("one").model_copy(update={"given_up": ["once", "twice"], "replayed": True})
    load.meanwhile = [f"INSERT INTO {{t}} VALUES (40, '{OLD}')"]
    (fact,) = load.follow(command)
    assert (fact.records, load.states()) == (4, ["voided", "committed"])


def test_should_land_once_when_what_is_submitted_again_comes_twice(loads):
    load = loads()
    load.meanwhile = [f"INSERT INTO {{t}} VALUES (40, '{OLD}')"]
    assert ingest(load.command("one")).facts == []
    (again,) = load.submitted_again()
    first, second = load.follow(again), load.follow(again)
    assert [fact.records for fact in first] == [4]
    assert second == []
    assert load.states() == ["voided", "committed"]


@pytest.mark.parametrize(
    "statement", ["UPDATE {t} SET at = SYSDATETIME() WHERE id = 10", "DELETE FROM {t} WHERE id = 10"]
)
def test_should_tell_of_rows_that_have_left_the_interval_and_land(loads, statement):
    load = loads()
    load.meanwhile = [statement]
    (fact,) = load.load("one")
    assert (fact.records, fact.source_rows, load.states()) == (3, 2, ["committed"])
    assert "1 rows of the interval were changed or deleted" in fact.notes[-1]


def test_should_not_take_a_row_without_cursor_for_a_late_one(loads):
    load = loads()
    load.execute("INSERT INTO {t} VALUES (1, NULL)")
    load.meanwhile = ["INSERT INTO {t} VALUES (2, NULL), (3, NULL)"]
    (fact,) = load.load("one")
    assert (fact.records, fact.source_rows, load.states()) == (4, 6, ["committed"])
    assert fact.notes == []


def test_should_see_a_late_row_behind_one_that_has_lost_its_cursor(loads):
    load = loads()
    load.meanwhile = [f"INSERT INTO {{t}} VALUES (1, NULL), (40, '{OLD}')"]
    (fact,) = load.load("one")
    assert (fact.records, load.states()) == (5, ["voided", "committed"])


@pytest.mark.parametrize(
    ("indexed", "asked", "counted"),
    [(False, "auto", None), (False, "always", 3), (True, "auto", 3), (True, "never", None)],
)
def test_should_count_where_it_is_cheap_or_asked_for(loads, indexed, asked, counted):
    (fact,) = loads(indexed=indexed).load("one", count_rows=asked)
    assert fact.source_rows == counted
    assert ("not counted" in fact.counted) == (counted is None)


def test_should_count_a_full_load_in_the_snapshot_that_it_reads(loads):
    load = loads()
    load.meanwhile = ["INSERT INTO {t} VALUES (40, NULL)"]
    (fact,) = load.load("one", None)
    assert (fact.records, fact.source_rows, fact.counted) == (3, 3, "in the snapshot that was read")


def test_should_not_compare_a_full_load_that_is_no_single_moment(loads):
    (fact,) = loads().load("one", None, snapshot_isolation=False)
    assert (fact.source_rows, "without SNAPSHOT" in fact.counted) == (None, True)


def test_should_count_a_query_by_its_delta_column_only(loads):
    load = loads()
    asked = {"table_name": None, "query": f"SELECT id, at FROM {load.name}", "count_rows": "always"}
    load.meanwhile = [f"INSERT INTO {{t}} VALUES (40, '{OLD}')"]
    (fact,) = load.load("one", **asked)
    assert (fact.records, fact.source_rows) == (4, 4)
    (whole,) = load.load("two", None, **asked)
    assert (whole.source_rows, "query without delta column" in whole.counted) == (None, True)


def test_should_land_without_a_count_that_nobody_insists_on(loads):
    load = loads()
    load.meanwhile = ["DROP TABLE {t}"]
    (fact,) = load.load("one")
    assert (fact.records, fact.source_rows, fact.counted) == (3, 3, "in the snapshot that was read")


def test_should_not_land_without_a_count_that_is_insisted_on(loads):
    load = loads()
    load.meanwhile = ["DROP TABLE {t}"]
    with pytest.raises(UnknownTable):
        load.load("one", count_rows="always")
    assert load.states() == ["voided"]


def test_should_sum_what_the_slices_count_and_read_all_again_when_a_row_came_late(sliced, loads):
    load = loads(rows=MANY)
    load.meanwhile = ["SELECT 1", f"INSERT INTO {{t}} VALUES (1, '{OLD}')"]
    assert ingest(load.command("one")).facts == []
    assert run_slices(load) == []
    (again,) = load.submitted_again()
    assert ingest(again).facts == []
    (fact,) = run_slices(load)
    commit_landed(fact)
    assert (fact.records, fact.source_rows, load.states()) == (10, 10, ["voided", "committed"])
    assert fact.counted == "in the snapshot of each slice, and again after landing"
    assert "batch 1 was given up" in fact.notes[-1]


def test_should_count_a_full_load_in_the_snapshot_of_each_slice(sliced, loads):
    load = loads(rows=MANY)
    assert ingest(load.command("one", None)).facts == []
    (fact,) = run_slices(load)
    assert (fact.records, fact.source_rows, fact.counted) == (9, 9, "in the snapshot of each slice")
