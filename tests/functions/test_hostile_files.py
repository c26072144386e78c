"""Files that no load can take: what a run says of them, and that nothing of them lands."""

import io
import zipfile
from typing import Any

import pytest

from events.files import FileContract
from flowforge.aws.clients import client
from flowforge.bronze.ingest import ingest
from flowforge.domain.errors import FileRefused, Wait
from flowforge.runtime.settings import settings
from tests.helpers.aws_proxy import AwsProxy, Call
from tests.helpers.file_jobs import why_nothing
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
    "a workbook that expands beyond its ratio": (BOOK, claimed(saved(["a"], [1]), 2**32 - 2), "bytes expand to"),
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
