"""What an engine has to give, whichever it is: a class of tests that `test_<engine>.py` runs over each.

Written against `engines.base` only; what is SQL here is what every dialect takes, but for the table expression of Parquet files,
which the subclass names.
"""

from collections.abc import Iterator
from contextlib import suppress

import pytest

from events.quality import Expression, NotNull, Range, Unique
from flowforge.domain.errors import TransformRejected
from flowforge.domain.source_columns import SourceColumn
from flowforge.engines.base import Engine, EngineError, ObjectUnreadable, Session, TimedOut, WrittenFile
from flowforge.engines.duckdb.folding import folds_of
from flowforge.quality.judge import Subject, judge
from flowforge.sql_policy.parsing import NotAllowed
from tests.helpers.lake import Lake

PEOPLE = "SELECT * FROM (VALUES (1, 'Ada', 10.5), (2, NULL, 20.25), (3, 'ada  ', NULL)) AS t(id, name, amount)"
TYPES = {"id": "INTEGER", "name": "VARCHAR", "amount": "DECIMAL(9,2)"}
SUBJECT = Subject(lambda rule: "silver.people", "correct the rule", "2024-01-01")


class EngineConformance:
    """The tests; `engine` is the one under test."""

    engine: Engine

    def files(self, uris: list[str]) -> str:
        """The table expression of exactly these Parquet files."""
        raise NotImplementedError

    @pytest.fixture
    def session(self, lake_environment: None) -> Iterator[Session]:
        with self.engine.session() as session:
            yield session

    @pytest.fixture
    def written(self, lake: Lake, session: Session) -> list[WrittenFile]:
        return session.write_files(PEOPLE, f"s3://{lake.bucket}/silver/people", TYPES)

    def test_should_tell_columns_and_rows_of_a_query(self, session: Session):
        rows = session.sql(PEOPLE)
        assert rows.columns == ["id", "name", "amount"]
        assert len(rows.types) == 3
        assert rows.filter("id > 1").project("id").order("id DESC").limit(1).fetchall() == [(3,)]
        assert session.execute("SELECT count(*) FROM (" + rows.sql_query() + ") AS t").fetchone() == (3,)

    def test_should_run_a_query_each_time_that_its_rows_are_asked_for(self, session: Session):
        session.execute("CREATE TABLE kept AS SELECT 1 AS id")
        rows = session.sql("SELECT id FROM kept")
        rows.create_view("seen")
        assert session.table("seen").fetchall() == [(1,)]
        session.execute("INSERT INTO kept VALUES (2)")
        assert sorted(session.sql("SELECT id FROM seen").fetchall()) == [(1,), (2,)]

    def test_should_hand_rows_over_as_an_arrow_stream_and_take_them(self, session: Session):
        with self.engine.session() as other:
            session.execute("CREATE TABLE came AS SELECT 1 AS id")
            session.register("offered", other.sql("SELECT 7 AS id"))
            session.register("offered", other.sql("SELECT 8 AS id"))
            session.execute("INSERT INTO came SELECT id FROM offered")
            assert sorted(session.table("came").fetchall()) == [(1,), (8,)]
            people = session.from_arrow(other.sql(PEOPLE))
            assert people.columns == ["id", "name", "amount"]
            assert people.order("id").fetchall() == other.sql(PEOPLE).order("id").fetchall()

    def test_should_forget_its_tables_with_the_session(self, lake_environment: None):
        with self.engine.session() as session:
            session.execute("CREATE TABLE gone AS SELECT 1 AS id")
        with self.engine.session() as session, pytest.raises(EngineError):
            session.table("gone")

    def test_should_stop_what_nobody_waits_for_and_go_on_with_the_next(self, session: Session):
        endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000000) SELECT count(*) FROM n"
        with pytest.raises(TimedOut), session.within(None, lambda: True):
            session.execute(endless).fetchall()
        with session.within(None):
            assert session.execute("SELECT 1").fetchone() == (1,)

    def test_should_refuse_a_query_before_a_row_is_read_and_point_at_the_line(self, session: Session):
        wrong = "SELECT id,\n  nme\nFROM (" + PEOPLE + ") AS t"
        with pytest.raises(EngineError, match="nme"):
            session.sql(wrong)
        with pytest.raises(EngineError, match="nme") as refused:
            session.execute(wrong)
        assert refused.value.line == 2
        assert "nme" in refused.value.reason

    def test_should_keep_values_of_rows_out_of_its_reasons(self, session: Session):
        session.execute("CREATE TABLE texts AS SELECT 'geheim-4711' AS t")
        with pytest.raises(EngineError) as refused:
            session.execute("SELECT CAST(t AS INTEGER) FROM texts").fetchall()
        assert "4711" not in refused.value.reason

    def test_should_find_rows_that_share_a_key(self, session: Session):
        session.execute("CREATE TABLE keyed AS SELECT * FROM (VALUES (1, 1), (1, 2), (1, 1)) AS t(a, b)")
        groups = session.table("keyed").aggregate("a, b, count(*) AS n", "a, b")
        assert groups.filter("n > 1").fetchall() == [(1, 1, 2)]

    @pytest.mark.parametrize(
        ("collation", "keys", "distinct"),
        [
            ("Latin1_General_100_CI_AS", ["abc", "ABC ", "Abc  "], 1),
            ("Latin1_General_100_CS_AS", ["abc", "ABC", "abc "], 2),
            ("Latin1_General_100_BIN2", ["abc", "ABC", "abc "], 2),
            ("Latin1_General_CI_AI", ["élan", "ELAN", "Elan"], 1),
        ],
    )
    def test_should_compare_keys_as_the_source_does(self, session: Session, collation, keys, distinct):
        fold = folds_of([SourceColumn(name="k", sql_type="nvarchar(20)", collation=collation)])["k"]
        session.execute("CREATE TABLE spelt (k VARCHAR)")
        for key in keys:
            session.execute("INSERT INTO spelt VALUES (?)", [key])
        assert session.sql(f"SELECT count(DISTINCT {fold.sql('k')}) FROM spelt").fetchone() == (distinct,)

    def test_should_judge_rows_by_rules(self, session: Session):
        session.sql(PEOPLE).create_view("batch")
        rules = [
            NotNull.model_validate({"rule": "not_null", "column": "name"}),
            Range.model_validate({"rule": "range", "column": "amount", "max": 15}),
            Expression.model_validate({"rule": "expression", "name": "positive", "sql": "id > 0"}),
        ]
        figures = judge(session, SUBJECT, rules).figures
        assert [(figure.checked, figure.failed) for figure in figures] == [(3, 1), (3, 1), (3, 0)]

    def test_should_find_values_that_are_not_unique_as_the_source_compares_them(self, session: Session):
        session.sql(PEOPLE).create_view("batch")
        folds = folds_of([SourceColumn(name="name", sql_type="nvarchar(20)", collation="Latin1_General_100_CI_AS")])
        subject = Subject(lambda rule: "silver.people", "", "2024-01-01", ["id"], folds=folds)
        (figure,) = judge(session, subject, [Unique.model_validate({"rule": "unique", "columns": ["name"]})]).figures
        assert figure.failed == 2

    def test_should_name_the_rule_that_cannot_be_evaluated_and_no_value(self, session: Session):
        session.sql(PEOPLE).create_view("batch")
        wrong = Expression.model_validate({"rule": "expression", "name": "number", "sql": "CAST(name AS INTEGER) > 0"})
        with pytest.raises(TransformRejected, match="rule number cannot be evaluated") as refused:
            judge(session, SUBJECT, [wrong])
        assert "Ada" not in str(refused.value)

    def test_should_take_one_query_over_the_tables_that_were_found(self, session: Session):
        session.check_query("WITH w AS (SELECT id FROM silver.people) SELECT count(*) FROM w", [("silver", "people")])
        for sql in (
            "SELECT * FROM silver.other",
            "SELECT 1; SELECT 2",
            "DELETE FROM silver.people",
            "SELECT FROM WHERE",
        ):
            with pytest.raises(NotAllowed):
                session.check_query(sql, [("silver", "people")])

    def test_should_take_one_condition_over_one_row(self, session: Session):
        session.check_condition("id > 0 AND name IS NOT NULL")
        for sql in ("count(*) > 0", "id > (SELECT 1)", "id > 0, true"):
            with pytest.raises(NotAllowed):
                session.check_condition(sql)

    def test_should_write_files_with_rows_sizes_and_bounds(self, lake: Lake, session: Session, written):
        (file,) = written
        key = file.uri.removeprefix(f"s3://{lake.bucket}/")
        assert (file.rows, file.size) == (3, lake.s3.head_object(Bucket=lake.bucket, Key=key)["ContentLength"])
        assert (file.statistics["id"]["min"], file.statistics["id"]["max"]) == ("1", "3")
        assert file.statistics["name"]["null_count"] == "1"
        rows = session.sql("SELECT * FROM " + self.files([file.uri]))
        assert [str(kind) for kind in rows.types] == list(TYPES.values())
        assert rows.order("id").fetchall() == session.sql(PEOPLE).order("id").fetchall()

    def test_should_write_no_file_without_a_row_and_none_over_another(self, lake: Lake, session: Session, written):
        folder = f"s3://{lake.bucket}/silver/people"
        assert session.write_files(PEOPLE + " WHERE id > 9", folder, TYPES) == []
        (again,) = session.write_files(PEOPLE, folder, TYPES)
        assert again.uri != written[0].uri
        both = session.sql("SELECT * FROM " + self.files([again.uri, written[0].uri]))
        assert both.aggregate("count(*)").fetchone() == (6,)

    def test_should_tell_an_object_that_is_gone_from_one_that_is_none_of_ours(
        self, lake: Lake, session: Session, written
    ):
        with pytest.raises(ObjectUnreadable) as failed:
            session.sql("SELECT * FROM " + self.files([written[0].uri + ".gone"])).fetchall()
        assert failed.value.is_gone
        lake.s3.put_object(Bucket=lake.bucket, Key="silver/people/broken.parquet", Body=b"no Parquet")
        with pytest.raises(EngineError) as failed:
            session.sql("SELECT * FROM " + self.files([f"s3://{lake.bucket}/silver/people/broken.parquet"])).fetchall()
        assert not getattr(failed.value, "is_gone", False)

    def test_should_read_what_it_is_confined_to_and_nothing_else(self, lake: Lake, session: Session, written):
        (other,) = session.write_files(PEOPLE, f"s3://{lake.bucket}/silver/other", TYPES)
        session.confine([written[0].uri])
        readable = session.sql("SELECT * FROM " + self.files([written[0].uri]))
        assert readable.aggregate("count(*)").fetchone() == (3,)
        with pytest.raises(EngineError):
            session.sql("SELECT * FROM " + self.files([other.uri])).fetchall()
        with pytest.raises(EngineError):
            session.write_files(PEOPLE, f"s3://{lake.bucket}/silver/people", TYPES)

    def test_should_read_small_objects_from_copies_of_its_own(self, lake: Lake, written):
        (file,) = written
        with self.engine.session() as session:
            (place,) = session.near([(file.uri, file.size)])
            lake.s3.delete_object(Bucket=lake.bucket, Key=file.uri.removeprefix(f"s3://{lake.bucket}/"))
            assert session.near([(file.uri, file.size)]) == [place]
            session.confine([file.uri])
            assert session.near([(file.uri, file.size)]) == [place]
            assert session.near([(file.uri + ".other", 1)]) == [file.uri + ".other"]
            assert session.sql("SELECT * FROM " + self.files([place])).aggregate("count(*)").fetchone() == (3,)
            with pytest.raises(EngineError):
                session.sql("SELECT * FROM " + self.files([file.uri])).fetchall()
            with pytest.raises(EngineError):
                session.sql("SELECT * FROM " + self.files(["/etc/hostname"])).fetchall()
        with self.engine.session() as session:
            with pytest.raises(ObjectUnreadable) as failed:
                session.near([(file.uri, file.size)])
            assert failed.value.is_gone

    def test_should_read_large_objects_where_they_are(self, written):
        (file,) = written
        with self.engine.session() as session:
            assert session.near([(file.uri, 10 * 2**30)]) == [file.uri]
            assert session.sql("SELECT * FROM " + self.files([file.uri])).aggregate("count(*)").fetchone() == (3,)
            assert session.near([(file.uri, file.size)]) == [file.uri]
        with self.engine.session() as session:
            (place,) = session.near([(file.uri, file.size)])
            session.sql("SELECT * FROM " + self.files([file.uri]))
            session.confine([file.uri])
            for one in (place, file.uri):
                assert session.sql("SELECT * FROM " + self.files([one])).aggregate("count(*)").fetchone() == (3,)

    def test_should_write_few_rows_where_everybody_finds_them(self, lake: Lake, lake_environment: None):
        with self.engine.session() as session:
            folder = f"s3://{lake.bucket}/silver/few"
            (file,) = session.write_files(PEOPLE, folder, TYPES, few=True)
            assert session.write_files(PEOPLE + " WHERE id > 9", folder, TYPES, few=True) == []
        key = file.uri.removeprefix(f"s3://{lake.bucket}/")
        assert (file.rows, file.size) == (3, lake.s3.head_object(Bucket=lake.bucket, Key=key)["ContentLength"])
        assert file.statistics["id"]["max"] == "3"
        with self.engine.session() as session:
            rows = session.sql("SELECT * FROM " + self.files([file.uri]))
            assert rows.order("id").fetchall() == session.sql(PEOPLE).order("id").fetchall()

    def test_should_begin_with_nothing_of_the_sessions_before(self, lake: Lake, written):
        for end in (lambda session: None, lambda session: session.confine([]), lambda session: 1 / 0):
            with suppress(ZeroDivisionError), self.engine.session() as session:
                session.execute("CREATE SCHEMA silver")
                session.execute("CREATE VIEW silver.people AS SELECT 1 AS id")
                session.execute("CREATE TEMP TABLE arriving AS SELECT 1 AS id")
                session.sql("SELECT 1 AS id").create_view("offered")
                end(session)
            with self.engine.session() as session:
                for name in ("silver.people", "arriving", "offered"):
                    with pytest.raises(EngineError):
                        session.sql(f"SELECT * FROM {name}")
                rows = session.sql("SELECT * FROM " + self.files([written[0].uri]))
                assert rows.aggregate("count(*)").fetchone() == (3,)

    @pytest.mark.parametrize(
        "make",
        [
            lambda session: session.execute("CREATE TABLE made AS SELECT 1 AS id"),
            lambda session: session.execute("\n CREATE OR REPLACE VIEW made AS SELECT 1 AS id"),
            lambda session: session.execute("CREATE TEMP TABLE made AS SELECT 1 AS id"),
            lambda session: session.execute("CREATE OR REPLACE TEMP TABLE made AS SELECT 1 AS id"),
            lambda session: session.sql("SELECT 1 AS id").project("id").create_view("made"),
        ],
        ids=["table", "view", "temporary table", "temporary table in place of another", "view of rows"],
    )
    def test_should_leave_nothing_of_what_a_session_has_made_alone(self, lake_environment: None, make):
        with self.engine.session() as session:
            make(session)
            assert session.sql("SELECT * FROM made").fetchall() == [(1,)]
        with self.engine.session() as session, pytest.raises(EngineError):
            session.sql("SELECT * FROM made")
