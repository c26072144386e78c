"""New content under the name of a file that is loaded: it takes the place of its file's rows, and of no others."""

import pytest
from deltalake import DeltaTable

from flowforge.bronze.ingest import ingest
from flowforge.bronze.outcome import Outcome
from flowforge.domain.errors import TransformRejected, Wait
from flowforge.operations.rebuild import rebuild
from flowforge.operations.rebuild_silver import rebuild_silver
from flowforge.operations.watermarks import commit_landed, reset_by_hand
from flowforge.runtime.settings import settings
from flowforge.silver.release import release
from flowforge.silver.step import refine_landed
from flowforge.state import batch_records
from flowforge.tables.lake import table_uri
from tests.helpers.file_jobs import (
    KEYED,
    REPLACING,
    delta_options,
    forget,
    is_rebuilt_the_same,
    landed_apart,
    notes,
    only,
    refused,
    waiting_notes,
)


def test_should_put_new_content_in_the_place_of_the_rows_of_its_own_file_alone(job):
    files = job(source=REPLACING)
    files.put("a.csv", "1,1,a", "1,1,a", "2,2,a")
    files.put("b.csv", "1,1,b", "7,7,b")
    files.load()
    files.put("a.csv", "1,1,a2", "3,3,a2")
    second = files.command()
    files.follow(ingest(second))
    assert files.follow(ingest(second)).facts == []
    for layer in ("silver", "gold"):
        assert [(row["id"], row["note"]) for row in files.rows(layer)] == [(1, "b"), (1, "a2"), (3, "a2"), (7, "b")]
    batches = list(batch_records.history(files.key))
    assert [batch.manifest.rows for batch in batches if batch.manifest is not None] == [2, 5]  # bronze keeps both
    assert is_rebuilt_the_same(files)
    files.put("a.csv")
    files.load()
    assert [row["note"] for row in files.rows("gold")] == ["b", "b"]
    assert is_rebuilt_the_same(files)


def test_should_take_out_what_batches_before_a_reset_have_brought_of_a_file(job):
    files = job(source=REPLACING)
    files.put("a.csv", "1,1,a", "2,2,a")
    files.load()
    reset_by_hand(files.key, "test")
    files.put("a.csv", "1,1,a2")
    files.load()
    assert notes(files) == {1: "a2"}
    assert is_rebuilt_the_same(files)


@pytest.mark.parametrize(
    ("deletes", "left", "marked"),
    [("hard", {1: "a2", 3: "b", 4: "a2"}, []), ("soft", {1: "a2", 3: "b", 4: "a2"}, [2])],
)
def test_should_treat_keys_that_are_gone_from_a_file_as_the_table_treats_deletes(job, deletes, left, marked):
    files = job(silver=KEYED | {"deletes": deletes}, source=REPLACING)
    files.put("a.csv", "1,1,a", "2,2,a", "3,3,a")
    files.load()
    files.put("b.csv", "3,3,b")
    files.load()
    files.put("a.csv", "1,1,a2", "3,3,a2", "4,4,a2")
    files.load()
    for layer in ("silver", "gold"):
        assert notes(files, layer) == left
    assert [row["id"] for row in files.rows() if row.get("_is_deleted")] == marked
    assert is_rebuilt_the_same(files)


def test_should_keep_keys_that_are_gone_from_a_file_where_deletes_are_ignored(job):
    files = job(silver=KEYED | {"deletes": "ignore"}, source=REPLACING)
    files.put("a.csv", "1,1,a", "2,2,a")
    files.load()
    files.put("a.csv", "1,1,a2")
    files.load()
    assert notes(files) == {1: "a2", 2: "a"}


def test_should_end_the_version_of_a_key_that_is_gone_from_its_file(job):
    files = job(silver=KEYED | {"strategy": "scd2", "deletes": "soft"}, source=REPLACING)
    files.put("a.csv", "1,1,a", "2,2,a")
    files.load()
    files.put("b.csv", "7,7,b")
    files.load(order="arrival")
    files.put("a.csv", "1,1,a2")
    files.load(order="arrival")
    versions = [(row["id"], row["note"], row["_is_current"]) for row in files.rows()]
    assert sorted(versions) == [(1, "a", False), (1, "a2", True), (2, "a", False), (7, "b", True)]
    assert is_rebuilt_the_same(files)


def test_should_not_release_into_a_history_what_a_replaced_file_may_have_ended(job):
    rule = {"rule": "allowed_values", "column": "note", "values": ["a"], "severity": "quarantine"}
    files = job(silver=KEYED | {"strategy": "scd2", "deletes": "soft", "quality_rules": [rule]}, source=REPLACING)
    for rows in (["1,1,b", "2,2,a"], ["3,3,a"]):
        files.put("a.csv", *rows)
        files.load()
    before = files.rows()
    (first,) = [one for one in batch_records.history(files.key) if one.seq == 1]
    with pytest.raises(TransformRejected, match="files have been replaced since") as refused:
        release(first, settings().bucket, [])
    assert "new file" in refused.value.remedy
    assert (files.rows(), waiting_notes(files)) == (before, ["b"])


