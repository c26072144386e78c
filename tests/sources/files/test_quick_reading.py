"""The quick way through a delimited text gives what the exact one gives: texts, places, rejects, counts."""

import io
import json
import tracemalloc
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from events.files import FileColumn, FileContract
from flowforge.domain.errors import UnsupportedSource
from flowforge.sources.files import framing
from flowforge.sources.files.casting import cast_portion, casting_for
from flowforge.sources.files.container import Content, look_into
from flowforge.sources.files.delimited_records import DelimitedRecords
from flowforge.sources.files.document_records import JsonRecords
from flowforge.sources.files.framing import Marks
from flowforge.sources.files.ndjson_records import NdjsonRecords
from flowforge.sources.files.record_count import RecordCounter, count_records
from tests.helpers.examples import examples

READERS = {"ndjson": NdjsonRecords, "json": JsonRecords, "csv": DelimitedRecords}


def content_of(data: bytes) -> Content:
    return look_into("landing/a.csv", len(data), lambda: io.BytesIO(data))


def all_of(data: bytes, contract: FileContract, **how: Any) -> dict[str, Any]:
    """Everything that a reader tells of a text, its portions put together; or why it is refused."""
    found: dict[str, Any] = {"rows": [], "numbers": [], "lines": [], "offsets": [], "rejected": []}
    try:
        reader = READERS[contract.format]
        with reader(content_of(data), contract, **how) as records:
            for portion in records:
                # A field that is met later has no column in an earlier portion: it is NULL there.
                rows = portion.texts.to_pylist() if portion.texts.num_columns else [{}] * len(portion.row_numbers)
                assert len(rows) == len(portion.row_numbers)
                found["rows"] += [{k: v for k, v in row.items() if v is not None} for row in rows]
                lines, offsets = portion.places()
                found["numbers"] += portion.row_numbers.to_pylist()
                found["lines"] += lines.to_pylist() if lines else []
                found["offsets"] += offsets.to_pylist() if offsets else []
                found["rejected"] += portion.rejected
            found |= {"counted": records.counted(), "fields": records.fields, "extra": records.extra}
    except UnsupportedSource as error:
        return {"refused": str(error)}
    assert found["counted"] == len(found["numbers"]) + len(found["rejected"])
    return found


def same(data: bytes, contract: FileContract, pieces: tuple[int, ...] = (1, 7, 40, 2**20)) -> dict[str, Any]:
    exact = all_of(data, contract, quick=False)
    for piece in pieces:
        assert all_of(data, contract, piece_bytes=piece) == exact
    return exact


odd_texts = st.text(st.sampled_from([*"ab,;\"'\\\n\n\r\0 é€\ufeffN"]), max_size=8)
plain_texts = st.text(st.sampled_from([*"ab é1N"]), max_size=4)


@st.composite
def hostile(draw: st.DrawFn) -> str:
    """Lines most of which are records of two fields."""
    delimiter, quote = draw(st.sampled_from([*",;"])), draw(st.sampled_from([*"\"'"]))

    def written(text: str, quoted: bool) -> str:
        return quote + text.replace(quote, quote * 2) + quote if quoted else text

    def fields(texts: Any) -> Any:
        return st.lists(st.builds(written, texts, st.booleans()), min_size=2, max_size=2).map(delimiter.join)

    tame = fields(plain_texts)
    lines = draw(st.lists(tame | tame | tame | fields(odd_texts) | odd_texts, max_size=12))
    ends = draw(st.sampled_from(["\n", "\r\n", "\r"]))
    return ends.join([f"a{delimiter}b", *lines]) + draw(st.sampled_from(["", ends]))


contracts = st.builds(
    FileContract,
    format=st.just("csv"),
    delimiter=st.sampled_from([",", ",", ",", ";", ";", "", "é", ",,"]),
    quote=st.sampled_from(['"', '"', '"', "'", "", "€"]),
    escape=st.sampled_from(["", "", "", "\\"]),
    header=st.booleans(),
    skip_rows=st.integers(0, 1),
    skip_footer_rows=st.integers(0, 3),
    null_words=st.lists(st.sampled_from(["NULL", "N", "a", "é", "", '"', "a,b"]), max_size=2),
    empty_is_null=st.booleans(),
)


