"""Texts of all formats: each record arrives as it was written, or is a reject with its place; what is counted agrees."""

import csv
import io
import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.files import FileColumn, FileContract
from flowforge.domain.errors import UnsupportedSource
from flowforge.sources.files.container import look_into
from flowforge.sources.files.records import open_records
from tests.helpers.file_records import Row, read


def test_texts_arrive_as_they_are_and_nothing_is_no_empty_text():
    fields, rows, _ = read(
        b'id,zip,n\r\n00123,"",1.10\r\n9007199254740993,,1E5\r\n"NULL",NULL,"a\r\nb"', null_words=["NULL"]
    )
    assert fields == ["id", "zip", "n"]
    assert rows == [["00123", "", "1.10"], ["9007199254740993", None, "1E5"], ["NULL", None, "a\r\nb"]]


def test_a_record_that_cannot_be_taken_is_a_reject_with_line_offset_text_and_reason():
    data = b'a,b\n1,2\n"x\ny",3\n4\n5,6,7\n"a"b,c\n\xff,1\n\0,2\n8,9\n'
    _, rows, rejected = read(data)
    assert rows == [["1", "2"], ["x\ny", "3"], ["8", "9"]]
    told = [(one.row_number, one.line, one.byte_offset, one.raw) for one in rejected]
    assert told == [
        (3, 5, 16, "4"),
        (4, 6, 18, "5,6,7"),
        (5, 7, 24, '"a"b,c'),
        (6, 8, 31, "\\xff,1"),
        (7, 9, 35, "\0,2"),
    ]
    for one, reason in zip(rejected, ("1 fields", "3 fields", "behind a closing", "byte 1 of", "NUL"), strict=True):
        assert reason in one.reason


def test_a_quote_that_is_never_closed_hides_no_record():
    _, rows, rejected = read(b'a,b\n1,2\n"3,4\n')
    assert rows == [["1", "2"]]
    assert rejected[0].line == 3 and "never closed" in rejected[0].reason
    with pytest.raises(UnsupportedSource, match="line 3: a quote is opened and never closed"):
        read(b'a,b\n1,2\n"3,4\n5,6\n')


def test_line_ends_of_all_kinds_in_one_file_and_blank_lines():
    assert read(b"a,b\r1,2\n3,4\r\n\r\n\n5,6")[1] == [["1", "2"], ["3", "4"], ["5", "6"]]


def test_rows_above_the_header_and_below_the_last_row_are_none():
    data = b"Report of May\na,b\n1,2\n3,4\nTotal;2\nthe end\n"
    assert read(data, skip_rows=1, skip_footer_rows=2) == (["a", "b"], [["1", "2"], ["3", "4"]], [])


def test_a_header_alone_is_no_row():
    assert read(b"a,b\n") == (["a", "b"], [], [])