def test_should_wait_with_new_content_of_a_file_until_silver_has_what_other_files_have_told_before(job):
    files = job(silver=KEYED, source=REPLACING)
    files.put("a.csv", "1,1,a")
    files.load()
    files.put("b.csv", "2,2,b")
    other = only(ingest(files.command()))
    commit_landed(other)
    files.put("a.csv", "3,3,a2")
    command = files.command()
    with pytest.raises(Wait, match="not in silver yet"):
        ingest(command)
    files.follow(Outcome([other]))
    files.follow(ingest(command))
    assert notes(files) == {2: "b", 3: "a2"}


def test_should_not_guess_which_rows_are_a_files_where_they_do_not_tell_it(job):
    files = job(bronze={"audit_columns": False})
    files.put("a.csv", "1,1,a")
    files.load()
    files.bronze, files.source = {}, REPLACING
    files.put("a.csv", "1,1,a2")
    with pytest.raises(TransformRejected, match="do not tell their file"):
        files.load()


def test_should_judge_new_content_of_a_file_without_the_rows_that_it_takes_the_place_of(job):
    rule = {"rule": "unique", "columns": ["id"], "severity": "fail"}
    files = job(silver={"strategy": "append", "quality_rules": [rule]}, source=REPLACING)
    files.put("a.csv", "1,1,a", "2,2,a")
    files.load()
    files.put("a.csv", "1,1,a2", "3,3,a2")
    files.load()
    assert notes(files) == {1: "a2", 3: "a2"}


def test_should_replace_once_where_workers_die_on_the_way(job, aws, monkeypatch):
    files = job(silver=KEYED, source=REPLACING)
    files.put("a.csv", "1,1,a", "2,2,a")
    first = files.command()
    files.follow(ingest(first))
    files.put("a.csv", "1,1,a2")
    second = files.command()
    refused(monkeypatch, aws, "bronze_", lambda: ingest(second))
    assert notes(files) == {1: "a", 2: "a"}
    fact = only(ingest(second))
    commit_landed(fact)
    refused(monkeypatch, aws, "_delta_log", lambda: refine_landed(fact))
    assert notes(files) == {1: "a", 2: "a"}
    for _ in range(2):
        files.follow(Outcome([fact]))
        assert notes(files) == {1: "a2"}
    for command in (first, second):  # replayed
        assert ingest(command).facts == []


def test_should_not_release_rows_of_a_file_whose_place_others_have_taken(job):
    rule = {"rule": "allowed_values", "column": "note", "values": ["a"], "severity": "quarantine"}
    files = job(silver=KEYED | {"quality_rules": [rule]}, source=REPLACING)
    for rows in (["1,1,b", "2,2,a"], ["3,3,a"]):
        files.put("a.csv", *rows)
        files.load()
    assert waiting_notes(files) == []
    (first,) = [one for one in batch_records.history(files.key) if one.seq == 1]
    release(first, settings().bucket, [])
    assert notes(files) == {3: "a"}


@pytest.mark.parametrize("silver", [KEYED, KEYED | {"deletes": "ignore"}, {"strategy": "append"}])
def test_should_keep_in_quarantine_of_a_replaced_file_what_its_newest_content_has(job, silver):
    rule = {"rule": "allowed_values", "column": "note", "values": ["a"], "severity": "quarantine"}
    files = job(silver=silver | {"quality_rules": [rule]}, source=REPLACING)
    files.put("b.csv", "8,8,other")
    files.load()
    old, new = landed_apart(files, ("a.csv", "1,1,old", "2,2,a"), ("a.csv", "3,3,a", "4,4,new"))
    gone = [] if silver.get("deletes") != "ignore" else ["old"]  # such a table keeps what a file lacks
    for fact in (new, old, new):  # the older one comes late
        files.follow(Outcome([fact]))
    assert waiting_notes(files) == sorted(["new", "other", *gone])
    assert is_rebuilt_the_same(files)


def test_should_know_what_was_replaced_after_a_rebuild(job):
    files = job(silver=KEYED, source=REPLACING)
    late, newer = landed_apart(files, ("a.csv", "1,1,a", "2,2,a"), ("a.csv", "2,2,a2"))
    files.follow(Outcome([newer]))
    table = DeltaTable(table_uri(settings().bucket, "silver", files.name), storage_options=delta_options())
    table.delete("id = 2")
    assert not rebuild_silver(settings().bucket, files.name, True, 1000).difference.equal
    files.follow(Outcome([late]))
    assert notes(files) == {2: "a2"}
    forget(files.key)
    rebuild(settings().bucket, f"bronze_{files.name}", write=True)
    files.put("a.csv", "3,3,a3")
    files.load()
    assert notes(files) == {3: "a3"}
