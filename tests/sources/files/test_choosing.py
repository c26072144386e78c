"""Which of the new files one batch reads: bounded, in order, one alone where a row may replace another."""

import hashlib
import json
from typing import Any

import pytest

from events.files import FileContract
from events.targets import SourceFiles
from flowforge.aws.compact import pack
from flowforge.domain.errors import FileRefused
from flowforge.domain.file_version import FileVersion
from flowforge.sources.files.choosing import MOST_BYTES, MOST_FILES, choose
from flowforge.sources.files.source import Files
from flowforge.sources.plans import LastRead, Wanted


def version(key: str, size: int = 5, etag: str = "e", modified: str = "2026-01-05T00:00:00+00:00") -> FileVersion:
    return FileVersion(bucket="b", key=key, etag=etag, size=size, modified=modified)


def wanted(removes_rows: bool = False, adds_only: bool = True, **source: Any) -> Wanted:
    read = SourceFiles(workflow="w", job="j", pattern="*", contract=FileContract(format="csv"), **source)
    return Wanted(read, adds_only=adds_only, removes_rows=removes_rows)


def test_should_bound_a_batch_by_files_and_bytes_and_tell_what_is_left():
    many = [version(f"{number:04d}", etag=str(number)) for number in range(MOST_FILES + 7)]
    chosen = choose(wanted(), many, LastRead())
    assert chosen.files == many[:MOST_FILES]
    assert chosen.notes == ["7 files are left for the next load"]
    large = [version("a", MOST_BYTES + 1), version("b", 1, "f"), version("c", MOST_BYTES, "g")]
    assert [file.key for file in choose(wanted(), large, LastRead()).files] == ["a"]
    assert [file.key for file in choose(wanted(), large[1:], LastRead()).files] == ["b"]


def test_should_bound_a_batch_by_what_its_record_holds():
    keys = (
        "".join(hashlib.sha256(f"{n} {part}".encode()).hexdigest() for part in range(16)) for n in range(MOST_FILES)
    )
    chosen = choose(wanted(), [version(key[:1_000], etag=key[:32]) for key in keys], LastRead())
    assert 50 < len(chosen.files) < MOST_FILES
    assert len(pack([json.loads(file.model_dump_json()) for file in chosen.files])) < 200_000


@pytest.mark.parametrize(
    "alone", [wanted(adds_only=False), wanted(together=False), wanted(adds_only=False, together=True)], ids=str
)
def test_should_read_one_file_at_a_time_where_a_row_may_replace_another_or_the_job_says_so(alone):
    chosen = choose(alone, [version("b", etag="f"), version("a")], LastRead())
    assert ([file.key for file in chosen.files], chosen.notes) == (["a"], ["1 files are left for the next load"])


def test_should_take_the_newest_snapshot_by_the_order_of_the_job_alone():
    by_arrival = wanted(removes_rows=True, order="arrival")
    old, new = version("z", modified="2026-01-01T00:00:00+00:00"), version("a", etag="f")
    chosen = choose(by_arrival, [old, new], LastRead())
    assert (chosen.files, chosen.skipped) == ([new], [old])
    late = choose(by_arrival, [old], LastRead(files=lambda listed: {new.place: new}))
    assert (late.files, late.skipped) == ([], [old])
    again = version("a", etag="g", modified="2026-01-06T00:00:00+00:00")
    assert choose(by_arrival, [again], LastRead(files=lambda listed: {new.place: new})).files == [again]


def test_should_refuse_by_name_what_no_load_does():
    contract = FileContract(format="csv")
    files = SourceFiles(workflow="w", job="j", changed="replace", contract=contract)
    assert [name for name, _ in Files.mistakes(files, keeps=False)] == ["keys"]
    assert not Files.mistakes(files.model_copy(update={"keys": ["a"]}), keeps=True)


def test_should_put_a_late_file_below_the_batches_of_later_ones_and_refuse_it_for_a_history():
    taken = [version(f"{day:02d}.csv", etag=str(day)) for day in (1, 3, 4, 5, 7)]
    last = LastRead(
        files=lambda listed: {one.place: one for one in taken},
        applied=lambda: list(zip(taken, (1, 2, 5, 6, 3), strict=True)),
    )
    chosen = choose(wanted(adds_only=False), [version("02.csv")], last)
    assert chosen.below == [(2, 3), (5, 6)]
    assert "02.csv comes before files that are loaded" in chosen.notes[0]
    assert choose(wanted(adds_only=False), [version("08.csv")], last).below == []
    assert choose(wanted(), [version("02.csv")], last).below == []
    history = Wanted(wanted().read, keeps_history=True)
    with pytest.raises(FileRefused, match="takes no older state in late"):
        choose(history, [version("02.csv")], last)


@pytest.mark.parametrize("removes_rows", [False, True], ids=["rows by key", "snapshots"])
def test_should_take_what_is_found_later_in_the_same_second_for_later(removes_rows):
    """S3 tells seconds: by its key alone new content would lose against a file that was loaded before it was there."""
    by_arrival = wanted(removes_rows=removes_rows, adds_only=False, order="arrival")
    loaded = version("b", etag="f")
    last = LastRead(files=lambda listed: {loaded.place: loaded}, applied=lambda: [(loaded, 1)])
    chosen = choose(by_arrival, [version("a")], last)
    assert ([file.key for file in chosen.files], chosen.skipped, chosen.below) == (["a"], [], [])
    history = Wanted(by_arrival.read, keeps_history=True)
    assert choose(history, [version("a")], last).files == [version("a")]
    earlier = version("a", modified="2026-01-04T23:59:59+00:00")
    late = choose(by_arrival, [earlier], last)
    assert (late.skipped, late.below) == (([earlier], []) if removes_rows else ([], [(1, 1)]))
