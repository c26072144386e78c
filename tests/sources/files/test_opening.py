"""A file under a contract: opened by its bytes, refused clearly where it is not what the contract says."""

import bz2
import gzip
import io
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from events.files import FileColumn, FileContract
from flowforge.domain.errors import UnsupportedSource
from flowforge.sources.files.casting import cast_portion, casting_for
from flowforge.sources.files.container import StoredFile, look_into
from flowforge.sources.files.records import open_file, open_records
from tests.helpers.archives import skippable, zipped, zipped_by, zstd

CSV = b"id,name\n1,u\n2,\n"


def parquet(**columns: list[Any]) -> bytes:
    body = io.BytesIO()
    pq.write_table(pa.table(columns), body)
    return body.getvalue()


def load(body: bytes, *columns: FileColumn, name: str = "landing/a.csv", **contract: Any) -> list[dict[str, Any]]:
    """The rows of a file, cast; rows and rejects are all that is counted."""
    rows, rejects = [], 0
    meant = FileContract(**{"format": "csv", "columns": list(columns), **contract})
    with open_file(StoredFile(name, len(body), lambda: io.BytesIO(body)), meant) as records:
        casting = casting_for(records.fields, records.columns, meant.unknown_columns, name)
        for portion in records:
            found = cast_portion(portion, casting)
            rows += found.rows.to_pylist()
            rejects += len(found.rejected)
        assert records.counted() == len(rows) + rejects
    return rows


def column(name: str, type: str = "text", **more: Any) -> FileColumn:
    return FileColumn(name=name, field=name, type=type, **more)


@pytest.mark.parametrize("body", [CSV, gzip.compress(CSV), zstd(CSV), zipped(a=CSV)], ids=["plain", "gz", "zst", "zip"])
def test_should_read_a_text_however_it_is_packed(body: bytes) -> None:
    assert load(body, column("id", "bigint"), column("name")) == [
        {"id": 1, "name": "u", "_row_number": 1},
        {"id": 2, "name": None, "_row_number": 2},
    ]


def test_should_read_parquet_and_the_member_that_the_contract_names() -> None:
    assert load(parquet(id=[1]), format="parquet") == [{"id": 1, "_row_number": 1}]
    assert load(zipped(a=b"x\n1\n", b=b"y\n2\n"), member="b") == [{"y": "2", "_row_number": 1}]


def test_should_read_the_one_file_of_a_zip_that_macos_has_packed_or_that_is_filled_up() -> None:
    packed = zipped(**{"a.csv": b"x\n1\n", "__MACOSX/._a.csv": b"icon"})
    assert load(packed + bytes(512)) == [{"x": "1", "_row_number": 1}]


def test_should_leave_it_to_the_cast_which_columns_may_be_absent() -> None:
    known = column("id"), column("name"), column("since", "date")
    with pytest.raises(UnsupportedSource, match="lacks columns of the job: 'since'"):
        load(CSV, *known)
    for unknown in ("add", "rescue"):
        assert [row["since"] for row in load(CSV, *known, unknown_columns=unknown)] == [None, None]
    with pytest.raises(UnsupportedSource, match="lacks columns of the job: 'since'"):
        load(CSV, *known[:2], column("since", "date", nullable=False), unknown_columns="add")


def test_should_take_fields_without_a_header_that_the_contract_does_not_have() -> None:
    first = FileColumn(name="id", field="1")
    assert load(b"1,u\n", first, header=False, unknown_columns="rescue") == [
        {"id": "1", "_row_number": 1, "_rescued": '{"2": "u"}'}
    ]


def test_should_read_a_header_alone_as_no_row() -> None:
    assert load(b"id,name\n", column("id"), column("name")) == []


TITLED = b"Report of May\nid;name;v\n1;u;2\n"
REFUSED: dict[str, tuple[bytes, dict[str, Any], str]] = {
    "a Parquet file as CSV": (parquet(id=[1]), {}, "a.csv is a Parquet file, the contract says csv"),
    "a CSV as Parquet": (CSV, {"format": "parquet"}, "a.csv is a text, the contract says parquet"),
    "gzip that should be plain": (gzip.compress(CSV), {"compression": "none"}, "its compression is gzip"),
    "UTF-16 that should be UTF-8": (
        "id\n".encode("utf-16"),
        {},
        "the byte order mark of UTF-16, the contract says utf-8",
    ),
    "a mark of UTF-8 in 1252": (b"\xef\xbb\xbfid\n", {"encoding": "cp1252"}, "the byte order mark of UTF-8"),
    "two marks of UTF-8": (b"\xef\xbb\xbf" * 2 + CSV, {}, "the header begins with a second byte order mark"),
    "UTF-16 without a mark": ("id\n1\n".encode("utf-16-le"), {}, "line 1: the header: it has a NUL character"),
    "a title above the header": (
        TITLED,
        {"delimiter": ";", "columns": [column("id")]},
        "none of its 1 fields is a column of the job",
    ),
    "a title of a spreadsheet": (
        b"May;;\nid;name;v\n",
        {"delimiter": ";"},
        "line 1: column 2 of the header has no name",
    ),
    "another delimiter": (TITLED[14:], {"columns": [column("id")]}, "none of its 1 fields is a column of the job"),
    "bzip2": (bz2.compress(CSV), {}, "is compressed by bzip2, which is not read"),
    "a PDF": (b"%PDF-1.7\n", {}, "is a PDF document, which is not read"),
    "an old workbook": (
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600),
        {},
        "is a document of Office 97-2003, or one with a password",
    ),
    "two members": (zipped(a=CSV, b=CSV), {}, "holds 2 files"),
    "gzip in gzip": (gzip.compress(gzip.compress(CSV)), {}, "is compressed twice"),
    "a page": (b"\xef\xbb\xbf\n<!DOCTYPE html><p>Service unavailable</p>", {}, "is a page of HTML or XML, not a table"),
    "an empty file": (b"", {}, "is empty: 0 bytes"),
    "a member by Deflate64": (zipped_by(9, a=CSV), {}, ", member a is zip by a method that is not read"),
    "frames to be skipped alone": (skippable(b"of whom"), {}, "has no header and no row"),
    "an empty member": (zipped(a=b""), {}, "has no header and no row"),
}


