"""What a table format has to give, whichever it is: a class of tests that `test_<format>.py` runs over each.

Written against `tables.base` and `engines.base` only. Files are written by the engine of this deployment, as everywhere.
"""

import threading
from collections.abc import Callable, Iterator

import pytest

from flowforge.domain.errors import FlowForgeError
from flowforge.domain.given import given
from flowforge.engines.base import Session
from flowforge.engines.registry import ENGINE
from flowforge.tables.base import UPKEEP, LakeTable, Moved, NewFile, TableFormat, VersionGone, once
from flowforge.tables.rows import column_types, relation, rows_query, write_files
from tests.helpers.lake import Lake

COLUMNS = "SELECT 1 AS id, 'a' AS name"
TYPES = {"id": "INTEGER", "name": "VARCHAR"}
COMMITS: dict[str, Callable[[Session, LakeTable], object]] = {
    "append": lambda session, table: table.append(session.sql(COLUMNS), once()),
    "overwrite": lambda session, table: table.overwrite(session.sql(COLUMNS), once()),
    "swap": lambda session, table: table.swap([], [], once({"mark": 1})),
    "replace_files": lambda session, table: table.replace_files([], table.empty(), once()),
    "add_columns": lambda session, table: table.add_columns(session.sql("SELECT 1 AS more LIMIT 0"), once()),
    "set_properties": lambda session, table: table.set_properties({"flowforge.note": "x"}, once()),
    "apply_rows": lambda session, table: table.apply_rows(session.sql("SELECT 1 AS id"), "t.id = s.id", "true", once()),
}


