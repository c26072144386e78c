"""What `files inspect` proposes for a file: dialect and types with their reasons, from all of it; nothing is passed over."""

import csv
import gzip
import io
import json
import zipfile
from datetime import date
from decimal import Decimal
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from events.files import FileContract
from events.request import FileSource
from flowforge.domain.errors import UnsupportedSource
from flowforge.jobs.file_plan import contract_of
from flowforge.jobs.proposed_source import source_of
from flowforge.sources.files.casting import cast_portion, casting_for
from flowforge.sources.files.container import StoredFile, look_into
from flowforge.sources.files.inspection import Inspection, inspect
from flowforge.sources.files.records import open_file
from tests.helpers.archives import zipped, zstd
from tests.helpers.examples import examples


def look(body: bytes, name: str = "customers.csv", member: str | None = None) -> Inspection:
    return inspect(look_into(name, len(body), lambda: io.BytesIO(body), member))


def load(body: bytes, contract: FileContract) -> list[dict[str, Any]]:
    """The rows of a file under a contract: all of its records, none rejected."""
    rows: list[dict[str, Any]] = []
    with open_file(StoredFile("a", len(body), lambda: io.BytesIO(body)), contract) as records:
        casting = casting_for(records.fields, records.columns, contract.unknown_columns, "a")
        for portion in records:
            found = cast_portion(portion, casting)
            assert not found.rejected
            rows += found.rows.to_pylist()
        assert records.counted() == len(rows)
    return rows


def as_given(found: Inspection) -> FileContract:
    """What is proposed, as a request says it."""
    return contract_of(FileSource.model_validate(source_of(found.contract)))


def types(found: Inspection) -> dict[str, str]:
    return {column.name: column.type for column in found.columns}


COMPRESS = {
    "none": lambda body: body,
    "gzip": gzip.compress,
    "zstd": zstd,
    "zip": lambda body: zipped(inside=body),
}
LATIN = st.characters(codec="cp1252", exclude_categories=["Cc"])
NAMES = st.lists(st.from_regex(r"[a-z]{2,8}", fullmatch=True), min_size=2, max_size=5, unique=True)


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[str], list[list[str]]]:
    names = draw(NAMES)
    cell = st.one_of(
        st.text(LATIN, max_size=12), st.sampled_from(['a"b', "a\nb", "x;y", "p|q", "1,50", "", '""', "\t"])
    )
    return names, draw(st.lists(st.lists(cell, min_size=len(names), max_size=len(names)), min_size=2, max_size=12))


