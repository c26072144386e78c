"""What `files inspect` proposes for a file: dialect and types with their reasons, from all of it; nothing is passed over."""

import csv
import gzip
import io
import json

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from events.files import FileContract
from flowforge.domain.errors import UnsupportedSource
from flowforge.sources.files.container import look_into
from flowforge.sources.files.inspection import inspect
from tests.helpers.archives import zipped, zstd
from tests.helpers.examples import examples
from tests.helpers.inspected import as_given, load, look, types

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


def test_should_leave_out_titles_above_and_footers_below_and_tell_so():
    found = look(b"Report of May\n\nid;name\n1;a\n2;b\nTotal: 2\n")
    assert found.dialect is not None
    assert (found.dialect.skip_rows, found.dialect.skip_footer_rows, found.records) == (1, 1, 2)
    (footer,) = [one.reason for one in found.found if one.what == "skipFooterRows"]
    assert "or the file is cut off there" in footer


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
@pytest.mark.parametrize(("line", "sign"), [("sep=;", ";"), ('"SEP=^"', "^"), ("sep=\t", "\t")])
def test_should_take_the_line_that_tells_excel_its_delimiter(line, sign, encoding, end):
    found = look(end.join([line, f"näme{sign}b", f"x, 1{sign}2", ""]).encode(encoding))
    assert (found.rows, types(found)) == ([["x, 1", "2"]], {"näme": "text", "b": "bigint"})
    assert found.dialect is not None and (found.dialect.delimiter, found.dialect.skip_rows) == (sign, 1)
    reasons = {one.what: one.reason for one in found.found}
    assert (repr(line) in reasons["delimiter"], reasons["skipRows"]) == (True, "the line for Excel")


@pytest.mark.parametrize("header", [True, False])
def test_should_refuse_that_line_where_a_load_would_read_it(header):
    contract = FileContract(format="csv", header=header)
    with pytest.raises(
        UnsupportedSource, match="line 1: 'sep=;' tells Excel the delimiter, and is no record"
    ) as refused:
        load(b"sep=;\nid;name\n1;a\n", contract)
    assert refused.value.remedy.startswith("set skipRows 1, and delimiter ';'")


@pytest.mark.parametrize("sign", [",", ";"])
def test_should_propose_the_delimiter_of_a_short_file_with_an_open_quote(sign):
    found = look(f'a{sign}b\n1{sign}"x\n'.encode())
    assert found.dialect is not None
    assert (found.dialect.delimiter, list(types(found)), found.irregular) == (sign, ["a", "b"], 1)


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
        st.dictionaries(st.text(min_size=1, max_size=4).filter(str.strip), JSON, min_size=1, max_size=4),
        min_size=1,
        max_size=8,
    ),
)
def test_should_read_an_array_as_it_reads_lines(objects):
    texts = [json.dumps(one) for one in objects]
    lines = look("\n".join(texts).encode(), "a.json")
    array = look(f"[{', '.join(texts)}]".encode(), "a.json")
    assert (lines.contract.format, array.contract.format) == ("ndjson", "json")
    assert lines.records + lines.irregular == array.records + array.irregular == len(objects)
    assert (lines.rows, types(lines)) == (array.rows, types(array))
