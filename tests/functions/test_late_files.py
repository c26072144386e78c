"""Files that come late, or to silver in another order: nothing newer is overwritten, nothing older comes back."""

import pytest

from flowforge.bronze.ingest import ingest
from flowforge.bronze.outcome import Outcome
from flowforge.domain.errors import Wait
from flowforge.operations.watermarks import commit_landed
from flowforge.runtime.settings import settings
from flowforge.silver.release import release
from flowforge.state import batch_records
from tests.helpers.file_jobs import (
    KEYED,
    REPLACING,
    is_rebuilt_the_same,
    landed_apart,
    notes,
    only,
    waiting_notes,
    why_nothing,
)


def test_should_never_overwrite_a_snapshot_by_an_older_one_that_comes_late(job):
    files = job(
        bronze={"load_strategy": "full_refresh"},
        silver={"strategy": "merge", "primary_key": ["id"], "deletes": "hard"},
        source={"order": "date"},
    )
    files.put("x_20240101.csv", "1,1,a", "2,2,a")
    files.put("x_20240102.csv", "2,2,b", "3,3,b")
    notes = only(files.load()).notes
    assert any("x_20240101.csv is a snapshot older than" in note for note in notes)
    assert files.ids() == [2, 3]
    late = files.put("x_20231231.csv", "9,9,z")
    nothing = why_nothing(files.load())
    assert any("x_20231231.csv is a snapshot older than" in note for note in nothing.notes)
    assert not any("snapshot older" in note for note in why_nothing(files.load()).notes)
    assert files.taken()[late].skipped
    files.put("x_20240103.csv", "3,3,c")
    files.load()
    assert [(row["id"], row["note"]) for row in files.rows("gold")] == [(3, "c")]


def test_should_overwrite_nothing_newer_by_an_older_file_that_comes_late(job):
    files = job(silver={"strategy": "merge", "primary_key": ["id"]}, source={"order": "date"})
    files.put("x_20240101.csv", "1,1,first", "2,1,first", "3,1,first")
    files.load()
    files.put("x_20240103.csv", "1,3,third", "4,3,third")
    third = files.load()
    files.put("x_20240102.csv", "1,2,second", "2,2,second", "5,2,second")
    second = only(files.load())
    assert any("comes before files that are loaded" in note for note in second.notes)
    kept = {1: "third", 2: "second", 3: "first", 4: "third", 5: "second"}
    assert {row["id"]: row["note"] for row in files.rows()} == kept
    files.put("x_20240104.csv", "5,4,fourth")
    files.load()
    assert {row["id"]: row["note"] for row in files.rows("gold")} == kept | {5: "fourth"}
    assert only(third).records == 2


def test_should_wait_with_a_late_file_until_silver_has_what_is_to_stay(job):
    files = job(silver={"strategy": "merge", "primary_key": ["id"]})
    files.put("b.csv", "1,1,b")
    landed_apart = only(ingest(files.command()))
    commit_landed(landed_apart)
    files.put("a.csv", "1,1,a")
    command = files.command()
    with pytest.raises(Wait, match="not in silver yet"):
        ingest(command)
    files.follow(Outcome([landed_apart]))
    files.follow(ingest(command))
    assert [row["note"] for row in files.rows()] == ["b"]


SNAPSHOTS = {"load_strategy": "full_refresh"}


@pytest.mark.parametrize(
    ("silver", "bronze", "expected"),
    [
        ({"strategy": "append"}, {}, [(1, "a"), (1, "b"), (2, "a"), (7, "c")]),
        (KEYED, {}, [(1, "b"), (2, "a"), (7, "c")]),
        ({"strategy": "merge"}, {}, [(1, "a"), (1, "b"), (2, "a"), (7, "c")]),
        (KEYED | {"deletes": "hard"}, SNAPSHOTS, [(7, "c")]),
        (KEYED | {"deletes": "soft"}, SNAPSHOTS, [(7, "c")]),
        (KEYED | {"strategy": "replace"}, {}, [(7, "c")]),
        (KEYED | {"strategy": "scd2"}, {}, [(1, "b"), (2, "a"), (7, "c")]),
        (KEYED | {"strategy": "scd2", "deletes": "soft"}, SNAPSHOTS, [(7, "c")]),
    ],
    ids=["append", "merge", "by content", "snapshot, hard", "snapshot, soft", "replace", "scd2", "scd2 of snapshots"],
)
def test_should_have_the_same_rows_whatever_the_order_in_which_files_come_to_silver(job, silver, bronze, expected):
    files = job(silver=silver, bronze=bronze)
    first, late, newest = landed_apart(files, ("1.csv", "1,1,a", "2,2,a"), ("2.csv", "1,1,b"), ("3.csv", "7,7,c"))
    files.follow(Outcome([first, newest, late]))
    for layer in ("silver", "gold"):
        shown = [row for row in files.rows(layer) if row.get("_is_current", True) and not row.get("_is_deleted")]
        assert sorted((row["id"], row["note"]) for row in shown) == expected
    if (
        silver.get("deletes") != "soft" or silver["strategy"] == "scd2"
    ):  # what a marked row held last depends on the order
        assert is_rebuilt_the_same(files)


