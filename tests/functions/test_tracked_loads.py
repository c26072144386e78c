"""Loads by Change Tracking: what happened at the source is what silver has, and what cannot be known any more is said."""

import pytest

from events.facts import BronzeLanded, IntervalEmpty
from flowforge.bronze.ingest import ingest
from flowforge.bronze.outcome import Outcome
from flowforge.domain.errors import ScopeChanged, Wait
from flowforge.operations.batches import rebuild_states
from flowforge.operations.footers import read_footers
from flowforge.operations.rebuild_silver import rebuild_silver
from flowforge.operations.watermarks import commit_landed
from flowforge.runtime.settings import settings
from flowforge.silver.step import refine_landed
from flowforge.state.table import read_state
from tests.helpers.loads import landed, run_slices
from tests.helpers.tracked import MANY, kinds

COLUMN = "_change_version"


def test_should_bring_each_insert_update_and_delete_to_silver(tracked):
    source = tracked()
    first = source.load()
    assert (first.records, first.watermark_value, first.consistency) == (3, str(source.version() + 1), "snapshot")
    assert {(row["_change_type"], row[COLUMN]) for row in landed(first)} == {("insert", source.version())}
    source.execute("INSERT INTO {t} VALUES (40, '2024-04-04')", "UPDATE {t} SET at = '2025-01-01' WHERE id = 10")
    source.execute("DELETE FROM {t} WHERE id = 20")
    second = source.load()
    assert kinds(second) == {10: "update", 20: "delete", 40: "insert"}
    assert second.columns == len(landed(second)[0])
    assert [row[COLUMN] - source.version() for row in sorted(landed(second), key=lambda row: row[COLUMN])] == [
        -2,
        -1,
        0,
    ]
    assert source.agrees()
    assert COLUMN not in source.rows()[0] and "_change_type" not in source.rows()[0]


def test_should_hand_over_from_the_first_read_without_losing_what_is_committed_meanwhile(tracked):
    source = tracked()
    source.table.meanwhile = [
        lambda: source.execute("DELETE FROM {t} WHERE id = 10", "UPDATE {t} SET id = 21 WHERE id = 20")
    ]
    source.load()
    assert [key for key, _ in source.silver_rows()] == [10, 20, 30]
    assert kinds(source.load()) == {10: "delete", 20: "delete", 21: "insert"}
    assert source.agrees()


def test_should_bring_what_a_late_transaction_commits_below_other_changes(tracked):
    source = tracked()
    with source.table.server.connect(autocommit=False) as late, late.cursor() as cursor:
        cursor.execute(f"INSERT INTO {source.table.name} VALUES (1, '2020-01-01')")
        source.execute("INSERT INTO {t} VALUES (50, '2024-05-05')")
        source.load()
        assert [key for key, _ in source.silver_rows()] == [10, 20, 30, 50]
        late.commit()
    assert kinds(source.load()) == {1: "insert"}
    assert source.agrees()


def test_should_leave_what_changes_again_during_the_read_to_the_next_load(tracked):
    source = tracked()
    source.load()
    source.execute("UPDATE {t} SET at = '2025-01-01' WHERE id = 10")
    again = "UPDATE {t} SET at = '2025-02-02' WHERE id = 10"
    source.table.meanwhile = [lambda: source.execute(again, "INSERT INTO {t} VALUES (60, '2024-06-06')")]
    source.load()
    source.load()
    assert source.agrees()


@pytest.mark.parametrize(("deletes", "left"), [("hard", [10, 30]), ("soft", [10, 20, 30]), ("ignore", [10, 20, 30])])
def test_should_treat_deletions_as_the_table_wants(tracked, deletes, left):
    source = tracked({"deletes": deletes})
    source.load()
    source.execute("DELETE FROM {t} WHERE id = 20")
    source.load()
    assert [row["id"] for row in source.rows()] == left
    if deletes == "soft":
        assert [(row["_is_deleted"], str(row["at"].date())) for row in source.rows() if row["id"] == 20] == [
            (True, "2024-02-02")
        ]
    source.execute("INSERT INTO {t} VALUES (20, '2026-02-02')")
    source.load()
    assert source.agrees()
    assert not any(row.get("_is_deleted") for row in source.rows())


