"""Records of any length that may be: whole, in little memory, or refused before they are held."""

import io
import tracemalloc
from typing import Any

import pyarrow.compute
import pytest

from events.files import FileColumn, FileContract
from flowforge.domain.errors import UnsupportedSource
from flowforge.sources.files.container import look_into
from flowforge.sources.files.framing import lines_of
from flowforge.sources.files.records import open_records
from tests.helpers.file_records import read

pc: Any = pyarrow.compute


def test_ten_thousand_columns_are_read():
    line = ",".join(f"c{i}" for i in range(10_000))
    fields, rows, _ = read(f"{line}\n{line}\n".encode())
    assert rows == [fields]


def test_a_cell_longer_than_any_chunk_is_one_cell():
    long = "x\n" * 2_000_000
    assert read(f'a,b\n"{long}",2\n'.encode())[1] == [[long, "2"]]


def test_a_long_cell_takes_a_few_times_its_size_in_memory():
    inner = "x\n" * 50_000 + "y" * 1_000_000 + "z"
    data = f'a,b\n"{inner}",2\n'.encode()
    tracemalloc.start()
    try:
        rows = read(data, escape="\\")[1]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert rows == [[inner, "2"]]
    assert peak < 8 * len(data), peak


@pytest.mark.parametrize("format", ["csv", "ndjson"])
def test_one_wide_character_does_not_make_a_long_record_take_four_times_its_size(format):
    line = "went, and \\n" * 300_000 if format == "ndjson" else "went, and \n" * 300_000
    record = f'{{"a": "😀{line}"}}' if format == "ndjson" else f'"😀{line}"'
    data = ("a\n" * (format == "csv") + f"{record}\n" * 3).encode()
    content = look_into("a", len(data), lambda: io.BytesIO(data))
    contract = FileContract(format=format, columns=[FileColumn(name="a", field="a")])
    tracemalloc.start()
    try:
        with open_records(content, contract) as records:
            sizes = [size for portion in records for size in pc.binary_length(portion.texts["a"]).to_pylist()]
            assert records.counted() == 3
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert sizes == [len(f"😀{line}".replace("\\n", "\n").encode())] * 3
    assert peak < 14 * len(record), peak


def test_a_record_that_is_longer_than_any_may_be_is_refused():
    def portions():
        yield b'a,b\n1,"'
        for _ in range(18):
            yield b"x" * 2**20

    with pytest.raises(UnsupportedSource, match="a record of more than 16,777,216 bytes"):
        list(lines_of(portions(), "a.csv"))


class Counted(io.BytesIO):
    """A content that counts what is read of it."""

    def __init__(self, data: bytes, told: list[int]):
        super().__init__(data)
        self._told = told

    def read(self, size: int | None = -1) -> bytes:
        found = super().read(size)
        self._told.append(len(found))
        return found


@pytest.mark.parametrize("line", ["x" * 999, 'x ""y"", ü' * 90], ids=["plain", "doubled quotes"])
def test_a_cell_of_a_hundred_megabytes_is_refused_before_it_is_held(line):
    lines = f"{line}\n".encode() * (10**8 // (len(line.encode()) + 1))
    data, told = b'a,b\n1,2\n3,"' + lines + b'"\n', list[int]()
    content = look_into("a.csv", len(data), lambda: Counted(data, told))
    tracemalloc.start()
    try:
        with (
            pytest.raises(UnsupportedSource, match="more than 16,777,216 bytes") as refused,
            open_records(content, FileContract(format="csv")) as records,
        ):
            for _ in records:
                pass
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert "Parquet" in refused.value.remedy
    assert 2**24 < sum(told) < 2**26, told
    assert peak < 2**27, peak


def test_a_long_record_that_leaves_a_doubt_is_read_like_any():
    long = 'x"' + "y" * (2**24 - 10)
    assert read(f"a,b\n{long},2\n{long},3\n".encode())[1] == [[long, "2"], [long, "3"]]


@pytest.mark.parametrize("format", ["csv", "ndjson"])
def test_a_record_that_is_as_long_as_one_may_be_is_read(format):
    inner = "é\\n" * (2**22 - 20)
    data = f'{{"a": "{inner}"}}\n' if format == "ndjson" else f'a,b\n"{inner}",2\n'
    (row,) = read(data.encode(), format=format)[1]
    assert row[0] == (inner.replace("\\n", "\n") if format == "ndjson" else inner)
