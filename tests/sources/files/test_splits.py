"""Splits of a large text: together they are the file, whatever its quotes hide."""

import gzip
import io
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from events.files import FileColumn, FileContract
from flowforge.domain.errors import UnsupportedSource
from flowforge.domain.slice_plan import ByteRange
from flowforge.sources.files.container import Content, look_into
from flowforge.sources.files.records import open_records, splits_of


def content_of(data: bytes) -> Content:
    return look_into("landing/a.csv", len(data), lambda: io.BytesIO(data))


def all_of(content: Content, contract: FileContract, splits: list[ByteRange | None]) -> list[Any]:
    """The rows and rejects of splits, one behind the other, with number, line and offset."""
    found: list[Any] = []
    for split in splits:
        with open_records(content, contract, split) as records:
            counted = 0
            for portion in records:
                numbers, places = portion.row_numbers.to_pylist(), portion.places()
                lines, offsets = (known.to_pylist() for known in places if known is not None)
                # A field that is met later has no column in an earlier portion: it is NULL there.
                rows = portion.texts.to_pylist() if portion.texts.num_columns else [{}] * len(numbers)
                rows = [{name: value for name, value in row.items() if value is not None} for row in rows]
                found += zip(numbers, lines, offsets, rows, strict=True)
                found += [(one.row_number, one.line, one.byte_offset, one) for one in portion.rejected]
                counted += len(numbers) + len(portion.rejected)
            assert records.counted() == counted == (split.records if split else counted)
    return sorted(found, key=lambda one: one[0])


bodies = st.lists(
    st.sampled_from(
        ['1,"a"', '2,"x\ny"', "3,b", '"4\r\n,5\n\n6",c', "5", "", '6,"a""\n""b"', '"7"x,d', "{}", '{"a": 1}']
    )
    | st.text(st.sampled_from([*'ab,"']), max_size=5),
    max_size=30,
)


@example(["1,2"] * 40_000, "\n", FileContract(format="csv", skip_footer_rows=2), 2**16, "utf-8")
@example(['1,"é\nb"'] * 12_000, "\r\n", FileContract(format="csv"), 2**16, "utf-8-sig")
@example(['"1"x,2'] * 300, "\r", FileContract(format="csv"), 100, "cp1252")
@example(['{"a": 1}'] * 12_000, "\n", FileContract(format="ndjson"), 2**16, "utf-8")
@given(
    lines=bodies,
    ends=st.sampled_from(["\n", "\r\n", "\r"]),
    contract=st.builds(
        FileContract,
        format=st.sampled_from(["csv", "csv", "csv", "ndjson", "fixed"]),
        header=st.booleans(),
        skip_rows=st.integers(0, 2),
        skip_footer_rows=st.integers(0, 3),
        quote=st.sampled_from(['"', '"', "", "'"]),
        escape=st.sampled_from(["", "", "\\"]),
        columns=st.just(
            [FileColumn(name=name, field=name, start=at, width=1) for at, name in enumerate("12", start=1)]
        ),
    ),
    size=st.integers(1, 60),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "cp1252"]),
)
def test_should_be_the_whole_file_together(
    lines: list[str], ends: str, contract: FileContract, size: int, encoding: str
) -> None:
    first = "12" if contract.format == "fixed" else "1,2"
    text = ends.join([*["above"] * contract.skip_rows, first, *lines, ""])
    content = content_of(text.encode(encoding))
    contract = contract.model_copy(update={"encoding": encoding})
    try:
        whole = all_of(content, contract, [None])
    except UnsupportedSource:
        return
    splits = splits_of(content, contract, size)
    assert all_of(content, contract, list(splits)) == whole
    assert [one.end for one in splits] == [*(one.start for one in splits[1:]), None]
    assert not any(one.records == 0 for one in splits[1:])


def test_should_cut_where_a_record_begins_and_not_within_its_quotes() -> None:
    record = '"x","1,2\n3,4\n5,6"\n'
    data = ("a,b\n" + record * 30_000).encode()
    splits = splits_of(content_of(data), FileContract(format="csv"), 2**17)
    assert len(splits) == 4
    assert sum(one.records for one in splits) == 30_000
    assert all(data[one.start : one.start + 4] == b'"x",' for one in splits[1:])


@pytest.mark.parametrize(
    ("data", "contract"),
    [
        (gzip.compress(b"a\n1\n"), FileContract(format="csv")),
        ("a\n1\n".encode("utf-16"), FileContract(format="csv", encoding="utf-16")),
        (b"[{}]", FileContract(format="json")),
    ],
)
def test_should_say_what_has_to_be_read_at_once(data: bytes, contract: FileContract) -> None:
    with pytest.raises(UnsupportedSource, match="not read in splits"):
        splits_of(content_of(data), contract, 1)