@settings(max_examples=examples(25), deadline=None)
@given(
    table=tables(),
    delimiter=st.sampled_from(",;\t|"),
    end=st.sampled_from(["\n", "\r\n"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp1252"]),
    everything=st.booleans(),
    compression=st.sampled_from(list(COMPRESS)),
)
def test_should_find_every_record_of_a_table_in_any_dialect(table, delimiter, end, encoding, everything, compression):
    names, rows = table
    text = io.StringIO(newline="")
    quoting = csv.QUOTE_ALL if everything else csv.QUOTE_MINIMAL
    csv.writer(text, delimiter=delimiter, lineterminator=end, quoting=quoting).writerows([names, *rows])
    body = text.getvalue().encode(encoding)
    if encoding == "cp1252" and not body.isascii():
        with pytest.raises(UnicodeDecodeError):
            body.decode() if any(byte > 127 for byte in body) else assume(False)
    found = look(COMPRESS[compression](body))
    assert (found.dialect and found.dialect.delimiter, found.irregular) == (delimiter, 0)
    assert [column.name for column in found.columns] == names
    meant = rows if everything else [[cell or None for cell in row] for row in rows]
    assert (found.records, found.rows) == (len(rows), meant[:10])
    assert len(load(COMPRESS[compression](body), found.contract)) == len(rows)


@pytest.mark.parametrize(
    ("values", "kind", "why"),
    [
        (["1", "-20", "0"], "bigint", "up to 2 digits"),
        (["1", "00123"], "text", "integer until '00123' in record 2|decimal, comma until '00123' in record 2"),
        (["+491234", "2"], "text", "'+491234' in record 1"),
        (["1", "1E5"], "text", "until '1E5' in record 2"),
        (["9007199254740993", "123456789012345678"], "bigint", "up to 18 digits"),
        (["1234567890123456789"], "decimal(19,0)", "up to 19 digits"),
        (["9" * 39], "text", "39 digits, more than a decimal holds"),
        (["1.10", "22.5"], "decimal(4,2)", "a point"),
        (["1,10", "-22,555"], "decimal(5,3)", "a comma"),
        (["TRUE", "false"], "boolean", "every value is one"),
        (["2024-02-29", "2023-12-31"], "date yyyy-MM-dd", "every value is one"),
        (["2023-02-28", "2023-02-29"], "text", "date yyyy-MM-dd until '2023-02-29' in record 2"),
        (["1900-02-29"], "text", "'1900-02-29'"),
        (["01.05.2024", "31.05.2024"], "date dd.MM.yyyy", "every value is one"),
        (["01/05/2024", "02/06/2024"], "text", "it could be date dd/MM/yyyy or date MM/dd/yyyy: no value tells which"),
        (["01/05/2024", "31/05/2024"], "date dd/MM/yyyy", "every value is one"),
        (["2024-05-01 10:00:00", "2024-05-01T23:59"], "timestamp yyyy-MM-dd", "every value is one"),
        (
            ["2024-05-01T10:00:00.123Z", "2024-05-01 10:00+02:00"],
            "timestamp yyyy-MM-dd with zone",
            "every value is one",
        ),
        (["7", "", "NULL", "8"], "bigint", "NULL for NULL"),
        (["", ""], "text", "it has no value"),
    ],
)
def test_should_propose_a_type_that_all_values_are_of_with_the_reason(values, kind, why):
    body = "number;v\n" + "".join(f"{n};{value}\n" for n, value in enumerate(values))
    column = look(body.encode()).columns[1]
    assert column.type == kind
    assert any(reason in column.reason for reason in why.split("|")), column.reason


@pytest.mark.parametrize("compression", COMPRESS)
def test_should_leave_no_file_open(compression):
    body, handed = COMPRESS[compression](b"id,name\n1,a\n2,b\n"), []

    def open_file() -> io.BytesIO:
        handed.append(io.BytesIO(body))
        return handed[-1]

    inspect(look_into("a.csv", len(body), open_file))
    assert [stream.closed for stream in handed] == [True] * len(handed)


def test_should_judge_types_by_the_whole_file_and_not_by_its_beginning():
    body = "id,zip\n" + "".join(f"{n},{10_000 + n % 80_000}\n" for n in range(30_000)) + "30000,01067\n"
    column = look(body.encode()).columns[1]
    assert (column.type, "'01067' in record 30,001" in column.reason) == ("text", True)


def test_should_take_one_column_where_no_delimiter_splits_alike():
    found = look(b"c0\nv0\na;b\n")
    assert "or fixed width" in found.found[2].reason
    assert [row["c0"] for row in load(b"c0\nv0\na,b\n", as_given(found))] == ["v0", "a,b"]
    assert (found.records, types(found), found.rows) == (2, {"c0": "text"}, [["v0"], ["a;b"]])


FIXED = """\
id     name            amount booked
00007  Anna Schmidt      1.10 2024-02-29
00123  Li              250.00 2024-03-01
00009  Müller, Jörg     -3.50 2024-03-02
"""


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "utf-16"])
def test_should_propose_columns_of_fixed_width_by_the_places_that_are_blank_in_all_lines(encoding):
    width = max(map(len, FIXED.splitlines()))
    body = "".join(f"{line:{width}}\r\n" for line in FIXED.splitlines()).encode(encoding)
    found = look(body, "a.txt")
    assert (found.form, found.records, found.irregular) == ("fixed width", 3, 0)
    assert types(found) == {"id": "text", "name": "text", "amount": "decimal(5,2)", "booked": "date yyyy-MM-dd"}
    places = [(one.name, one.start, one.width) for one in found.contract.columns]
    assert places == [("id", 1, 7), ("name", 8, 12), ("amount", 20, 11), ("booked", 31, 10)]
    (why,) = [one.reason for one in found.found if one.what == "place of amount"]
    assert why == "filled in some of 4 lines: 24 to 29; blank in all: 20 to 23 and 30 to 30"
    rows = load(body, as_given(found))
    assert [row["id"] for row in rows] == ["00007", "00123", "00009"]
    assert (rows[0]["name"], rows[0]["amount"], rows[2]["name"]) == ("Anna Schmidt", Decimal("1.10"), "Müller, Jörg")
    assert rows[1]["booked"] == date(2024, 3, 1)