@pytest.mark.parametrize(
    ("data", "contract", "said"),
    [
        (b"id,ID\n1,2\n", {}, "two columns have one name: 'id' and 'ID'"),
        (b"id,\n1,2\n", {}, "column 2 of the header has no name"),
        (b"\n\n", {}, "no header and no row"),
        (b"a\n1\n", {"encoding": "utf-99"}, "is no encoding"),
        (b"a\n1\n", {"encoding": "rot13"}, "is no encoding"),
        (b"a\n1\n", {"encoding": "undefined"}, "is no encoding"),
        (b"a\n1\n", {"quote": ","}, "must differ"),
        (",".join(f"c{i}" for i in range(10_001)).encode(), {}, "10,001 columns"),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(data: bytes, contract: dict[str, Any], said: str):
    with pytest.raises(UnsupportedSource, match=said):
        read(data, **contract)


def test_without_a_header_a_field_is_its_place():
    fields, rows, rejected = read(b"1,2\n3\n", header=False)
    assert (fields, rows, len(rejected)) == (["1", "2"], [["1", "2"]], 1)


ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "cp1252"]


letters = st.sampled_from([*"ab;,\t|'\"\\\r\n €é"])


tables = st.integers(2, 4).flatmap(
    lambda width: st.lists(
        st.lists(st.text(letters, max_size=6) | st.none(), min_size=width, max_size=width), min_size=1, max_size=6
    )
)


@given(
    table=tables,
    delimiter=st.sampled_from([",", ";", "\t", "|"]),
    quote=st.sampled_from(['"', "'"]),
    escape=st.sampled_from(["", "\\"]),
    newline=st.sampled_from(["\n", "\r\n", "\r"]),
    encoding=st.sampled_from(ENCODINGS),
)
def test_a_table_in_every_dialect_comes_back(
    table: list[Row], delimiter: str, quote: str, escape: str, newline: str, encoding: str
):
    def written(field: str | None) -> str:
        if field is None:
            return ""
        inner = (
            field.replace(escape, escape * 2).replace(quote, escape + quote)
            if escape
            else field.replace(quote, quote * 2)
        )
        return quote + inner + quote

    header = delimiter.join(f"c{place}" for place in range(len(table[0])))
    text = newline.join([header, *(delimiter.join(map(written, row)) for row in table), ""])
    found = read(text.encode(encoding), delimiter=delimiter, quote=quote, escape=escape, encoding=encoding)
    assert found[1:] == (table, [])


@given(table=tables, delimiter=st.sampled_from([",", "\t"]))
def test_what_the_csv_module_writes_comes_back(table: list[Row], delimiter: str):
    text = io.StringIO(newline="")
    rows = [[field or "-" for field in row] for row in table]
    csv.writer(text, delimiter=delimiter).writerows([[f"c{i}" for i in range(len(rows[0]))], *rows])
    assert read(text.getvalue().encode(), delimiter=delimiter)[1:] == (rows, [])


@given(data=st.text(st.sampled_from('ab,"\\\r\n'), min_size=1, max_size=40), escape=st.sampled_from(["", "\\"]))
def test_any_text_is_rows_and_rejects_as_counted_or_is_refused(data: str, escape: str):
    try:
        read(f"a,b\n{data}".encode(), escape=escape)
    except UnsupportedSource as error:
        assert "never closed" in str(error)


def test_lines_of_json_arrive_as_they_are_written():
    first = b'{"id": 9007199254740993, "n": 1.10, "e": 1E5, "t": "", "o": {"a" : [1.0,{"b":"}"}]}, "b": true}'
    data = first + b'\n{"id":2,"n":null}\r\n'
    fields, rows, _ = read(data, format="ndjson")
    assert fields == ["id", "n", "e", "t", "o", "b"]
    nested = '{"a" : [1.0,{"b":"}"}]}'
    assert rows == [["9007199254740993", "1.10", "1E5", "", nested, "true"], ["2", None, None, None, None, None]]


def test_nested_fields_are_columns_by_their_path():
    fields, rows, rejected = read(
        b'{"a": {"b": {"c": 1.0}, "d": [1]}, "e": {}}\n{"a.b": 1, "a": {"b": 2}}\n', format="ndjson", flatten=True
    )
    assert (fields, rows) == (["a.b.c", "a.d", "e"], [["1.0", "[1]", "{}"]])
    assert "two of its fields have the path 'a.b'" in rejected[0].reason


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"id": 1', "it is no JSON"),
        ('{"id": 1} {"id": 2}', "it is no JSON"),
        ("[1]", "it is no JSON object"),
        ('{"id": 1, "id": 2}', "a name twice"),
        ('{"id": {"a": 1, "a": 2}}', "a name twice"),
        ('{"ID": 1}', "in case or blanks only"),
        ('{"id": NaN}', "no JSON number"),
        ('{"id": "\\ud800"}', "no character"),
        ("[" * 100_000, "JSON|deeply"),
    ],
)
def test_a_line_that_is_no_object_is_a_reject(line: str, said: str):
    _, rows, rejected = read(f'{{"id": 1}}\n{line}\n{{"id": 3}}\n'.encode(), format="ndjson")
    assert rows == [["1"], ["3"]]
    assert [(one.row_number, one.line, one.byte_offset) for one in rejected] == [(2, 2, 10)]
    assert re.search(said, rejected[0].reason)


def test_fields_that_the_contract_does_not_have_are_told():
    content = look_into("a.ndjson", 20, lambda: io.BytesIO(b'{"b": 1, "a": 2}\n'))
    contract = FileContract(format="ndjson", columns=[FileColumn(name="a", field="a")])
    with open_records(content, contract) as records:
        portions = [portion.texts.to_pylist() for portion in records]
        assert (records.fields, records.extra) == (["a", "b"], ["b"])
    assert portions == [[{"a": "2", "b": "1"}]]


values = st.none() | st.booleans() | st.integers() | st.text(max_size=5).filter(lambda text: "\0" not in text)


@given(rows=st.lists(st.fixed_dictionaries({"a": values, "b": values}), min_size=1, max_size=5), escaped=st.booleans())
def test_what_the_json_module_writes_comes_back(rows: list[dict[str, Any]], escaped: bool):
    data = "\n".join(json.dumps(row, ensure_ascii=escaped) for row in rows).encode()
    meant = [
        [value if value is None or isinstance(value, str) else json.dumps(value) for value in map(row.get, rows[0])]
        for row in rows
    ]
    assert read(data, format="ndjson")[1:] == (meant, [])


FIXED = [FileColumn(name="id", field="id", start=1, width=3), FileColumn(name="name", field="name", start=5, width=4)]


def test_columns_of_fixed_width_have_their_place():
    data = "id  name\r\n  1 Zoë \r\n002     \r\n3\r\n004 much too long\r\n".encode()
    _, rows, rejected = read(data, format="fixed", columns=FIXED)
    assert rows == [["1", "Zoë"], ["002", None]]
    assert [one.line for one in rejected] == [4, 5]
    assert "where 8 are expected" in rejected[0].reason and "behind character 8" in rejected[1].reason


def test_a_fixed_width_whose_header_is_a_row_is_refused():
    with pytest.raises(UnsupportedSource, match="the header has no id at character 1"):
        read(b"001 Anna\n", format="fixed", columns=FIXED)
    with pytest.raises(UnsupportedSource, match="column id has no place"):
        read(b"001 Anna\n", format="fixed", header=False, columns=[FileColumn(name="id", field="id")])
