"""Types that are taken of a job's first file, and kept for later ones."""

from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from events.files import FileContract
from flowforge.bronze.ingest import ingest
from flowforge.domain.errors import FileRefused
from flowforge.operations.rebuild import rebuild
from flowforge.operations.watermarks import reset_by_hand
from flowforge.runtime.settings import settings
from flowforge.tables.lake import table_uri
from tests.helpers.file_jobs import Job, delta_options, forget, in_bronze, only

INFERRED = FileContract(format="csv", types="inferred", null_words=["NULL"])
ZIPS = "Id,Amount,Zip,Since"


def types_in_silver(files: Job) -> dict[str, str]:
    table = DeltaTable(table_uri(settings().bucket, "silver", files.name), storage_options=delta_options())
    return {one.name: one.type.type for one in table.schema().fields if not one.name.startswith("_")}


def test_should_take_types_of_all_of_the_first_file_and_keep_them_for_later_ones(job):
    files = job(contract=INFERRED)
    files.put("0.csv", header=ZIPS)  # no value says anything yet
    files.load()
    zips = [f"{n},{n}.25,{n:05},2026-11-28" for n in range(99_990, 100_010)]
    files.put("a.csv", *zips[:9], "1,1.5,01234,NULL", header=ZIPS)
    fact = only(files.load())
    (told,) = [note for note in fact.notes if "types by all" in note]
    assert "Id bigint" in told and "Zip text (integer until '01234' in record 10)" in told
    files.put("b.csv", "2,2,77777,2026-11-29", "3,NULL,88888,", header=ZIPS)  # its zips alone would be numbers
    fact = only(files.load())
    assert not any("types by all" in note for note in fact.notes)
    wanted = {"Id": "long", "Amount": "decimal(7,2)", "Zip": "string", "Since": "date"}
    assert types_in_silver(files) == wanted
    assert [row["Zip"] for row in silver_of(files) if row["Id"] < 4] == ["01234", "77777", "88888"]


def silver_of(files: Job) -> list[dict[str, Any]]:
    table = DeltaTable(table_uri(settings().bucket, "silver", files.name), storage_options=delta_options())
    return sorted(table.to_pyarrow_table().to_pylist(), key=lambda row: row["Id"])


def test_should_refuse_what_does_not_fit_the_types_of_the_first_file_until_the_job_says_other_ones(job):
    files = job(contract=INFERRED)
    files.put("a.csv", "1,1.50,x")
    files.load()
    files.put("b.csv", "2,2.50,y", "three,3,z")
    with pytest.raises(FileRefused, match="line 3, column Id") as refused:
        files.load()
    assert "give columns in the request" in refused.value.remedy
    wider = INFERRED.model_copy(update={"bad_rows": "quarantine", "most_bad_share": 0.5})
    files.contract = wider
    files.load()
    assert [row["Id"] for row in silver_of(files)] == [1, 2]


def test_should_name_all_files_columns_alike_where_types_were_kept(job):
    files = job(contract=INFERRED.model_copy(update={"column_names": "slug"}))
    for name in ("a.csv", "b.csv"):
        files.put(name, "1,1.5,x", header="Kunde Nr,Betrag €,Note")
        assert in_bronze(only(files.load())).schema.names[:3] == ["kunde_nr", "betrag", "note"]


def test_should_forget_types_by_a_reset_and_know_them_after_a_rebuild(job):
    files = job(contract=INFERRED)
    files.put("a.csv", "7,1.50,0012")
    files.load()
    forget(files.key)
    rebuild(settings().bucket, f"bronze_{files.name}", write=True)
    files.put("b.csv", "8,2,12")
    files.load()
    assert [row["Note"] for row in silver_of(files)] == ["0012", "12"]
    files.remove(f"landing/{files.name}/a.csv")
    reset_by_hand(f"bronze_{files.name}", "again")
    fact = only(ingest(files.command()))
    assert in_bronze(fact).schema.field("Note").type == pa.int64()  # of what is the first file now