class TableConformance:
    """The tests; `tables` is the format under test."""

    tables: TableFormat

    @pytest.fixture
    def session(self, lake_environment: None) -> Iterator[Session]:
        with ENGINE.session() as session:
            yield session

    @pytest.fixture
    def uri(self, lake: Lake) -> str:
        return f"s3://{lake.bucket}/silver/people"

    @pytest.fixture
    def table(self, session: Session, uri: str) -> LakeTable:
        """An empty table."""
        return self.tables.create(uri, session.sql(COLUMNS + " LIMIT 0"), {"flowforge.note": "kept"})

    def opened(self, uri: str) -> LakeTable:
        table = self.tables.open(uri)
        assert table is not None
        return table

    def test_should_know_a_table_that_has_been_created_and_no_more(self, session: Session, table: LakeTable, uri: str):
        assert table.awaits_rows()
        assert self.opened(uri).awaits_rows()
        table.overwrite(table.empty(), once())
        assert not self.opened(uri).awaits_rows()

    def add(self, session: Session, table: LakeTable, ids: range, **transactions: int) -> list[NewFile]:
        """Commits rows as silver does: files that the engine has written, and transactions."""
        files = write_files(
            session, table, f"SELECT id::INTEGER AS id, 'n' AS name FROM range({ids.start}, {ids.stop}) AS r(id)"
        )
        table.swap([], files, once(transactions))
        return files

    def ids(self, session: Session, table: LakeTable) -> list[int]:
        return [row[0] for row in relation(session, table).project("id").order("id").fetchall()]

    def test_should_make_a_table_once(self, session: Session, uri: str):
        assert self.tables.open(uri) is None
        made = self.tables.create(uri, session.sql(COLUMNS + " LIMIT 0"), {"flowforge.note": "kept"})
        assert (made.uri, made.version(), made.count(), made.file_uris()) == (uri, 0, 0, [])
        assert column_types(session, made) == TYPES
        assert list(made.column_words()) == list(TYPES)
        assert made.properties()["flowforge.note"] == "kept"
        with pytest.raises(Moved):
            self.tables.create(uri, session.sql("SELECT 1 AS other"), {})
        assert self.opened(uri).table_id == made.table_id

    def test_should_open_each_version_as_it_was(self, session: Session, table: LakeTable, uri: str):
        self.add(session, table, range(3))
        self.add(session, self.opened(uri), range(3, 5))
        newest = self.opened(uri)
        assert (newest.version(), newest.count()) == (2, 5)
        assert [self.ids(session, newest.at(version)) for version in range(3)] == [[], [0, 1, 2], [0, 1, 2, 3, 4]]
        assert table.version() == 0, "a commit of files leaves the handle as it is"
        with pytest.raises(VersionGone):
            newest.at(7)

    def test_should_tell_files_with_the_ranges_of_their_values(self, session: Session, table: LakeTable, uri: str):
        (low,) = self.add(session, table, range(10))
        (high,) = self.add(session, self.opened(uri), range(10, 20))
        files = {file.path: file for file in self.opened(uri).data_files(["id", "absent"])}
        assert files.keys() == {low.path, high.path}
        assert [files[high.path].may_hold("id", *ends) for ends in ((0, 9), (5, 10), (None, None))] == [
            False,
            True,
            False,
        ]
        assert files[high.path].may_hold("absent", 1, 1), "what is not known may be there"
        assert (files[low.path].rows, files[low.path].size) == (10, low.size)
        assert sorted(self.opened(uri).file_uris()) == sorted(f"{uri}/{path}" for path in files)

    def test_should_remember_the_transactions_of_every_commit(self, session: Session, table: LakeTable, uri: str):
        assert table.transaction_version("batch/1") is None
        self.add(session, table, range(1), **{"batch/1": 7, "newest": 1})
        self.add(session, self.opened(uri), range(1, 2), **{"newest": 2})
        found = self.opened(uri)
        assert [found.transaction_version(name) for name in ("batch/1", "newest", "batch/2")] == [7, 2, None]
        assert found.at(1).transaction_version("newest") == 1
        assert found.in_newest_commit("newest") == 2
        assert found.in_newest_commit("batch/1") is None

    def test_should_apply_a_batch_once_however_often_it_comes(self, session: Session, table: LakeTable, uri: str):
        for _ in range(3):
            found = self.opened(uri)
            if found.transaction_version("batch/1") is None:
                self.add(session, found, range(4), **{"batch/1": 1})
        assert (self.opened(uri).version(), self.opened(uri).count()) == (1, 4)

    @pytest.mark.parametrize("kind", sorted(COMMITS))
    def test_should_refuse_a_commit_on_a_version_that_is_not_the_newest(
        self, session: Session, table: LakeTable, uri: str, kind: str
    ):
        self.add(session, table, range(2))
        late, faster = self.opened(uri), self.opened(uri)
        COMMITS["set_properties"](session, faster)
        with pytest.raises(Moved):
            COMMITS[kind](session, late)
        assert (self.opened(uri).version(), self.ids(session, self.opened(uri))) == (2, [0, 1])

    def test_should_lose_nothing_of_writers_that_commit_at_once(self, table: LakeTable, uri: str):
        begin, moved = threading.Barrier(4), []

        def write(number: int) -> None:
            with ENGINE.session() as session:
                begin.wait()
                while True:
                    found = self.opened(uri)
                    try:
                        self.add(session, found, range(number, number + 1), **{f"batch/{number}": 1})
                        return
                    except Moved:
                        moved.append(number)

        writers = [threading.Thread(target=write, args=[number]) for number in range(4)]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        with ENGINE.session() as session:
            found = self.opened(uri)
            assert (found.version(), self.ids(session, found)) == (4, [0, 1, 2, 3])
            assert all(found.transaction_version(f"batch/{number}") for number in range(4))

    def test_should_tell_what_changed_since_a_version_by_its_files(self, session: Session, table: LakeTable, uri: str):
        (first,) = self.add(session, table, range(3))
        found = self.opened(uri)
        new = write_files(session, found, f"SELECT * FROM ({rows_query(session, found)}) WHERE id <> 1")
        found.swap([first.path], new, once())
        now, before = self.opened(uri), self.opened(uri).at(1)
        gone, come = ({*one.file_uris()} - {*other.file_uris()} for one, other in ((before, now), (now, before)))
        assert gone == {f"{uri}/{first.path}"}
        assert [row[0] for row in session.sql(rows_query(session, now, sorted(come))).project("id").fetchall()] == [
            0,
            2,
        ]

    def test_should_tell_what_commits_said_of_themselves(self, session: Session, table: LakeTable, uri: str):
        table.swap([], [], once({"batch/1": 1}, {"flowforge.batch": "one"}))
        found = self.opened(uri)
        newest, made = found.history()
        assert (newest["version"], newest["flowforge.batch"], made["version"]) == (1, "one", 0)
        assert newest["timestamp"] >= made["timestamp"] > 0
        assert [entry["version"] for entry in found.history(1)] == [1]
        commit = found.commit_of(1)
        assert commit is not None
        assert (commit.info["flowforge.batch"], commit.transactions) == ("one", {"batch/1": 1})
        assert found.commit_of(5) is None

    def test_should_know_by_its_seal_whether_a_table_is_as_it_was(self, session: Session, table: LakeTable, uri: str):
        fresh = given(table.seal())
        assert self.tables.is_still(uri, fresh)
        self.add(session, table, range(3))
        newer = given(self.opened(uri).seal())
        assert [self.tables.is_still(uri, seal) for seal in (fresh, newer)] == [False, True]
        assert not self.tables.is_still(f"{uri}_that_is_none", newer)

    def test_should_apply_rows_to_those_that_they_meet(self, session: Session, table: LakeTable, uri: str):
        self.add(session, table, range(3))
        rows = session.sql(
            "SELECT * FROM (VALUES (0, 'x', true), (1, 'y', false), (9, 'z', false)) AS v(id, name, gone)"
        )
        values = {"id": "s.id", "name": "s.name"}
        assert self.opened(uri).apply_rows(rows, "t.id = s.id", "s.gone", once({"b": 1}), values) == 1
        found = self.opened(uri)
        assert sorted(relation(session, found).fetchall()) == [(1, "y"), (2, "n"), (9, "z")]
        assert found.transaction_version("b") == 1

    def test_should_follow_columns_and_types(self, session: Session, table: LakeTable, uri: str):
        self.add(session, table, range(2))
        found = self.opened(uri)
        found.allow_naive_timestamps()
        found.add_columns(session.sql("SELECT CAST(NULL AS TIMESTAMP) AS moment LIMIT 0"), once())
        self.opened(uri).append(session.sql("SELECT 5 AS id, 'f' AS name, 1.5 AS extra"), once(), new_columns=True)
        rows = relation(session, self.opened(uri))
        assert rows.columns == ["id", "name", "moment", "extra"]
        assert rows.filter("moment IS NULL AND extra IS NULL").aggregate("count(*)").fetchone() == (2,)
        self.opened(uri).overwrite(session.sql("SELECT 'text' AS id"), once())
        assert column_types(session, self.opened(uri)) == {"id": "VARCHAR"}
        assert self.opened(uri).properties()["flowforge.note"] == "kept"

    def test_should_take_other_files_and_columns_in_place_of_all(self, session: Session, table: LakeTable, uri: str):
        self.add(session, table, range(2), **{"batch/1": 1})
        found = self.opened(uri)
        other = self.tables.create(f"{uri}-other", session.sql("SELECT 1::BIGINT AS number LIMIT 0"), {})
        files = write_files(session, found, "SELECT 8 AS number", {"number": "BIGINT"})
        found.replace_files(files, other.empty(), once({"batch/2": 1}))
        found = self.opened(uri)
        assert column_types(session, found) == {"number": "BIGINT"}
        assert relation(session, found).fetchall() == [(8,)]
        assert [found.transaction_version(name) for name in ("batch/1", "batch/2")] == [1, 1]

    def test_should_not_take_upkeep_for_a_change(self, session: Session, table: LakeTable, uri: str):
        (file,) = self.add(session, table, range(2))
        found = self.opened(uri)
        new = write_files(session, found, rows_query(session, found))
        found.swap([file.path], new, once(metadata={UPKEEP: "compaction"}), changes_rows=False)
        found = self.opened(uri)
        assert (found.version(), found.data_version(), self.ids(session, found)) == (2, 1, [0, 1])

    def test_should_keep_rows_and_transactions_through_upkeep(self, session: Session, table: LakeTable, uri: str):
        (file,) = self.add(session, table, range(2), **{"batch/1": 1})
        found = self.opened(uri)
        found.swap([file.path], write_files(session, found, rows_query(session, found)), once())
        assert self.opened(uri).vacuum_files(0, {UPKEEP: "vacuum"}) >= 1
        found = self.opened(uri)
        assert not found.checkpoint(100, {UPKEEP: "log"})
        assert found.checkpoint(1, {UPKEEP: "log"})
        found = self.opened(uri)
        assert (self.ids(session, found), found.transaction_version("batch/1")) == ([0, 1], 1)
        assert f"{uri}/{file.path}" not in found.file_uris()

    def test_should_leave_files_that_nobody_has_committed_yet(self, session: Session, table: LakeTable, uri: str):
        (file,) = self.add(session, table, range(2))
        found = self.opened(uri)
        rows = rows_query(session, found)
        found.swap([file.path], write_files(session, found, rows), once())
        (own,) = write_files(session, self.opened(uri), rows)
        assert self.opened(uri).vacuum_files(0, {UPKEEP: "vacuum"}, replaced_only=True) == 1
        self.opened(uri).swap([], [own], once())
        assert self.ids(session, self.opened(uri)) == [0, 0, 1, 1]

    def test_should_name_the_table_in_what_goes_wrong(self, lake: Lake, table: LakeTable, uri: str):
        with pytest.raises(Moved), self.tables.errors("silver.people"):
            raise Moved
        for found in lake.s3.list_objects_v2(Bucket=lake.bucket)["Contents"]:
            lake.s3.put_object(Bucket=lake.bucket, Key=found["Key"], Body=b"broken")
        with pytest.raises(FlowForgeError, match=r"^silver\.people: "), self.tables.errors("silver.people"):
            self.tables.open(uri)