@settings(max_examples=examples(150))
@example(b"a,b\n\xef\xbb\xbf3,4\n", FileContract(format="csv"))
@example(b'a,b\n,\n"",', FileContract(format="csv"))
@example(b'a,b\n1,2\n"3\r",4\n5,6\n7,8\n9,10\n11,12\n', FileContract(format="csv"))
@example(b'a,b\n"1"x,2\n3,4\n', FileContract(format="csv"))
@example(b'a,b\n1,2\n"3,4\n5,6', FileContract(format="csv", skip_footer_rows=1))
@example(b'a\n"x\ny"\n""\n\nz\n', FileContract(format="csv", delimiter=""))
@given(
    data=st.tuples(hostile(), st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp1252"])).map(
        lambda drawn: drawn[0].encode(drawn[1], errors="replace")
    )
    | st.text(st.sampled_from([*'ab,"\r\n']), min_size=1, max_size=60).map(str.encode)
    | st.lists(
        st.sampled_from([b"a,b\n", b"1,2\r\n", b'"', b",", b"\xff", b"\xc3", b"\xa9", b"\n", b"\0"]), min_size=1
    ).map(b"".join),
    contract=contracts,
)
def test_should_read_any_text_as_the_exact_reader_does(data: bytes, contract: FileContract) -> None:
    for encoding in ("utf-8", "cp1252", "ascii"):
        try:
            same(data, contract.model_copy(update={"encoding": encoding}), pieces=(3, 24, 2**20))
        except UnicodeEncodeError:
            assert encoding == "ascii"  # its marks


names = st.sampled_from(["a", "b", "c d", "é", ": ", "true", "B"])
signs = [*'ab,:{}"\\/\n\r\t\b\0\x7f é€\ufeff😀', "\\u", '", "b": ']
texts = st.lists(st.sampled_from(signs), max_size=8).map("".join)
bare = st.none() | st.booleans() | st.integers() | st.sampled_from([1.5, -0.0, 1e300])
simple = bare | texts
tokens = [
    "null",
    "01",
    "1.10",
    "1E5",
    "-7",
    "NaN",
    '"\\ud800"',
    '"\\ud83d\\ude00"',
    '"\\u0000"',
    '"\\u0022\\u005c"',
    '"\\q"',
    "[1]",
    '{"a": {"b": 1.10, "c": [1E5, {"d": ":"}]}, "e" : {}}',
    '{"b": 1, "b": 2}',
    '[{"a": [{"x": 1, "\\u0078": 2}]}]',
    '{"x": "\\u003a", "x": "\\u003A"}',
    '{"x": 1, "y": "\\u003a:"}',
    '{"b": ["\\ud800"]}',
    "[123456789012345678901234567890, 1e999]",
    '{"n": 01}',
    "[1,]",
]


@st.composite
def objects(draw: st.DrawFn) -> str:
    """Lines most of which have the same names in the same order."""
    known = draw(st.lists(names, min_size=1, max_size=4))
    comma, colon = draw(st.sampled_from([", ", ",", " ,\t"])), draw(st.sampled_from([": ", ":", " :"]))

    def line(values: list[Any], keys: list[str], escaped: bool) -> str:
        written = [one[1] if isinstance(one, tuple) else json.dumps(one, ensure_ascii=escaped) for one in values]
        members = (
            f"{json.dumps(key, ensure_ascii=escaped)}{colon}{one}" for key, one in zip(keys, written, strict=False)
        )
        return "{" + comma.join(members) + "}"

    kinds = draw(st.lists(st.sampled_from([bare, st.none() | texts]), min_size=4, max_size=4))
    alike = st.tuples(*kinds).map(list)  # each field is always in quotes or never
    values = (
        alike
        | alike
        | st.lists(simple | simple | st.sampled_from(tokens).map(lambda token: ("", token)), min_size=4, max_size=4)
    )
    lines = st.builds(line, values, st.just(known) | st.just(known) | st.lists(names, max_size=3), st.booleans())
    odd = st.sampled_from(["", " ", "{}", "[]", '[["a", 1]]', "[[[1], 2]]", "{", '{"a": 1}x', "\ufeff{}", "1"])
    ends = draw(st.sampled_from(["\n", "\n", "\r\n", "\r"]))
    return ends.join(draw(st.lists(lines | lines | lines | odd, min_size=1, max_size=12))) + draw(
        st.sampled_from(["", ends])
    )