@pytest.mark.parametrize(("body", "contract", "why"), REFUSED.values(), ids=REFUSED)
def test_should_refuse_what_is_not_as_the_contract_says(body: bytes, contract: dict[str, Any], why: str) -> None:
    with pytest.raises(UnsupportedSource, match=why) as refused:
        load(body, **contract)
    assert str(refused.value).startswith("landing/a.csv") and refused.value.remedy


@pytest.mark.parametrize(("name", "what"), [("a.XLS", "a workbook"), ("a.parquet", "Parquet")])
def test_should_read_a_text_under_another_name_and_tell_so(name: str, what: str) -> None:
    with open_file(StoredFile(name, len(CSV), lambda: io.BytesIO(CSV)), FileContract(format="csv")) as records:
        assert sum(portion.texts.num_rows for portion in records) == 2
        assert records.notes == [f"by its name it would be {what}; it is not"]


LARGE = b"id,name\n" + b"".join(b"%d,n%d\n" % (n, n * 7919 % 10_007) for n in range(20_000))
ZIPPED = zipped(a=LARGE)
DAMAGED: dict[str, tuple[bytes, str]] = {
    "gzip, cut off": (gzip.compress(LARGE)[:-9], "is cut off: its compressed content ends too early"),
    "gzip, without its last byte": (gzip.compress(LARGE)[:-1], "is cut off"),
    "gzip, its second member cut off": (gzip.compress(LARGE) + gzip.compress(CSV)[:-5], "is cut off"),
    "gzip of another checksum": (gzip.compress(LARGE)[:-8] + bytes(8), "is damaged: CRC check failed"),
    "gzip with text behind": (gzip.compress(LARGE) + b"text", "has something behind its compressed content"),
    "gzip with zeros and text behind": (
        gzip.compress(LARGE) + b"\0\0text",
        "has something behind its compressed content",
    ),
    "zstd, cut off": (zstd(LARGE)[:-9], "is cut off"),
    "zstd, cut off in a frame to be skipped": (zstd(LARGE) + skippable(b"seek")[:-1], "is cut off"),
    "zstd with text behind": (zstd(LARGE) + b"text", "has something behind its compressed content"),
    "zip, cut off": (ZIPPED[:-9], "is damaged"),
    "two zips in one file": (zipped(a=CSV) + zipped(a=CSV), "has something before its first file"),
    "zip with text behind": (zipped(a=CSV) + b"text", "has something behind its directory"),
    "zip with another byte": (ZIPPED[:9_000] + b"\0\0" + ZIPPED[9_002:], "a.csv, member a is damaged"),
}


@pytest.mark.parametrize(("body", "why"), DAMAGED.values(), ids=DAMAGED)
def test_should_refuse_what_is_damaged_or_cut_off_however_late(body: bytes, why: str) -> None:
    with pytest.raises(UnsupportedSource, match=why) as refused:
        load(body)
    assert str(refused.value).startswith("landing/a.csv") and refused.value.remedy


PARTS: dict[str, bytes] = {
    "members of gzip": gzip.compress(b"id\n1\n") + gzip.compress(b"") + gzip.compress(b"2\n"),
    "gzip with zeros behind": gzip.compress(b"id\n1\n2\n") + bytes(1_000),
    "gzip with zeros between": gzip.compress(b"id\n1\n") + bytes(100) + gzip.compress(b"2\n"),
    "frames of zstd": zstd(b"id\n1\n") + zstd(b"") + zstd(b"2\n"),
    "zstd behind a frame to be skipped": skippable(b"of whom", 3) + skippable(b"") + zstd(b"id\n1\n2\n"),
    "zstd around one and before one": zstd(b"id\n1\n") + skippable(bytes(70_000)) + zstd(b"2\n") + skippable(b"seek"),
}


@pytest.mark.parametrize("body", PARTS.values(), ids=PARTS)
def test_should_read_all_parts_of_what_was_packed_in_parts(body: bytes) -> None:
    assert [row["id"] for row in load(body)] == ["1", "2"]


def test_should_refuse_what_was_made_to_fill_memory_under_a_contract() -> None:
    body = gzip.compress(b"id\n" + b"1\n" * 2**20)
    content = look_into("a.csv.gz", len(body), lambda: io.BytesIO(body), free_bytes=2**18)
    refused = pytest.raises(UnsupportedSource, match=r"a\.csv\.gz: .* bytes expand to more than")
    with refused, open_records(content, FileContract(format="csv")) as records:
        list(records)
