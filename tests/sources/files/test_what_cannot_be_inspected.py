"""Files for which nothing can be proposed are refused with the reason; bytes count, names do not."""

import gzip
import io
import zipfile
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flowforge.domain.errors import UnsupportedSource
from flowforge.sources.files.container import look_into
from flowforge.sources.files.inspection import inspect
from tests.helpers.archives import zipped
from tests.helpers.inspected import look


def test_should_ask_for_the_path_where_a_document_has_several_arrays() -> None:
    body = b'{"a": [{"id": 1}],\n"b": {"c": [{"id": 2}]}}'
    with pytest.raises(UnsupportedSource, match=r"arrays of objects at a, b\.c"):
        look(body)
    content = look_into("a.json", len(body), lambda: io.BytesIO(body))
    assert inspect(content, records_at="b.c").rows == [["2"]]


def test_should_name_the_line_where_an_array_is_broken():
    with pytest.raises(UnsupportedSource, match="line 3: in the value that begins here, ] closes what it did not open"):
        look(b'[\n{"a": 1},\n{"a": 2]\n', "a.json")


def encrypted() -> bytes:
    body = bytearray(zipped(inside=b"id\n1\n"))
    body[6] |= 1  # the flag in the local header
    body[body.index(b"PK\x01\x02") + 8] |= 1  # and in the directory
    return bytes(body)


def parquet(columns: dict[str, list[int]]) -> bytes:
    body = io.BytesIO()
    pq.write_table(pa.table(columns), body)
    return body.getvalue()


REFUSED: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "is empty: 0 bytes"),
    "blanks only": (b" \n \n", "no character but blanks"),
    "gzip cut off": (gzip.compress(b"id,name\n" * 1000)[:-20], "cut off|damaged"),
    "gzip with damage": (gzip.compress(b"id\n" * 500)[:10] + b"\xff" * 20, "damaged|cut off"),
    "zip in a zip": (zipped(inside=zipped(a=b"id\n1\n")), "compressed twice"),
    "two files": (zipped(a=b"1\n", b=b"2\n"), "holds 2 files"),
    "an empty zip": (zipped(), "holds 0 files"),
    "with a password": (encrypted(), "has a password"),
    "a workbook": (
        zipped(**{"[Content_Types].xml": b"<Types/>", "xl/workbook.xml": b""}),
        "is damaged",
    ),
    "an old workbook": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "Office 97-2003"),
    "NUL in a text": (b"id,name\n1,a\0b\n", "byte 12 is NUL"),
    "NUL in UTF-16": ("id,name\n1,a\0b\n".encode("utf-16"), "a NUL character"),
    "neither UTF-8 nor 1252": (b"id\n\x81\xff\n", "no UTF-8 .byte 4. and no Windows-1252 .which has no 0x81"),
    "broken UTF-8 behind its mark": (b"\xef\xbb\xbfid\n\xff\n", "it is no UTF-8, near byte"),
    "binary": (bytes(range(1, 256)) + b"\0", "is no text"),
    "cut-off Parquet": (b"PAR1" + b"x" * 40, "damaged"),
    "two columns of one name": (b"Id,ID\n1,2\n", "two columns have one name: 'Id' and 'ID'"),
    "a field without a name": (b'{"a": 1, "": 2}\n', "a field has no name"),
    "a column of Parquet without a name": (parquet({"a": [1], " ": [2]}), "a field has no name"),
    "objects without fields": (b"{}\n{}\n", "none of its first 2 records has a field"),
    "the line for Excel alone": (b"sep=;\n", "has no header and no row"),
    "10,001 columns": (",".join(f"c{n}" for n in range(10_001)).encode() + b"\n", "10,001 columns"),
}


@pytest.mark.parametrize(("body", "why"), REFUSED.values(), ids=REFUSED)
def test_should_refuse_what_cannot_be_read_and_say_why(body, why):
    with pytest.raises(UnsupportedSource, match=why) as refused:
        look(body)
    assert refused.value.remedy


def test_should_refuse_what_was_made_to_fill_memory():
    body = gzip.compress(b"a" * 2**21)
    with pytest.raises(UnsupportedSource, match="bytes expand to more than 2,097,152") as refused:
        inspect(look_into("a.csv.gz", len(body), lambda: io.BytesIO(body), free_bytes=2**20))
    assert "uncompressed" in refused.value.remedy


def test_should_take_the_member_that_is_named():
    body = zipped(a=b"id\n1\n", b=b"name,x\nu,1\nv,2\n")
    assert look(body, member="b").records == 2
    with pytest.raises(UnsupportedSource, match="has no member c") as refused:
        look(body, member="c")
    assert "a, b" in refused.value.remedy
    twice = io.BytesIO()
    with zipfile.ZipFile(twice, "w") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        for text in ("id\n1\n", "id\n2\n"):
            archive.writestr("a", text)
    with pytest.raises(UnsupportedSource, match="has the member a 2 times"):
        look(twice.getvalue(), member="a")


@pytest.mark.parametrize(("name", "note"), [("a.csv", "it is gzip"), ("a.csv.zip", "it is gzip"), ("a.csv.gz", None)])
def test_should_go_by_the_bytes_and_tell_a_name_that_says_otherwise(name: str, note: Any):
    notes = look(gzip.compress(b"id,v\n1,2\n"), name).notes
    assert (not notes) if note is None else note in notes[0]