@settings(max_examples=examples(150))
@example('{"a": "x, \\"b\\": ", "b": 1}\n{"a": "}", "b": 2}\n' * 3, FileContract(format="ndjson"), "utf-8")
@example('{"a": 1, ": ": "x"}\n{"a": 2, ": ": ": "}\n' * 3, FileContract(format="ndjson"), "utf-8")
@example('{"a": ""}\n\n{"a": null}\n{"a": "null"}\n' * 3, FileContract(format="ndjson", null_words=["null"]), "utf-8")
@example('{"b": 1, "B": 2}\n{"b": 1}\n{"B": 1, "c": 1, "C": 2}\n', FileContract(format="ndjson"), "utf-8")
@example('{"a": {"b": 1}, "a.b": 2}\n{"a": {"b": {"b": "x"}}}\n', FileContract(format="ndjson", flatten=True), "utf-8")
@example(
    '{"a": "", "b": 1}\n{"a": null, "b": null}\n{"a": "\\": null", "b": 2}\n', FileContract(format="ndjson"), "utf-8"
)
@example('{"a":null,"b":1}\n{"a":"\\n\\u001f","b":null}\n', FileContract(format="ndjson"), "utf-8")
@example('{"a":null}\n{"a":"l\\nm\\r"}\n{"a":"\\u000d\\u0022"}\n', FileContract(format="ndjson"), "utf-8")
@example('{"a": {"x": 1, "x": 2}}\n{"a": {"x": 1}}\n', FileContract(format="ndjson"), "utf-8")
@example(
    '{"a": [1], "b": 1}\n{"a": {"b": 1}}\n{"b": "\\"", "a": null}\n{"a": [{}, []]}\n',
    FileContract(format="ndjson"),
    "utf-8",
)
@example('{"a:b": 0}\n{"a:b": 1, "a:b": {"c": 1}}\n{"a\\u003ab": [1]}\n', FileContract(format="ndjson"), "utf-8")
@example('{"a\\"b": [1.10]}\n{"a\\"b": {"c": "\\u003c"}}\n', FileContract(format="ndjson"), "utf-8")
@example('{"a": -7}\n{"b": [-7], "a": "-7"}\n', FileContract(format="ndjson", null_words=["-7", "[-7]"]), "utf-8")
@given(
    text=objects(),
    contract=st.builds(
        FileContract,
        format=st.just("ndjson"),
        null_words=st.lists(st.sampled_from(["-7", "null", "true", "1.10", '"a"', "a"]), max_size=2),
        flatten=st.booleans(),
        skip_rows=st.integers(0, 1),
        skip_footer_rows=st.integers(0, 2),
        columns=st.lists(names, max_size=2, unique=True).map(
            lambda some: [FileColumn(name=one, field=one) for one in some]
        ),
    ),
    encoding=st.sampled_from(["utf-8", "utf-8", "cp1252", "ascii", "utf-16"]),
)
def test_should_read_any_lines_of_json_as_the_exact_reader_does(
    text: str, contract: FileContract, encoding: str
) -> None:
    data = text.encode(encoding, errors="replace")
    same(data, contract.model_copy(update={"encoding": encoding}), pieces=(40, 200, 2**20))
    document = "[" + ",\n".join(line for line in text.splitlines() if line.strip()) + "]"
    contract = contract.model_copy(update={"format": "json", "encoding": encoding})
    same(document.encode(encoding, errors="replace"), contract, pieces=(2**20,))


