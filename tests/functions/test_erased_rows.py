"""One person's rows are erased from what loads have left: of a server's table in slices, and of files with rejected records."""

import io
import json
import secrets
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from events.facts import BronzeLanded
from events.files import FileColumn, FileContract
from flowforge.aws.clients import client
from flowforge.bronze.ingest import ingest
from flowforge.bronze.keys import rejected_keys
from flowforge.bronze.parquet import FOOTER
from flowforge.domain.errors import Fatal, Retriable
from flowforge.domain.given import given
from flowforge.gold.step import publish_refined
from flowforge.operations.erasure.erase import erase
from flowforge.operations.rebuild import rebuild
from flowforge.operations.rebuild_silver import rebuild_silver
from flowforge.runtime.settings import settings
from flowforge.silver.step import refine_landed
from flowforge.state import batch_records
from tests.helpers.file_jobs import Job
from tests.helpers.loads import Loads, run_slices
from tests.helpers.protection import keep_key, of_nobody_else, stored

PEOPLE = FileContract(
    format="csv",
    columns=[FileColumn(name="id", field="Id", type="bigint"), FileColumn(name="amount", field="Amount", type="decimal(18,2)"),
             FileColumn(name="ssn", field="Ssn"), FileColumn(name="note", field="Note", nullable=True)],
)  # fmt: skip
HEADER = "Id,Amount,Ssn,Note"


def of_nobody() -> str:
    """A key that no other row of any test has."""
    return str(secrets.randbelow(10**9) + 10**9)


def loaded(load: Loads, run: str) -> int:
    """Loads to the end of gold; the rows that silver then has."""
    whole = load.load(run)
    slices = [fact for fact in run_slices(load) if isinstance(fact, BronzeLanded)]
    for fact in slices:
        load.commit(fact)
    return [published(fact) for fact in (*whole, *slices)][-1]


def published(fact: BronzeLanded) -> int:
    """A batch to the end of gold; the rows that silver then has."""
    refined = given(refine_landed(fact))
    publish_refined(refined)
    return refined.silver_rows


def earlier(job: Job, name: str, ssn: str, column: dict[str, Any]) -> None:
    """An object of a generation before its columns were protected as they are, whose record is gone."""
    facts = {"source_key": job.key, "rows": 2, "columns": [{"name": "ssn", **column}]}
    body, rows = io.BytesIO(), pa.table({"id": pa.array([1, 2], pa.int64()), "ssn": [ssn, "other"]})
    with pq.ParquetWriter(body, rows.schema) as writer:
        writer.write_table(rows)
        writer.add_key_value_metadata({FOOTER: json.dumps(facts)})
    key = f"bronze/bronze_{job.name}/{name}.parquet"
    client("s3").put_object(Bucket=settings().bucket, Key=key, Body=body.getvalue())


def test_should_leave_no_key_in_the_records_of_loads(loads, sliced):
    person = of_nobody()
    load = loads("int", rows=f"INSERT INTO {{t}} VALUES ({person}, 3), (20, 2), (30, 1), (40, 1)")
    loaded(load, "one")
    load.execute(f"DELETE FROM {{t}} WHERE id = {person}", "INSERT INTO {t} VALUES (50, 4)")
    loaded(load, "two")
    assert person in str(list(batch_records.all_stored(load.key)))
    found = erase(settings().bucket, load.name, {"id": person}, apply=True)
    assert found.left == [] and found.is_found, found.document()
    assert person.encode() not in stored()
    assert rebuild_silver(settings().bucket, load.name, False, 2).difference.equal
    (again,) = rebuild(settings().bucket, f"bronze_{load.name}")["tables"]
    assert (again["batches"], again["in_bronze"]["seq"]) == (2, 2)
    load.execute("INSERT INTO {t} VALUES (60, 5)")
    assert loaded(load, "three") == 5  # its bound follows from the watermark, whose sentinel rows are fewer


