"""JSON documents: each element arrives as it is written, or is a reject with its place; what cannot be told apart is refused."""

import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.files import FileContract
from flowforge.domain.errors import UnsupportedSource
from flowforge.sources.files.container import StoredFile
from flowforge.sources.files.document_records import count_elements
from flowforge.sources.files.records import open_file
from flowforge.sources.files.rejected import Rejected

Row = dict[str, str | None]


def read(body: bytes, **contract: Any) -> tuple[list[Row], list[Rejected]]:
    rows: list[Row] = []
    rejected: list[Rejected] = []
    file = StoredFile("landing/a.json", len(body), lambda: io.BytesIO(body))
    with open_file(file, FileContract(format="json", **contract)) as records:
        for portion in records:
            rows += portion.texts.to_pylist()
            rejected += portion.rejected
        assert records.counted() == len(rows) + len(rejected)
    return rows, rejected


def test_should_read_elements_as_they_are_written() -> None:
    body = b'[{"id": 9007199254740993, "n": 1.10, "e": 1E5, "o": {"a" : [1.0,{"b":"}]"}]}},\n {"id":2,"n":null}]\n'
    rows, _ = read(body)
    assert rows == [
        {"id": "9007199254740993", "n": "1.10", "e": "1E5", "o": '{"a" : [1.0,{"b":"}]"}]}'},
        {"id": "2", "n": None, "e": None, "o": None},
    ]
    assert read(b'[{"a": {"b": 1.0}}]', flatten=True)[0] == [{"a.b": "1.0"}]
    assert read('[{"a": "ü"}]'.encode("utf-16"), encoding="utf-16")[0] == [{"a": "ü"}]


def test_should_find_the_array_that_the_contract_names() -> None:
    body = b'{"items": [9], "data": {"x": "]", "items": [{"id": 1}], "n": {"items": 1}}, "end": [[1]]}'
    assert read(body, records_at="data.items")[0] == [{"id": "1"}]
    assert read(b'{"data": []}', records_at="data") == ([], [])
    assert read(b" [ ] ") == ([], [])


def test_should_reject_elements_that_are_no_objects_with_line_offset_and_text() -> None:
    body = b'[{"id": 1},\n 7, "a,b",\n{"id": 2, "id": 3},\n{"id": tru},{"id": 4}]'
    rows, rejected = read(body)
    assert rows == [{"id": "1"}, {"id": "4"}]
    assert [(one.row_number, one.line, one.byte_offset, one.raw) for one in rejected] == [
        (2, 2, 13, "7"),
        (3, 2, 16, '"a,b"'),
        (4, 3, 23, '{"id": 2, "id": 3}'),
        (5, 4, 43, '{"id": tru}'),
    ]
    assert "no JSON object" in rejected[0].reason and "a name twice" in rejected[2].reason


def test_should_pass_over_what_stands_beside_the_array_however_large() -> None:
    large = b'{"x": [' + b'{"y": "\\\\\\"]"},' * 300_000 + b"0]}"
    assert read(b'{"before": ' + large + b', "data": [{"id": 1}], "after": ' + large + b"}", records_at="data")[0] == [
        {"id": "1"}
    ]


def test_should_read_elements_across_all_portions_of_a_large_document() -> None:
    deep = [[[[[["]"]]]]]]
    meant = [{"id": place, "t": "x" * (place % 97), "o": deep} for place in range(30_000)]
    meant[7]["t"] = 'a"\\' * 1_000_000
    rows, _ = read(json.dumps(meant, indent=1).encode())
    assert [(row["id"], row["t"]) for row in rows] == [(str(one["id"]), one["t"]) for one in meant]