def test_should_keep_the_fields_of_all_objects_amid_many_that_are_alike() -> None:
    lines = [f'{{"id": {number}, "n": "Zo\\u00eb {number}"}}' for number in range(20_000)]
    lines[7_000] = '{"id": 7000, "n": "x", "more": {"a": [1.0]}}'
    lines[12_000] = '{"id": 1, "id": 2}'

    found = same("\n".join(lines).encode(), FileContract(format="ndjson"), pieces=(2**14, 2**20))

    assert found["fields"] == ["id", "n", "more"]
    assert found["rows"][7_000] == {"id": "7000", "n": "x", "more": '{"a": [1.0]}'}
    assert found["rows"][19_998] == {"id": "19999", "n": "Zoë 19999"}
    assert [(one.row_number, one.line) for one in found["rejected"]] == [(12_001, 12_001)]


def test_should_keep_number_line_offset_and_reason_of_odd_records_amid_a_great_text() -> None:
    rows = [f'{number},"Müller, {number % 7}",' for number in range(40_000)]
    rows[1_000] = "1,2"
    rows[20_000] = '"x"y,2,3'
    rows[20_001] = '20001,"two\nlines",ok'
    rows[39_990] = "1,2,3,4"
    data = "\r\n".join(["a,b,c", *rows, "end"]).encode()

    found = same(data, FileContract(format="csv", skip_footer_rows=1), pieces=(2**14, 2**20))

    assert [one.row_number for one in found["rejected"]] == [1_001, 20_001, 39_991]
    assert [one.line for one in found["rejected"]] == [1_002, 20_002, 39_993]
    assert found["counted"] == 40_000 and len(found["rows"]) == 39_997


def test_should_tell_where_a_record_begins_that_its_type_does_not_hold() -> None:
    data = b"id,name\r\n1,a\r\n\r\n2,\xc3\xbc\r\nx,c\r\n4\r\n"
    columns = [FileColumn(name="id", field="id", type="bigint"), FileColumn(name="name", field="name")]
    with DelimitedRecords(content_of(data), FileContract(format="csv", columns=columns)) as records:
        casting = casting_for(records.fields, columns, "refuse", "a.csv")
        (portion,) = records
        found = cast_portion(portion, casting)
    assert [(one.row_number, one.line, one.byte_offset, one.column) for one in found.rejected] == [
        (3, 5, 22, "id"),
        (4, 6, 27, ""),
    ]
    assert json.loads(found.rejected[0].raw) == {"id": "x", "name": "c"}


@given(
    data=st.text(st.sampled_from([*'ab,"\r\n\n']), max_size=200),
    size=st.integers(1, 50),
    escape=st.sampled_from([b"", b"\\"]),
)
def test_should_count_the_same_records_however_the_bytes_come(data: str, size: int, escape: bytes) -> None:
    marks, body = Marks(b",", b'"', escape), data.encode()
    framed = sum(1 for _ in framing.frame(body.splitlines(keepends=True), marks, "a.csv"))
    counter = RecordCounter(marks)
    for start in range(0, len(body), size):
        counter.add(body[start : start + size])
    assert counter.total() == framed == count_records([body], marks)


@given(
    data=st.text(st.sampled_from([*'ab,"\r\n\n']), max_size=60),
    size=st.integers(1, 9),
    quote=st.sampled_from([b'"', b""]),
)
def test_should_tell_line_and_offset_of_each_record_however_the_bytes_come(data: str, size: int, quote: bytes) -> None:
    body, marks = data.encode(), Marks(b",", quote, b"")
    chunks = [body[start : start + size] for start in range(0, len(body), size)]
    found = list(framing.frame(framing.lines_of(chunks, "a.csv"), marks, "a.csv"))
    assert found == list(framing.frame(body.splitlines(keepends=True), marks, "a.csv"))


def test_should_pass_over_millions_of_blank_lines_above_the_header_and_hold_few_of_them() -> None:
    blank = 2**25
    data = b"\r\n" * (blank // 2 + 10) + b"a,b\r\n" + b"\n" * 10 + b"1,2\n3\n"
    tracemalloc.start()
    try:
        found = all_of(data, FileContract(format="csv"))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (found["rows"], found["lines"], found["counted"]) == ([{"a": "1", "b": "2"}], [blank // 2 + 22], 2)
    assert found["offsets"] == [data.index(b"1,2")]
    assert [one.line for one in found["rejected"]] == [blank // 2 + 23]
    assert peak < 1.5 * blank, peak