def test_should_wait_for_a_load_that_has_read_the_row_and_name_one_that_came(loads, aws):
    """First a load that holds its batch and has read all, while the command is typed; then one that comes while it runs."""
    person = of_nobody()
    load = loads("int", rows=f"INSERT INTO {{t}} VALUES ({person}, 3), (20, 2), (30, 1)")
    loaded(load, "one")
    refused = list[str]()

    def erases() -> None:
        with pytest.MonkeyPatch.context() as variables, pytest.raises(Retriable) as refusal:
            variables.setenv("AWS_ENDPOINT_URL", aws.endpoint)  # the proxy waits for this, and lets nobody through
            erase(settings().bucket, load.name, {"id": person}, apply=True)
        refused.append(str(refusal.value))

    def beside() -> None:
        with ThreadPoolExecutor(1) as command:  # the proxy's own thread runs a loop
            command.submit(erases).result()

    load.meanwhile = [beside]
    load.execute(f"UPDATE {{t}} SET at = 4 WHERE id = {person}")
    loaded(load, "two")
    assert len(refused) == 1 and refused[0].endswith("batch 2 is claimed, not yet in silver"), refused
    came = list[BronzeLanded]()

    def comes(told: str) -> None:
        if told.startswith("erasing from bronze"):
            came.extend(fact for fact in ingest(load.command("three")).facts if isinstance(fact, BronzeLanded))

    load.execute(f"UPDATE {{t}} SET at = 5 WHERE id = {person}")
    done = erase(settings().bucket, load.name, {"id": person}, apply=True, progress=comes)
    assert len(came) == 1 and any("batch 3 came meanwhile and may bring such rows" in left for left in done.left), (
        done.left
    )
    load.commit(came[0])
    published(came[0])
    again = erase(settings().bucket, load.name, {"id": person}, apply=True)
    assert (again.left, again.remains) == ([], []) and again.is_found
    assert person.encode() not in stored()


def test_should_empty_the_text_of_rejected_records(aws, unique):
    person = of_nobody()
    job = Job(unique("e"), contract=PEOPLE.model_copy(update={"bad_rows": "quarantine", "most_bad_share": 1.0}))
    job.silver = {"strategy": "merge", "primary_key": ["id"]}
    key = job.put(
        "a.csv", f"{person},1.50,s,x", f"{person},much,s,x", f"1{person},much,t,y", "2,2.50,s,x", header=HEADER
    )
    job.load()
    job.remove(key)
    (batch,) = batch_records.history(job.key)
    (rejected,) = rejected_keys(batch)
    found = erase(settings().bucket, job.name, {"id": person}, apply=True)
    assert found.left == [] and found.erased["rejected records"] == 1, found.document()
    body = client("s3").get_object(Bucket=settings().bucket, Key=rejected)["Body"].read()
    kept = pq.read_table(io.BytesIO(body)).to_pylist()
    assert [(one["row_number"], one["column"], one["raw"]) for one in kept] == [
        (2, "amount", None),
        (3, "amount", f'{{"Id": "1{person}", "Amount": "much", "Ssn": "t", "Note": "y"}}'),
    ]
    assert (job.ids(), job.ids("gold")) == ([2], [2])
    assert person.encode() not in stored().replace(f"1{person}".encode(), b"")


def test_should_find_rows_by_a_value_that_was_hashed(aws, unique):
    source = {"protect": {"ssn": "hmac", "amount": "hmac", "note": "null"}, "protection_key": keep_key()}
    job, ssn = Job(unique("h"), contract=PEOPLE, source=source), of_nobody_else()
    job.put("a.csv", f"1,1.50,{ssn},x", "2,1.50,other,x", header=HEADER)
    job.load()
    with pytest.raises(Fatal, match=r"the values of note are not kept \(null\)"):
        erase(settings().bucket, job.name, {"note": "x"}, apply=False)
    amounts = erase(settings().bucket, job.name, {"amount": "1.5"}, apply=False)
    assert {layer.name: layer.rows for layer in amounts.found}["bronze"] == 2
    assert not any("by the hash of" in note for note in amounts.notes)
    earlier(job, "as-it-was", ssn, {})
    found = erase(settings().bucket, job.name, {"SSN": ssn}, apply=True)
    assert found.left == [] and found.is_found, found.document()
    assert any("by the hash of ssn as it was given" in note for note in found.notes)
    assert {layer.name: layer.rows for layer in found.found}["bronze"] == 2
    assert (job.ids(), job.ids("gold")) == ([2], [2])
    earlier(job, "by-another-key", "", {"protection": {"how": "hmac", "secret": "s", "key_id": "another"}})
    again = erase(settings().bucket, job.name, {"ssn": ssn}, apply=False)
    assert not again.is_found and again.left == [
        "1 objects in bronze whose values of the key were protected otherwise, so that no row is found by them"
    ]