def test_should_have_no_place_of_a_line_outside_of_its_columns_of_fixed_width():
    found = look(b"1  a    5\n2  b   60\n3  c  700\n")
    assert not found.contract.header
    assert [(one.start, one.width) for one in found.contract.columns] == [(1, 3), (4, 1), (5, 5)]
    assert [row["column_3"] for row in load(b"9  a80000\n", as_given(found))] == [80_000]


def test_should_say_where_two_columns_of_fixed_width_may_touch():
    found = look(b"A1 2024-01-01EUR\nB2 2024-01-02USD\nC3 2024-01-03EUR\n")
    assert [one.width for one in found.contract.columns] == [3, 13]
    assert any("a digit stands at character 13 and none at 14" in note for note in found.notes)


@pytest.mark.parametrize(
    "body", [b"a b\nc d\n", b"a b c\nd e f\ng h ij\n", b"ab\ncd\nef\n"], ids=["few lines", "lengths", "no blanks"]
)
def test_should_propose_no_fixed_width_where_lines_do_not_show_it(body):
    assert look(body).form == "delimited"


def test_should_leave_out_titles_above_and_footers_below_and_tell_so():
    found = look(b"Report of May\n\nid;name\n1;a\n2;b\nTotal: 2\n")
    assert found.dialect is not None
    assert (found.dialect.skip_rows, found.dialect.skip_footer_rows, found.records) == (1, 1, 2)
    (footer,) = [one.reason for one in found.found if one.what == "skip_footer_rows"]
    assert "or the file is cut off there" in footer


def test_should_show_records_that_do_not_fit_the_others_with_their_lines():
    found = look(b'id,name\n1,a\n2,"b\nc"\n3\n4,d,e\n5,f\n')
    assert (found.records, found.irregular) == (3, 2)
    assert [(odd.line, odd.reason, odd.text) for odd in found.first_irregular] == [
        (5, "it has 1 fields, where 2 are expected", "3"),
        (6, "it has 3 fields, where 2 are expected", "4,d,e"),
    ]


def test_should_take_many_odd_records_at_the_end_for_no_footer():
    found = look(b"id,name\n1,a\n2,b\n3,c\n" + b"x\n" * 3 + b"4,d\n" * 20 + b"x\n" * 11)
    assert found.dialect is not None
    assert (found.dialect.skip_footer_rows, found.irregular, found.records) == (0, 14, 23)


def test_should_find_no_header_where_the_first_record_looks_like_values():
    found = look(b"1,2024-01-01\n2,2024-01-02\n")
    assert (found.records, list(types(found))) == (2, ["column_1", "column_2"])


def test_should_keep_the_digits_of_json_numbers_also_inside_nested_values():
    lines = [
        '{"id": 9007199254740993, "x": 1.10, "n": {"a": [1.50, "z", null, true]}}',
        "no json",
        '["a"]',
        '{"id": 2, "y": null}',
    ]
    found = look("\n".join(lines).encode(), "a.ndjson")
    assert (found.records, found.irregular, [odd.line for odd in found.first_irregular]) == (2, 2, [2, 3])
    assert found.rows == [["9007199254740993", "1.10", '{"a": [1.50, "z", null, true]}', None], ["2", None, None, None]]
    assert {column.name: column.nulls for column in found.columns} == {"id": 0, "x": 1, "n": 1, "y": 2}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=examples(15), deadline=None)
@given(
    objects=st.lists(
        st.dictionaries(st.text(min_size=1, max_size=4), JSON, min_size=1, max_size=4), min_size=1, max_size=8
    ),
)
def test_should_read_an_array_as_it_reads_lines(objects):
    texts = [json.dumps(one) for one in objects]
    lines = look("\n".join(texts).encode(), "a.json")
    array = look(f"[{', '.join(texts)}]".encode(), "a.json")
    assert (lines.contract.format, array.contract.format) == ("ndjson", "json")
    assert lines.records + lines.irregular == array.records + array.irregular == len(objects)
    assert (lines.rows, types(lines)) == (array.rows, types(array))


def workbook() -> bytes:
    book, body = openpyxl.Workbook(), io.BytesIO()
    sheet: Any = book.active
    for row in (["id", "day", "price"], [1, date(2024, 2, 29), 1.1], [2, None, 22.5]):
        sheet.append(row)
    book.save(body)
    return body.getvalue()


