"""Files from their bucket to gold, by the commands that a job of files makes: each content once, each record accounted for."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from events.commands import ReleaseQuarantine
from events.quality import QualityRule
from events.request import SilverConfig
from flowforge.aws.clients import client
from flowforge.bronze.ingest import ingest
from flowforge.bronze.outcome import Outcome
from flowforge.domain.errors import FileRefused
from flowforge.lineage.steps import steps_of
from flowforge.runtime.settings import settings
from flowforge.silver.step import release_quarantine
from flowforge.state import file_refusals
from tests.helpers.file_jobs import COLUMNS, CSV, KEYED, in_bronze, only, why_nothing


def test_should_load_new_files_once_and_in_the_order_of_their_names_up_to_gold(job):
    files = job()
    second, first = files.put("b.csv", "3,3.50,c", "4,4,"), files.put("a.csv", "1,1.10,a", '2,2.20,""')
    fact = only(files.load())
    assert (fact.records, fact.source_rows, fact.source_table) == (4, 4, f"{files.name}.daily")
    bronze = in_bronze(fact)
    assert bronze.column("_source_file").to_pylist() == [first, first, second, second]
    assert {bronze.schema.field(name).type for name in ("_batch_id", "_source_file", "_file_version")} == {pa.string()}
    assert bronze.column("_row_number").to_pylist() == [1, 2, 1, 2]
    assert bronze.column("note").to_pylist() == ["a", "", "c", None]
    assert files.ids("silver") == files.ids("gold") == [1, 2, 3, 4]
    assert {key: (one.rows, one.rejected) for key, one in files.taken().items()} == {first: (2, 0), second: (2, 0)}
    nothing = why_nothing(files.load())
    assert "no new file" in nothing.reason
    assert f"the last 2 files of this job were loaded by {fact.run_id}" in nothing.notes
    third = files.put("c.csv", "5,5,e")
    assert only(files.load()).records == 1
    assert files.ids("gold") == [1, 2, 3, 4, 5]
    assert third in files.taken()


def test_should_tell_of_each_row_its_file_with_version_and_place(job):
    files = job()
    key = files.put("a.csv", "1,1,a", "2,2,b")
    fact = only(files.load())
    stored = client("s3").head_object(Bucket=settings().bucket, Key=key)
    for layer in ("silver", "gold"):
        rows = files.rows(layer)
        assert [(row["_source_file"], row["_row_number"]) for row in rows] == [(key, 1), (key, 2)]
        assert {row["_file_version"] for row in rows} == {stored.get("VersionId") or stored["ETag"].strip('"')}
        assert {row["_file_modified_time"].replace(microsecond=0) for row in rows} == {stored["LastModified"]}
        assert {row["_source_system"] for row in rows} == {f"s3://{settings().bucket}"}
    assert fact.columns == len(in_bronze(fact).schema)


def test_should_add_no_audit_column_where_none_is_wanted(job):
    files = job(bronze={"audit_columns": False})
    files.put("a.csv", "1,1,a")
    fact = only(files.load())
    assert in_bronze(fact).schema.names == ["id", "amount", "note"]
    assert fact.columns == 3


def test_should_land_nothing_twice_when_a_command_is_delivered_again(job):
    files = job()
    files.put("a.csv", "1,1,a")
    command = files.command()
    fact = only(ingest(command))
    files.put("b.csv", "2,2,b")
    assert only(ingest(command)) == fact.model_copy(update={"seconds": only(ingest(command)).seconds})
    files.follow(Outcome([fact]))
    assert ingest(command).facts == []
    assert files.ids() == [1]
    assert files.states() == ["committed"]


def test_should_refuse_a_file_with_a_bad_record_by_line_and_column_and_take_it_once_it_is_mended(job):
    files = job()
    key = files.put("a.csv", "1,1.10,a", "2,1.234,b", "x,3,c")
    with pytest.raises(
        FileRefused, match=r"2 of its 3 records do not fit: line 3, column amount: .*; line 4, column id"
    ):
        files.load()
    assert files.states() == ["voided"]
    assert files.taken() == {}
    (refusal,) = file_refusals.refusals(files.key)
    assert (refusal.file.key, refusal.records, refusal.rejected) == (key, 3, 2)
    assert "1.234" not in json.dumps(refusal.model_dump())
    files.put("a.csv", "1,1.10,a", "2,1.23,b")
    files.load()
    assert files.ids() == [1, 2]


def test_should_load_the_other_files_where_rows_are_only_added_and_one_is_refused(job):
    files = job()
    bad = files.put("a.csv", "x,1,a")
    files.put("b.csv", "2,2,b")
    with pytest.raises(FileRefused, match=bad):
        files.load()
    assert any(f"{bad} was refused before" in note for note in only(files.load()).notes)
    with pytest.raises(FileRefused, match=bad):  # asked for it alone
        files.load()
    files.put("c.csv", "3,3,c")
    assert only(files.load()).records == 1
    files.put("a.csv", "1,1,a")
    assert only(files.load()).notes == []
    assert files.ids("gold") == [1, 2, 3]


def test_should_try_what_was_refused_again_where_it_is_read_otherwise(job):
    files = job()
    files.put("a.csv", "x,1,a")
    with pytest.raises(FileRefused):
        files.load()
    files.put("b.csv", "2,2,b")
    files.contract = CSV.model_copy(update={"columns": [COLUMNS[0].model_copy(update={"type": "text"}), *COLUMNS[1:]]})
    assert only(files.load()).records == 2


def test_should_hold_the_files_behind_a_refused_one_up_where_the_order_counts(job):
    files = job(silver={"strategy": "merge", "primary_key": ["id"]})
    bad = files.put("1.csv", "x,1,a")
    files.put("2.csv", "1,1,new")
    for _ in range(2):
        with pytest.raises(FileRefused, match=bad):
            files.load()
    files.put("1.csv", "1,1,old")
    files.load()
    files.load()
    assert [row["note"] for row in files.rows("gold")] == ["new"]


def test_should_keep_what_does_not_fit_beside_the_rows_within_the_budget(job):
    budget = CSV.model_copy(update={"bad_rows": "quarantine", "most_bad_rows": 2, "most_bad_share": 0.5})
    files = job(contract=budget)
    key = files.put("a.csv", "1,1,a", "2,1.234,b", "3,3,c", "only,two")
    fact = only(files.load())
    assert fact.records == fact.source_rows == 2
    assert any("2 of 4 records were rejected; the first: line 3, column amount" in note for note in fact.notes)
    where = f"rejected/bronze_{files.name}/{fact.batch_id}.parquet"
    assert any(where in note for note in fact.notes)
    body = client("s3").get_object(Bucket=settings().bucket, Key=where)["Body"].read()
    found = pq.read_table(pa.BufferReader(body)).to_pylist()
    assert [(one["file"], one["row_number"], one["line"], one["column"]) for one in found] == [
        (key, 2, 3, "amount"),
        (key, 4, 5, None),
    ]
    assert ("1.234" in found[0]["raw"], found[1]["raw"]) == (True, "only,two")
    assert (files.taken()[key].rows, files.taken()[key].rejected) == (2, 2)
    files.put("b.csv", "5,5,e", "x,5,e", "y,5,e")
    with pytest.raises(FileRefused, match=r"2 of its 3 records do not fit, and a share of 0\.5 may"):
        files.load()
    files.put("b.csv", *(f"{sign},5,e" for sign in "uvwxyz"))
    with pytest.raises(FileRefused, match="more than 2 of its records do not fit"):
        files.load()
    assert files.ids() == [1, 3]


def test_should_take_a_file_without_records_once(job):
    files = job()
    key = files.put("a.csv")
    assert why_nothing(files.load()).claimed
    assert (files.taken()[key].rows, files.states()) == (0, ["empty"])
    assert "no new file" in why_nothing(files.load()).reason


def test_should_tell_that_files_stay_as_they_were_read_where_the_job_reads_otherwise_now(job):
    files = job(contract=CSV.model_copy(update={"bad_rows": "quarantine", "most_bad_share": 1}))
    files.put("a.csv", "x,1,a", "2,2,b")
    files.load()
    assert not any("reads files otherwise now" in note for note in why_nothing(files.load()).notes)
    texts = [column.model_copy(update={"type": "text"}) for column in CSV.columns]
    files.contract = CSV.model_copy(update={"columns": texts})
    (told,) = [note for note in why_nothing(files.load()).notes if "reads files otherwise now" in note]
    assert told.endswith(f"flowforge watermark reset bronze_{files.name} --yes")


def test_should_release_rows_by_the_rules_of_a_request_that_found_no_new_file(job):
    def ruled(most: int) -> list[QualityRule]:
        rule = {"rule": "range", "column": "id", "max": most, "severity": "quarantine"}
        return SilverConfig.model_validate({"qualityRules": [rule]}).qualityRules

    files = job(silver={**KEYED, "quality_rules": ruled(1)})
    files.put("a.csv", "1,1,a", "2,2,b")
    files.load()
    assert files.ids() == [1]
    order = ReleaseQuarantine(
        source_key=files.key, silver_table=files.name, run_id=f"{files.name}_run_1", bronze_table=f"bronze_{files.name}"
    )
    release_quarantine(order)
    assert files.ids() == [1]
    files.silver["quality_rules"] = ruled(2)
    (told,) = [note for note in why_nothing(files.load()).notes if "quality rules are others now" in note]
    assert told.endswith(f"flowforge quality {files.name} --release")
    assert not any("quality rules" in note for note in why_nothing(files.load()).notes)
    release_quarantine(order)
    assert files.ids() == [1, 2]


def test_should_read_one_file_after_the_other_where_a_row_may_replace_another(job):
    files = job(silver={"strategy": "merge", "primary_key": ["id"]})
    files.put("1.csv", "1,1,old", "2,2,old")
    files.put("2.csv", "1,1,new")
    assert "1 files are left for the next load" in only(files.load()).notes
    assert [row["note"] for row in files.rows()] == ["old", "old"]
    assert only(files.load()).records == 1
    assert [row["note"] for row in files.rows("gold")] == ["new", "old"]


def test_should_take_new_content_of_a_name_as_new_or_refuse_it_as_the_job_says(job):
    files = job(silver={"strategy": "merge", "primary_key": ["id"]})
    files.put("a.csv", "1,1,a")
    files.load()
    files.put("a.csv", "1,1,b", "2,2,b")
    with pytest.raises(FileRefused, match="other content than was loaded"):
        files.load(changed="refuse")
    files.load(changed="append")
    assert [row["note"] for row in files.rows()] == ["b", "b"]
    files.put("a.csv", "1,1,a")
    files.load()
    assert [row["note"] for row in files.rows()] == ["a", "b"]


def test_should_tell_equal_rows_of_two_files_apart_by_nothing_that_is_not_in_them(job):
    files = job(silver={"strategy": "merge"})
    files.put("a.csv", "1,1,a", "2,2,b")
    files.put("b.csv", "1,1,a")
    files.load()
    assert only(files.load()).records == 1
    assert files.ids() == [1, 2]
    assert {row["_source_file"].rpartition("/")[2] for row in files.rows() if row["id"] == 1} == {"b.csv"}


def test_should_name_its_source_and_all_its_columns_in_lineage(job):
    files = job()
    files.put("a.csv", "1,1,a")
    fact = only(files.load())
    (step,) = steps_of(fact, "event", "2026-01-01T00:00:00Z")
    assert step.output is not None
    assert list(step.output.types) == in_bronze(fact).schema.names
    assert [dataset.id.name for dataset in step.inputs] == [f"files/{files.name}/daily"]