def test_should_keep_what_a_later_file_has_said_again_where_one_before_it_comes_late_to_a_history(job):
    files = job(silver=KEYED | {"strategy": "scd2"})
    first, late, again = landed_apart(files, ("1.csv", "1,1,a"), ("2.csv", "1,1,b"), ("3.csv", "1,1,a"))
    files.follow(Outcome([first, again, late]))
    states = sorted(files.rows(), key=lambda row: row["_valid_from"])
    assert [(row["note"], row["_is_current"]) for row in states] == [("a", False), ("b", False), ("a", True)]
    assert [row["_valid_to"] for row in states] == [states[1]["_valid_from"], states[2]["_valid_from"], None]


def test_should_release_a_row_over_one_of_an_older_file_that_came_late(job):
    rule = {"rule": "allowed_values", "column": "note", "values": ["first", "second"], "severity": "quarantine"}
    files = job(silver=KEYED | {"quality_rules": [rule]}, source={"order": "date"})
    for day, note in (("01", "first"), ("03", "third"), ("02", "second")):
        files.put(f"x_202401{day}.csv", f"1,1,{note}")
        files.load()
    assert notes(files) == {1: "second"}
    (third,) = [one for one in batch_records.history(files.key) if one.seq == 2]
    assert release(third, settings().bucket, []).released == 1
    assert notes(files) == {1: "third"}


def test_should_keep_in_quarantine_what_is_newer_than_a_file_that_came_late(job):
    rule = {"rule": "allowed_values", "column": "note", "values": ["first", "second"], "severity": "quarantine"}
    files = job(silver=KEYED | {"quality_rules": [rule]}, source={"order": "date"})
    facts = []
    for day, note in (("01", "first"), ("03", "third"), ("02", "second")):
        files.put(f"x_202401{day}.csv", f"1,1,{note}")
        facts.append(only(files.load()))
    assert (notes(files), waiting_notes(files)) == ({1: "second"}, ["third"])
    for fact in facts:  # each is delivered again
        files.follow(Outcome([fact]))
        assert (notes(files), waiting_notes(files)) == ({1: "second"}, ["third"])


def test_should_keep_nothing_in_quarantine_of_a_late_file_that_a_newer_one_has_told_of(job):
    rule = {"rule": "allowed_values", "column": "note", "values": ["first", "third"], "severity": "quarantine"}
    files = job(silver=KEYED | {"quality_rules": [rule]}, source={"order": "date"})
    for day, *rows in (("01", "1,1,first"), ("03", "1,1,third"), ("02", "1,1,second", "2,2,other")):
        files.put(f"x_202401{day}.csv", *rows)
        late = files.load()
    assert (notes(files), waiting_notes(files)) == ({1: "third"}, ["other"])
    files.follow(late)
    assert (notes(files), waiting_notes(files)) == ({1: "third"}, ["other"])


def test_should_not_bring_an_older_state_back_by_the_release_of_a_later_one(job):
    rule = {"rule": "allowed_values", "column": "note", "values": ["a"], "severity": "quarantine"}
    files = job(silver=KEYED | {"strategy": "scd2", "quality_rules": [rule]})
    for name, *rows in (("1.csv", "1,1,a", "2,2,a"), ("2.csv", "1,1,b", "2,2,b"), ("3.csv", "2,2,a")):
        files.put(name, *rows)
        files.load()
    (batch,) = [one for one in batch_records.history(files.key) if one.seq == 2]
    assert release(batch, settings().bucket, []).released == 2
    assert sorted((row["id"], row["note"]) for row in files.rows() if row["_is_current"]) == [(1, "b"), (2, "a")]


@pytest.mark.parametrize("silver", [{"strategy": "append"}, KEYED, KEYED | {"deletes": "soft"}])
def test_should_overwrite_nothing_by_an_older_version_that_comes_to_silver_late(job, silver):
    files = job(silver=silver, source=REPLACING)
    files.put("0.csv", "1,0,old", "5,0,old")
    files.load()
    files.put("a.csv", "1,1,a", "2,2,a", "3,3,a")
    late = only(ingest(files.command()))
    commit_landed(late)
    files.put("a.csv", "2,2,a2")
    newer = only(ingest(files.command()))
    commit_landed(newer)
    files.follow(Outcome([newer, late]))
    files.follow(Outcome([late]))
    expected = {5: "old", 2: "a2"} | ({1: "old"} if silver["strategy"] == "append" else {})
    for layer in ("silver", "gold"):
        assert notes(files, layer) == expected
    assert is_rebuilt_the_same(files)