def parquet() -> bytes:
    body = io.BytesIO()
    days = pa.array([date(2024, 2, 29), None])
    pq.write_table(pa.table({"id": [1, 2], "day": days, "price": [Decimal("1.1"), Decimal("22.5")]}), body)
    return body.getvalue()


SAME = [(1, date(2024, 2, 29), Decimal("1.1")), (2, None, Decimal("22.5"))]
EQUAL: dict[str, tuple[bytes, str]] = {
    "csv": (b"id,day,price\n1,2024-02-29,1.1\n2,,22.5\n", "csv"),
    "csv of Windows": ("ü\r\nid;day;price\r\n1;29.02.2024;1,1\r\n2;NULL;22,5\r\nend\r\n".encode("cp1252"), "csv"),
    "tsv without a header": (gzip.compress(b"1\t2024-02-29\t1.1\n2\t\t22.5\n"), "tsv"),
    "ndjson": (b'{"id": 1, "day": "2024-02-29", "price": 1.1}\n{"id": 2, "price": 22.5}\n', "ndjson"),
    "json": (b'[{"id": 1, "day": "2024-02-29", "price": 1.1}, {"id": 2, "price": 22.5}]', "json"),
    "json at a path": (
        b'{"n": {"rows": [\n{"id": 1, "day": "2024-02-29", "price": 1.1},\n{"id": 2, "price": 22.5}\n]}, "of": [2]}',
        "json",
    ),
    "parquet": (parquet(), "parquet"),
    "excel": (workbook(), "excel"),
}


@pytest.mark.parametrize(("body", "form"), EQUAL.values(), ids=EQUAL)
def test_should_propose_a_contract_that_takes_the_file_as_it_stands(body: bytes, form: str) -> None:
    found = look(body)
    assert (found.contract.format, found.records, found.irregular) == (form, 2, 0)
    assert as_given(found) == found.contract
    assert [tuple(row.values()) for row in load(body, as_given(found))] == [
        (*row, number) for number, row in enumerate(SAME, 1)
    ]


def test_should_leave_text_what_the_cast_of_a_load_would_reject() -> None:
    found = look(b'n,d,s\n1,2024-01-01T10:00:00.123456789,"NULL"\n"",2024-01-01 10:00,7\n')
    assert types(found) == {"n": "text", "d": "text", "s": "text"}
    assert "as bigint it could not be cast: record 2: it is no whole number: it is empty" in found.columns[0].reason
    assert "it is finer than microseconds" in found.columns[1].reason
    assert "as bigint it could not be cast: record 1" in found.columns[2].reason


def test_should_tell_where_a_word_for_null_could_be_a_text() -> None:
    found = look(b"n,t\n1,NA\nNA,x\n")
    assert (found.contract.null_words, types(found)) == (["NA"], {"n": "bigint", "t": "text"})
    assert found.notes == ["'NA' stands for NULL in every column, also in t, where it could be a text"]


def test_should_ask_for_the_path_where_a_document_has_several_arrays() -> None:
    body = b'{"a": [{"id": 1}],\n"b": {"c": [{"id": 2}]}}'
    with pytest.raises(UnsupportedSource, match=r"arrays of objects at a, b\.c"):
        look(body)
    content = look_into("a.json", len(body), lambda: io.BytesIO(body))
    assert inspect(content, records_at="b.c").rows == [["2"]]


def test_should_name_the_line_where_an_array_is_broken():
    with pytest.raises(UnsupportedSource, match="line 3: in the value that begins here, ] closes what it did not open"):
        look(b'[\n{"a": 1},\n{"a": 2]\n', "a.json")


def test_should_take_the_types_of_a_parquet_file():
    body = io.BytesIO()
    pq.write_table(pa.table({"id": [1, 2], "amount": [Decimal("1.10"), None]}), body)
    found = look(body.getvalue(), "a.parquet")
    assert (found.records, found.rows) == (2, [["1", "1.10"], ["2", None]])
    assert types(found) == {"id": "bigint", "amount": "decimal(3,2)"}


def encrypted() -> bytes:
    body = bytearray(zipped(inside=b"id\n1\n"))
    body[6] |= 1  # the flag in the local header
    body[body.index(b"PK\x01\x02") + 8] |= 1  # and in the directory
    return bytes(body)


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
