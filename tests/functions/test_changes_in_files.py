"""Files of changes: inserts, updates and deletes as their records tell them."""

import pytest

from flowforge.bronze.ingest import ingest
from flowforge.bronze.outcome import Outcome
from flowforge.domain.errors import FileRefused, TransformRejected, Wait
from flowforge.operations.watermarks import commit_landed
from flowforge.runtime.settings import settings
from flowforge.silver.release import release
from flowforge.state import batch_records
from flowforge.state.file_refusals import refusals
from tests.helpers.file_jobs import (
    CDC,
    CHANGES,
    DEBEZIUM,
    KEYED,
    LETTERS,
    in_bronze,
    is_rebuilt_the_same,
    notes,
    of_changes,
    only,
    waiting_notes,
)


@pytest.mark.parametrize("silver", [{"deletes": "hard"}, {"strategy": "scd2", "deletes": "soft"}])
def test_should_not_release_what_a_later_change_may_have_deleted(job, silver):
    rule = {"rule": "allowed_values", "column": "note", "values": ["a"], "severity": "quarantine"}
    files = job(silver=KEYED | silver | {"quality_rules": [rule]}, contract=of_changes(LETTERS))
    for name, *changes in (("1.csv", "I,1,1,b", "I,2,2,a"), ("2.csv", "D,3,,")):
        files.put(name, *changes, header=CHANGES)
        files.load()
    before = files.rows()
    (first,) = [one for one in batch_records.history(files.key) if one.seq == 1]
    with pytest.raises(TransformRejected, match="changes have been applied since") as refused:
        release(first, settings().bucket, [])
    assert "new file" in refused.value.remedy
    assert (files.rows(), waiting_notes(files)) == (before, ["b"])


HARD = {"deletes": "hard"}
WITHOUT_DELETED = [(1, "b"), (3, "a"), (4, "b")]


@pytest.mark.parametrize(
    ("operations", "first", "second", "silver", "rows"),
    [
        (LETTERS, "III", "UDI", HARD, WITHOUT_DELETED),
        (DEBEZIUM, "rcr", "udc", HARD, WITHOUT_DELETED),
        (CDC, "222", "412", HARD, WITHOUT_DELETED),
        (LETTERS, "III", "UDI", {"deletes": "soft"}, [(1, "b"), (2, "a, gone"), (3, "a"), (4, "b")]),
        (LETTERS, "III", "UDI", {"deletes": "ignore"}, [(1, "b"), (2, "a"), (3, "a"), (4, "b")]),
        (
            LETTERS,
            "III",
            "UDI",
            {"strategy": "scd2", "deletes": "soft"},
            [(1, "a, ended"), (1, "b"), (2, "a, ended"), (3, "a"), (4, "b")],
        ),
    ],
    ids=["letters", "debezium", "cdc", "soft", "ignore", "scd2"],
)
def test_should_apply_changes_by_their_operations(job, operations, first, second, silver, rows):
    files = job(silver=KEYED | silver, contract=of_changes(operations))
    files.put("1.csv", *(f"{op},{n},{n},a" for n, op in enumerate(first, 1)), header=CHANGES)
    files.load()
    updated, deleted, inserted = second
    before = ["3,1,1,a"] if operations is CDC else []
    changes = [*before, f"{updated},1,1,b", f"{deleted},2,,", f"{inserted},4,4,b"]
    files.put("2.csv", *changes, header=CHANGES)
    fact = only(files.load())
    bronze = in_bronze(fact)
    assert bronze.column("_change_type").to_pylist() == [operations[one[0]] for one in changes]
    assert (fact.records, fact.columns, "Op" in bronze.schema.names) == (len(changes), len(bronze.schema), False)
    shown = [
        (
            row["id"],
            row["note"] + (", gone" * bool(row.get("_is_deleted"))) + ", ended" * (not row.get("_is_current", True)),
        )
        for row in files.rows()
    ]
    assert sorted(shown) == rows
    assert "_change_type" not in files.rows()[0]
    assert is_rebuilt_the_same(files)


def test_should_apply_the_last_change_of_each_key_of_a_file_and_keep_those_apart_that_have_none(job):
    files = job(silver=KEYED | HARD | {"null_keys": "quarantine"}, contract=of_changes(LETTERS))
    changes = [
        "I,1,1,a",
        "D,1,,",
        "I,2,2,a",
        "U,2,2,b",
        "D,3,,",
        "I,3,3,back",
        "D,,,",
        "I,4,4,a",
        "D,4,,",
        "I,4,4,again",
    ]
    files.put("1.csv", *changes, header=CHANGES)
    files.load()
    for layer in ("silver", "gold"):
        assert notes(files, layer) == {2: "b", 3: "back", 4: "again"}
    (batch,) = batch_records.history(files.key)
    assert batch.quarantined == 1


def test_should_reject_an_operation_that_it_does_not_know(job):
    files = job(silver=KEYED, contract=of_changes(LETTERS))
    files.put("1.csv", "I,1,1,a", "T,2,2,a", ",3,3,a", header=CHANGES)
    with pytest.raises(FileRefused, match=r"2 of its 3 records.*line 3, column Op: it is none of the operations"):
        files.load()
    files.contract = of_changes(LETTERS, bad_rows="quarantine", most_bad_share=0.9)
    files.load()
    assert notes(files) == {1: "a"}


def test_should_judge_no_deletion_by_rules_for_rows(job):
    rule = {"rule": "not_null", "column": "note", "severity": "fail"}
    files = job(silver=KEYED | {"quality_rules": [rule]}, contract=of_changes(LETTERS))
    for name, change in (("1.csv", "I,1,1,a"), ("2.csv", "D,1,,")):
        files.put(name, change, header=CHANGES)
        files.load()
    assert notes(files) == {}


def test_should_keep_a_deletion_that_comes_before_a_row_is_released(job):
    rule = {"rule": "allowed_values", "column": "note", "values": ["a"], "severity": "quarantine"}
    files = job(silver=KEYED | {"deletes": "soft", "quality_rules": [rule]}, contract=of_changes(LETTERS))
    for name, change in (("1.csv", "I,1,1,b"), ("2.csv", "D,1,,")):
        files.put(name, change, header=CHANGES)
        files.load()
    (batch,) = [one for one in batch_records.history(files.key) if one.seq == 1]
    release(batch, settings().bucket, [])
    assert notes(files) == {}


def test_should_read_changes_in_their_order_alone(job):
    files = job(silver=KEYED, contract=of_changes(LETTERS))
    files.put("2.csv", "D,1,,", header=CHANGES)
    later = only(ingest(files.command()))
    commit_landed(later)
    files.put("3.csv", "I,2,2,a", header=CHANGES)
    command = files.command()
    with pytest.raises(Wait, match="not in silver yet"):
        ingest(command)
    files.follow(Outcome([later]))
    files.follow(ingest(command))
    files.put("1.csv", "I,1,1,late", header=CHANGES)
    with pytest.raises(FileRefused, match="changes are applied in their order only"):
        files.load()
    assert notes(files) == {2: "a"}
    (refused,) = refusals(files.key)
    assert (refused.file.key.rpartition("/")[2], "comes before" in refused.reason) == ("1.csv", True)
