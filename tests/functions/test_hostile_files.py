"""Files that no load can take: what a run says of them, and that nothing of them lands."""

import gzip
import io
import zipfile
from typing import Any

import pyarrow as pa
import pytest

from events.files import FileContract
from flowforge.aws.clients import client
from flowforge.bronze.ingest import ingest
from flowforge.domain.errors import FileRefused, Wait
from flowforge.runtime.settings import settings
from flowforge.sources.files.container import FREE_BYTES
from tests.helpers.aws_proxy import AwsProxy, Call
from tests.helpers.file_jobs import only, why_nothing
from tests.helpers.workbooks import claimed, compound, saved

LINES, ARRAY, BOOK = (FileContract(format=form) for form in ("ndjson", "json", "excel"))
SLUGS = FileContract(format="ndjson", column_names="slug")


def locked() -> bytes:
    """A zip whose member has a password."""
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w") as archive:
        archive.writestr("a.csv", "a\n1\n")
    found = bytearray(body.getvalue())
    found[6] |= 1  # the flag in the local header
    found[found.index(b"PK\x01\x02") + 8] |= 1  # and in the directory
    return bytes(found)


REFUSED: dict[str, tuple[FileContract, bytes, str]] = {
    "lines of empty objects": (LINES, b"{}\n{}\n", "none of its first 2 records has a field"),
    "an array of empty objects": (ARRAY, b"[{}, {}]", "none of its first 2 records has a field"),
    "inferred from empty objects": (
        LINES.model_copy(update={"types": "inferred"}),
        b"{}\n",
        "none of its first 1 records has a field",
    ),
    "a field without a name": (LINES, b'{"a": 1, "": 2}\n', "a field has no name"),
    "a name of blanks": (SLUGS, b'{"a": 1, " ": 2}\n', "a field has no name"),
    "an old workbook": (BOOK, compound("Root Entry", "Workbook"), r"Excel 97-2003 \(\.xls\)"),
    "a workbook with a password": (BOOK, compound("Root Entry", "EncryptedPackage"), "with a password"),
    "a zip with a password": (FileContract(format="csv"), locked(), "has a password"),
    "a workbook that expands beyond its ratio": (
        BOOK,
        claimed(saved(["a"], [1]), 2**32 - 2, "xl/x.bin"),
        "bytes expand to",
    ),
    "a part of a workbook that is too large": (BOOK, claimed(saved(["a"], [1]), 2**27 + 1), "at most 134,217,728"),
}


@pytest.mark.parametrize(("contract", "body", "why"), REFUSED.values(), ids=REFUSED)
def test_should_refuse_by_name_and_land_nothing(job, contract: FileContract, body: bytes, why: str):
    files = job(contract=contract)
    key = f"landing/{files.name}/a"
    client("s3").put_object(Bucket=settings().bucket, Key=key, Body=body)
    with pytest.raises(FileRefused, match=why) as refused:
        ingest(files.command())
    assert key in str(refused.value) and refused.value.remedy
    assert files.taken() == {}


OPEN: dict[str, tuple[bytes, str]] = {  # of jobs whose columns are those of their files
    "two columns of one name": (b"a,b,a\n1,2,3\n", "two columns have one name: 'a' and 'a'"),
    "the name of a column that is added": (b"id,_source_file\n1,2\n", "_source_file"),
    "no key": (b"a,b\n1,2\n", "key column id is no column"),
}


@pytest.mark.parametrize(("body", "why"), OPEN.values(), ids=OPEN)
def test_should_refuse_a_file_whose_columns_cannot_land_and_load_those_beside_it(job, body: bytes, why: str):
    silver = {"strategy": "append", "primary_key": ["id"] if "key column" in why else []}
    files = job(contract=FileContract(format="csv"), silver=silver)
    key = f"landing/{files.name}/a.csv"
    files.put("b.csv", "1,1.5,x", header="id,Amount,Note")
    client("s3").put_object(Bucket=settings().bucket, Key=key, Body=body)
    with pytest.raises(FileRefused, match=why) as refused:
        ingest(files.command())
    assert refused.value.file.key == key and key in str(refused.value)
    landed = only(ingest(files.command()))
    assert landed.records == 1 and any(f"{key} was refused before" in note for note in landed.notes)


def packed(how: str) -> bytes:
    """Rows of 30,000 equal letters, of more bytes than may expand by any ratio, compressed to hundreds of times fewer."""
    row = b"1,1," + b"x" * 30_000 + b"\n"
    rows = b"Id,Amount,Note\n" + row * (FREE_BYTES // len(row) + 40)
    if how == "zstd":
        return pa.Codec("zstd").compress(rows, asbytes=True)
    sink = io.BytesIO()
    if how == "gzip":
        return gzip.compress(rows, 6)
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.csv", rows)
    return sink.getvalue()


def test_should_refuse_what_was_made_to_fill_memory_and_load_the_files_beside_it(job):
    files = job()
    beside = files.put("z.csv", "7,7,z")
    bombs = {f"landing/{files.name}/{how}": packed(how) for how in ("gzip", "zip", "zstd")}
    for key, body in bombs.items():
        client("s3").put_object(Bucket=settings().bucket, Key=key, Body=body)
        with pytest.raises(
            FileRefused, match=f"{key}.* bytes expand to more than .*, over 500 times as many"
        ) as refused:
            ingest(files.command())
        assert "deliver it uncompressed" in refused.value.remedy
    notes = only(files.load()).notes
    assert all(any(f"{key} was refused before" in note for note in notes) for key in bombs)
    assert list(files.taken()) == [beside] and files.ids() == [7]
    there = client("s3").list_objects_v2(Bucket=settings().bucket, Prefix=f"landing/{files.name}/")["Contents"]
    assert {one["Key"] for one in there} == {beside, *bombs}


def test_should_land_rows_of_null_for_empty_objects_where_the_job_has_columns(job):
    files = job(contract=FileContract.model_validate({"format": "ndjson", "columns": [{"name": "a", "field": "a"}]}))
    client("s3").put_object(Bucket=settings().bucket, Key=f"landing/{files.name}/a", Body=b"{}\n{}\n")
    ingested: Any = ingest(files.command()).facts[0]
    assert ingested.records == 2


def test_should_go_on_without_a_file_that_is_deleted_before_it_is_read_and_load_it_when_it_is_back(
    job, aws, monkeypatch
):
    files = job()
    key = files.put("a.csv", "1,1,x")
    direct = aws.client("s3")

    def deleted(call: Call) -> None:
        if call.operation == "S3.GET" and key in call.path:
            direct.delete_object(Bucket=settings().bucket, Key=key)

    command = files.command()
    with AwsProxy(aws.endpoint) as proxy:
        proxy.rule = deleted
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        with pytest.raises(Wait, match="was deleted"):
            ingest(command)
        monkeypatch.undo()
    why_nothing(files.follow(ingest(command)))
    files.put("a.csv", "1,1,x")
    files.load()
    files.load()
    assert files.ids() == [1]
