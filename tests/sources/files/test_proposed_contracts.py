"""A contract that is proposed takes the file as it stands, whatever form it is in."""

import gzip
import io
from datetime import date
from decimal import Decimal
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.helpers.inspected import as_given, load, look, types

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


def test_should_take_the_types_of_a_parquet_file():
    body = io.BytesIO()
    pq.write_table(pa.table({"id": [1, 2], "amount": [Decimal("1.10"), None]}), body)
    found = look(body.getvalue(), "a.parquet")
    assert (found.records, found.rows) == (2, [["1", "1.10"], ["2", None]])
    assert types(found) == {"id": "bigint", "amount": "decimal(3,2)"}
