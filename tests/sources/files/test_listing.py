"""Which files a job means, which are new, and in which order."""

import pytest

from flowforge.aws.clients import client
from flowforge.domain.errors import UnsupportedSource
from flowforge.domain.file_version import FileVersion
from flowforge.sources.files.listing import (
    NewFile,
    find_new,
    matching_files,
    named_files,
    next_part,
    sorted_by,
)


def version(key: str, etag: str = "e", size: int = 5, modified: str = "2026-01-05T00:00:00+00:00") -> FileVersion:
    return FileVersion(bucket="b", key=key, etag=etag, size=size, modified=modified)


def new(*keys: str) -> list[NewFile]:
    return [NewFile(version(key), None) for key in keys]


def test_should_find_the_files_that_a_pattern_means(bucket):
    for key in ("in/a.csv", "in/b.CSV", "in/2026/a.csv", "in/2026/05/c.csv", "in/[x].csv", "other/a.csv"):
        client("s3").put_object(Bucket=bucket, Key=key, Body=b"x")

    def found(pattern: str) -> list[str]:
        return [one.key for one in matching_files(bucket, pattern)]

    assert found("in/*.csv") == ["in/[x].csv", "in/a.csv"]
    assert found("in/**/*.csv") == ["in/2026/05/c.csv", "in/2026/a.csv", "in/[x].csv", "in/a.csv"]
    assert found("in/?.csv") == ["in/a.csv"]
    assert found("in/[x].csv") == ["in/[x].csv"]
    assert [one.key for one in named_files(bucket, ["in/b.CSV", "in/a.csv", "in/b.CSV"])] == ["in/b.CSV", "in/a.csv"]
    with pytest.raises(UnsupportedSource, match="there is no"):
        list(named_files(bucket, ["in/none.csv"]))


def test_should_take_what_was_not_taken_whatever_its_date():
    taken = {one.place: one for one in (version("a", "1"), version("b", "2"))}
    late = version("c", "3", modified="1999-01-01T00:00:00+00:00")
    again = version("a", "1", modified="2030-01-01T00:00:00+00:00")
    found = find_new([again, version("b", "20"), late], taken)
    assert [(one.file.key, one.before.etag if one.before else None) for one in found.files] == [("b", "2"), ("c", None)]


def test_should_tell_of_an_empty_file_and_take_its_content_later():
    found = find_new([version("a", "empty", 0)], {})
    assert (found.files, found.notes) == ([], ["s3://b/a is empty (0 bytes): it is loaded once it has content"])
    assert [one.file.size for one in find_new([version("a", "full", 5)], {}).files] == [5]


def test_should_take_the_same_content_under_another_name_and_say_so():
    found = find_new([version("copy"), version("copy 2")], {("b", "a"): version("a")})
    assert [one.file.key for one in found.files] == ["copy", "copy 2"]
    assert found.notes == [
        "s3://b/copy has the content of s3://b/a: both are loaded",
        "s3://b/copy 2 has the content of s3://b/a: both are loaded",
    ]


def test_should_order_files_as_the_job_says():
    files = [
        NewFile(version("x/sales_31012026.csv", modified="2026-02-03"), None),
        NewFile(version("x/sales_01022026.csv", modified="2026-02-02"), None),
    ]

    def days(order: list[NewFile]) -> list[str]:
        return [one.file.key[8:10] for one in order]

    assert days(sorted_by("name", files)) == ["01", "31"]
    assert days(sorted_by("arrival", files)) == ["01", "31"]
    assert days(sorted_by("date", files, "ddMMyyyy")) == ["31", "01"]


@pytest.mark.parametrize(("key", "problem"), [("a.csv", "no date"), ("20260101-20260201.csv", "two dates")])
def test_should_refuse_a_name_whose_date_is_not_clear(key, problem):
    with pytest.raises(UnsupportedSource, match=problem):
        sorted_by("date", new(key), "yyyyMMdd")
    with pytest.raises(UnsupportedSource, match="no date"):
        sorted_by("date", new("id-1202601015.csv"), "yyyyMMdd")  # part of a longer number


def test_should_bound_what_one_batch_takes():
    files = new("a", "b", "c")
    assert [one.file.key for one in next_part(files, 2, 1_000)] == ["a", "b"]
    assert [one.file.key for one in next_part(files, 10, 9)] == ["a"]
    assert [one.file.key for one in next_part(files, 10, 1)] == ["a"]  # larger than a batch, and yet its own
    assert next_part(files, 10, 1_000) == files