def test_should_keep_every_state_in_a_history(tracked):
    source = tracked({"strategy": "scd2"})
    source.load()
    source.execute("UPDATE {t} SET at = '2025-01-01' WHERE id = 10", "DELETE FROM {t} WHERE id = 20")
    source.load()
    source.execute("INSERT INTO {t} VALUES (20, '2026-01-01')")
    source.load()
    shown = [(row["id"], str(row["at"].date()), row["_is_current"]) for row in source.rows()]
    assert shown == [
        (10, "2024-01-01", False), (10, "2025-01-01", True), (20, "2024-02-02", False), (20, "2026-01-01", True),
        (30, "2024-03-03", True),
    ]  # fmt: skip


def test_should_take_out_what_is_gone_where_a_table_was_loaded_otherwise_before(tracked):
    source = tracked()
    source.load(change_tracking=False, is_incremental=False)
    source.execute("DELETE FROM {t} WHERE id = 10")
    source.load()
    assert source.agrees()


def test_should_load_a_table_of_several_slices_and_go_on_from_its_version(tracked, sliced):
    source = tracked()
    assert not ingest(source.command()).facts
    source.execute("UPDATE {t} SET at = '2025-01-01' WHERE id = 10", "DELETE FROM {t} WHERE id = 30")
    source.follow(Outcome(run_slices(source.table)))
    source.load()
    assert source.agrees()


def test_should_read_many_changes_in_slices_and_leave_what_changes_again_to_the_next_load(tracked, sliced):
    source = tracked()
    ingest(source.command())
    source.follow(Outcome(run_slices(source.table)))
    source.execute(*MANY)
    version = source.version()
    queued = ingest(source.command())
    assert [progress.slices for progress in queued.progress] == [3] and not queued.facts
    source.execute("UPDATE {t} SET at = '2026-01-01' WHERE id IN (10, 70)", "DELETE FROM {t} WHERE id = 40")
    (fact,) = source.follow(Outcome(run_slices(source.table))).facts
    assert isinstance(fact, BronzeLanded)
    assert (fact.records, fact.watermark_value, fact.consistency) == (3, str(version + 1), "snapshot per slice")
    assert "in 3 slices, each under a SNAPSHOT of its own" in fact.promise
    ingest(source.command())
    source.follow(Outcome(run_slices(source.table)))
    assert source.agrees()


def test_should_take_out_a_row_that_does_not_fit_its_condition_any_more(tracked):
    source = tracked(where=[{"column": "at", "operator": ">=", "values": ["2024-02-01"]}])
    assert source.load().records == 2
    source.execute(
        "UPDATE {t} SET at = '2023-01-01' WHERE id = 20",
        "UPDATE {t} SET at = '2025-01-01' WHERE id = 10",
        "INSERT INTO {t} VALUES (40, '2020-04-04'), (50, '2024-05-05')",
    )
    fact = source.load()
    assert kinds(fact) == {10: "update", 20: "delete", 40: "delete", 50: "insert"}
    assert {row["at"] for row in landed(fact) if row["id"] in (20, 40)} == {None}
    assert [key for key, _ in source.silver_rows()] == [10, 30, 50]
    with pytest.raises(ScopeChanged, match="where was at >= 2024-02-01"):
        source.load(where=[])


def test_should_say_of_an_empty_table_that_it_has_no_rows_and_load_it_once_it_has(tracked):
    source = tracked()
    source.execute("DELETE FROM {t}")
    assert isinstance(source.load(), IntervalEmpty)
    source.execute("INSERT INTO {t} VALUES (1, '2024-01-01')")
    assert source.load().records == 1
    assert source.agrees()


def test_should_rebuild_state_and_silver_from_bronze(tracked):
    source = tracked()
    source.load()
    source.execute("DELETE FROM {t} WHERE id = 20", "INSERT INTO {t} VALUES (40, '2024-04-04')")
    source.load()
    bucket, name = settings().bucket, f"bronze_{source.table.name}"
    (rebuilt,) = [one for one in rebuild_states(list(read_footers(bucket, name)), bucket, {})]
    assert {c: m.value for c, m in rebuilt.state.watermarks.items()} == {
        c: m.value for c, m in read_state(source.table.key).watermarks.items()
    }
    assert rebuild_silver(bucket, source.table.name, False, 1000).difference.equal


def test_should_wait_until_silver_has_the_changes_before(tracked):
    source = tracked()
    source.load()
    source.execute("DELETE FROM {t} WHERE id = 10")
    (fact,) = ingest(source.command()).facts
    assert isinstance(fact, BronzeLanded)
    commit_landed(fact)
    source.execute("INSERT INTO {t} VALUES (10, '2026-01-01')")
    with pytest.raises(Wait, match="is not in silver yet"):
        source.load()
    refine_landed(fact)
    source.load()
    assert source.agrees()