REFUSED: dict[str, tuple[bytes, dict[str, Any], str]] = {
    "cut off between elements": (b'[{"a": 1},', {}, "line 1: a value is expected"),
    "cut off behind an element": (b'[{"a": 1}\n', {}, "line 2: the document ends, where , or ] is expected"),
    "cut off within an element": (b'[{"a": 1},\n{"a": ', {}, "line 2: a value begins that does not end"),
    "a quote that is open": (b'[{"a": "1},\n{"a": 2}]', {}, "line 1: a value begins that does not end"),
    "a quote that hides an element": (b'[{"a": "1}, {"b": "2}, {"c": 3}]', {}, "seems to hold others|does not end"),
    "a bracket that is open": (b'[{"a": [1}, {"a": 2}]', {}, "line 1: in the value that begins here, } closes what it"),
    "no comma": (b'[{"a": 1}\n{"a": 2}]', {}, "line 2: , or ] is expected"),
    "a comma too many": (b'[{"a": 1},]', {}, "a value is expected"),
    "a second document": (b'[{"a": 1}]\n[{"a": 2}]', {}, "line 2: text stands behind the document's end"),
    "an object as document": (b'{"a": 1}', {}, "line 1: the document is no array of records"),
    "no object on the path": (b'{"x": null}', {"records_at": "x.y"}, r"there is no array at x\.y"),
    "an array, and a path": (b'[{"a": 1}]', {"records_at": "a"}, "there is no array at a"),
    "no such path": (b'{"a": {"b": 1}}', {"records_at": "a.c"}, "there is no array at a.c"),
    "no array there": (b'{"a": {"b": 1}}', {"records_at": "a.b"}, "there is no array at a.b"),
    "an empty object": (b"{}", {"records_at": "a"}, "there is no array at a"),
    "two arrays at the path": (
        b'{"a": [{"b": 1}], "a": [{"b": 2}]}',
        {"records_at": "a"},
        "a second 'a' in one object",
    ),
    "cut off behind the array": (b'{"a": [{"b": 1}], "c": [', {"records_at": "a"}, "the document ends within a value"),
    "lines": (b'{"a": 1}\n{"a": 2}\n', {"records_at": "a"}, "there is no array at a"),
    "a text": (b"id,name\n1,a\n", {}, "the document is no array"),
}


@pytest.mark.parametrize(("body", "contract", "why"), REFUSED.values(), ids=REFUSED)
def test_should_refuse_a_document_whose_records_cannot_be_told(body: bytes, contract: dict[str, Any], why: str) -> None:
    with pytest.raises(UnsupportedSource, match=why) as refused:
        read(body, **contract)
    assert str(refused.value).startswith("landing/a.json") and refused.value.remedy
    assert ("no array" in why) == ("format ndjson" in refused.value.remedy)


texts = st.text(st.sampled_from([*'ab"\\[]{},:\n€']), max_size=6)
leaves = st.none() | st.booleans() | st.integers() | texts
nested = st.recursive(leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3))
objects = st.fixed_dictionaries({"a": nested, "b": leaves})
sizes = st.integers(1, 9)


def as_text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)


@given(st.lists(objects | st.integers() | texts, max_size=5), st.sampled_from([None, 1]), st.sampled_from(["", "data"]))
def test_should_read_back_what_the_json_module_writes(elements: list[Any], indent: int | None, path: str) -> None:
    body = json.dumps({"x": elements, "data": elements} if path else elements, indent=indent, ensure_ascii=False)
    rows, rejected = read(body.encode(), records_at=path)
    meant = [one for one in elements if isinstance(one, dict)]
    assert [row["b"] for row in rows] == [as_text(one["b"]) for one in meant]
    for row, one in zip(rows, meant, strict=True):
        assert isinstance(one["a"], list | dict) is False or json.loads(row["a"] or "") == one["a"]
    assert len(rejected) == len(elements) - len(meant)


@given(st.lists(nested, max_size=5), sizes, st.sampled_from([None, 1]))
def test_should_count_elements_wherever_a_chunk_ends(elements: list[Any], size: int, indent: int | None) -> None:
    body = json.dumps(elements, indent=indent, ensure_ascii=False).encode().removeprefix(b"[")
    chunks = (body[place : place + size] for place in range(0, len(body), size))
    assert count_elements(chunks) == len(elements)
