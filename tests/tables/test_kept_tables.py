"""What a warm worker keeps of a table's log is never taken for the table as it is, whatever others have done meanwhile.

The other worker is one of its own deployment: it shares nothing with this one but the lake.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from uuid import uuid4

import pyarrow as pa
import pytest

from flowforge.domain.given import given
from flowforge.engines.registry import ENGINE
from flowforge.silver.refine import refine
from flowforge.tables.base import Moved, once
from flowforge.tables.delta.tables import Delta, Handle
from flowforge.tables.lake import table_uri
from flowforge.tables.rows import relation, write_files
from infra.local.aws_calls import ask_for_calls
from tests.helpers.lake import Lake
from tests.helpers.outside import S3
from tests.helpers.servers import AWS_KEYS


@pytest.fixture
def uri(lake: Lake) -> str:
    return table_uri(lake.bucket, "silver", "people")


@contextmanager
def other_worker() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("FLOWFORGE_TEST_WORKER", uuid4().hex)
        yield


def make(uri: str, versions: int, first: int) -> None:
    """A table whose every version adds a row, numbered from `first` on."""
    with ENGINE.session() as session:
        Delta().create(uri, session.sql("SELECT 1 AS id LIMIT 0"), {})
    for number in range(first, first + versions):
        add(uri, number)


def add(uri: str, number: int) -> None:
    with ENGINE.session() as session:
        table = given(Delta().open(uri))
        commit = once({"newest": number, f"batch/{number}": 1})
        table.swap([], write_files(session, table, f"SELECT {number} AS id"), commit)


def found(uri: str) -> tuple[int, list[int], int | None, str]:
    """The table as a handle tells it that is opened now: version, rows, newest mark, id."""
    table = given(Delta().open(uri))
    with ENGINE.session() as session:
        rows = [row[0] for row in relation(session, table).order("id").fetchall()]
    return table.version(), rows, table.transaction_version("newest"), table.table_id


def seen_by_another(uri: str) -> tuple[int, list[int], int | None, str]:
    with other_worker():
        return found(uri)


def remove(lake: Lake, uri: str, beginning: str = "") -> None:
    prefix = f"{uri.removeprefix(f's3://{lake.bucket}/')}/{beginning}"
    for item in lake.s3.list_objects_v2(Bucket=lake.bucket, Prefix=prefix)["Contents"]:
        lake.s3.delete_object(Bucket=lake.bucket, Key=item["Key"])


def commit_more(lake: Lake, uri: str) -> None:
    for number in (11, 12, 13):
        add(uri, number)


def make_anew(versions: int) -> Callable[..., None]:
    def change(lake: Lake, uri: str) -> None:
        remove(lake, uri)
        make(uri, versions, 50)

    return change


def take_back(versions: int) -> Callable[..., None]:
    """To version 2, from where it goes another way."""

    def change(lake: Lake, uri: str) -> None:
        for version in (3, 4):
            remove(lake, uri, f"_delta_log/{version:020}.json")
        for number in range(70, 70 + versions):
            add(uri, number)

    return change


CHANGES: dict[str, Callable[..., None]] = {
    "commits": commit_more,
    "made anew, shorter": make_anew(2),
    "made anew, as long": make_anew(4),
    "made anew, longer": make_anew(6),
    "taken back": take_back(0),
    "taken back, as long": take_back(2),
    "taken back, longer": take_back(4),
}


@pytest.mark.parametrize(
    ("change", "opened_before"),
    [*((name, 3) for name in CHANGES), ("commits", 1), ("made anew, as long", 1), ("taken back, as long", 1)],
)
def test_should_see_the_table_as_another_worker_has_left_it(lake: Lake, uri: str, change: str, opened_before: int):
    make(uri, 4, 1)
    for _ in range(opened_before):
        assert found(uri)[:3] == (4, [1, 2, 3, 4], 4)
    with other_worker():
        CHANGES[change](lake, uri)
    assert found(uri) == seen_by_another(uri)
    add(uri, 99)
    assert found(uri) == seen_by_another(uri)
    assert found(uri)[2] == 99


def test_should_see_that_a_table_is_gone(lake: Lake, uri: str):
    make(uri, 2, 1)
    found(uri)
    remove(lake, uri)
    assert Delta().open(uri) is None


def test_should_see_its_own_commits_and_those_of_others_after_commits_that_move_the_handle(uri: str):
    make(uri, 2, 1)
    for number in (3, 4):
        with ENGINE.session() as session:
            table = given(Delta().open(uri))
            table.append(session.sql(f"SELECT {number} AS id"), once({"newest": number}))
            del table
        assert found(uri) == seen_by_another(uri)
        given(Delta().open(uri)).set_properties({"flowforge.note": str(number)}, once())
        assert found(uri) == seen_by_another(uri)
        assert found(uri)[1] == list(range(1, number + 1))


def test_should_meet_a_commit_that_came_after_it_was_opened(uri: str):
    make(uri, 2, 1)
    late = given(Delta().open(uri))
    with other_worker():
        add(uri, 3)
    with pytest.raises(Moved):
        late.swap([], [], once({"newest": 4}))
    del late
    assert found(uri)[:3] == (3, [1, 2, 3], 3)


def test_should_lend_to_one_handle_at_a_time(uri: str):
    make(uri, 2, 1)
    first, second = Delta().open(uri), Delta().open(uri)
    assert isinstance(first, Handle)
    assert isinstance(second, Handle)
    second.set_properties({"flowforge.note": "x"}, once())
    assert (first.version(), second.version()) == (2, 3)


def test_should_apply_each_batch_once_though_workers_take_turns(lake: Lake):
    source = lake.source(key=["id"])
    batches = [source.batch(seq, pa.table({"id": [seq, 100], "seq": [seq, seq]})) for seq in range(1, 7)]
    for batch in batches:
        with other_worker():
            assert not refine(batch, lake.bucket).already_applied
        assert refine(batch, lake.bucket).already_applied
    assert all(refine(batch, lake.bucket).already_applied for batch in batches)
    rows = {row["id"]: row["seq"] for row in lake.read("silver", "customers").to_pylist()}
    assert rows == {1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 6, 100: 6}


@pytest.mark.skipif(bool(os.environ.get(S3)), reason="only the embedded S3 counts what it is asked")
def test_should_ask_little_of_a_table_that_is_kept(uri: str):
    make(uri, 7, 1)
    given(Delta().open(uri)).transaction_version("newest")
    given(Delta().open(uri)).transaction_version("newest")
    before = calls()
    given(Delta().open(uri)).transaction_version("newest")
    same = calls()
    add(uri, 8)
    committed = calls()
    given(Delta().open(uri)).transaction_version("newest")
    own = calls()
    with other_worker():
        add(uri, 9)
    others = calls()
    given(Delta().open(uri)).transaction_version("newest")
    assert same - before == 1, "a look at the log"
    assert committed - same == 3, "a look, a file of rows, the commit"
    assert own - committed == 1, "a look"
    assert calls() - others == 2, "a look, the entry"


def test_should_know_transactions_that_others_have_changed_since_it_was_asked(uri: str):
    make(uri, 2, 1)
    of_old = once({"another": 5})
    given(Delta().open(uri)).swap([], [], of_old)
    add(uri, 3)

    def told() -> tuple[int | None, int | None]:
        table = given(Delta().open(uri))
        return table.transaction_version("another"), table.transaction_version("never")

    assert [told(), told()] == [(5, None), (5, None)]
    with other_worker():
        given(Delta().open(uri)).swap([], [], once({"another": 6, "never": 1}))
        add(uri, 5)
    assert [told(), told()] == [(6, 1), (6, 1)]
    add(uri, 6)
    assert told() == (6, 1)
    early = given(given(Delta().open(uri)).at(2))
    assert (early.transaction_version("another"), early.transaction_version("never")) == (None, None)


@pytest.mark.parametrize("versions", [1, 4, 14])
@pytest.mark.parametrize("off", [-60, -9, -1, 0, 1, 9, 60])
def test_should_open_the_newest_version_wherever_it_was_thought_to_be(uri: str, versions: int, off: int):
    make(uri, versions, 1)
    with other_worker():
        table = given(Delta().open(uri, near=max(0, versions + off)))
        assert (table.version(), table.count(), table.transaction_version("batch/1")) == (versions, versions, 1)


@pytest.mark.parametrize("near", [0, 5, 50])
def test_should_find_no_table_where_there_is_none_wherever_it_was_thought_to_be(
    lake_environment: None, uri: str, near: int
):
    assert Delta().open(uri, near=near) is None


@pytest.mark.skipif(bool(os.environ.get(S3)), reason="only the embedded S3 counts what it is asked")
def test_should_ask_for_less_where_it_is_known_about_which_version_is_there(uri: str):
    def asked(near: int | None) -> int:
        before = calls()
        with other_worker():
            assert given(Delta().open(uri, near=near)).version() == 14
        return calls() - before

    make(uri, 14, 1)
    assert asked(14) == asked(11) == asked(0) == asked(None) - 1
    assert asked(80) == asked(None) + 1


def calls() -> int:
    found = ask_for_calls(os.environ["AWS_ENDPOINT_URL"], *AWS_KEYS.values())
    return sum(count for name, count in found.items() if name.startswith("S3 "))
