"""Tables that are loaded as of one moment: money that moves between them is never seen twice, nor missing."""

import pytest

from events.facts import BronzeLanded, IntervalEmpty
from events.request import InvalidRequest, parse_job_request
from flowforge.bronze.cut import ingest_cut
from flowforge.bronze.ingest import ingest
from flowforge.bronze.outcome import Outcome
from flowforge.domain.errors import Retriable, UnsupportedSource, Wait
from flowforge.domain.given import given
from flowforge.gold.graph import model_states
from flowforge.gold.step import publish_refined
from flowforge.operations.watermarks import commit_landed
from flowforge.runtime.settings import settings
from flowforge.silver.step import refine_landed
from flowforge.state import batch_records, batches
from flowforge.tables.lake import open_table, table_uri
from tests.helpers.cuts import MONEY


def test_should_show_what_two_tables_hold_together_while_money_moves(ledger):
    first, _ = ledger.tables
    for amount in (7, 11, 13):
        first.meanwhile = [lambda amount=amount: ledger.transfer(amount)]  # the first is read, the second not yet
        ledger.load()
        assert ledger.cuts() == [ledger.version() - 1] * 3
    ledger.load()
    assert set(ledger.held()) == {MONEY}
    assert ledger.silver() == ledger.source()


def test_should_be_seen_to_be_off_where_each_table_has_its_own_moment(ledger):
    first, _ = ledger.tables
    ledger.load_apart()
    ledger.transfer(5)
    first.meanwhile = [lambda: ledger.transfer(7)]
    ledger.load_apart()
    assert set(ledger.held()) != {MONEY}


def test_should_tell_in_each_layer_which_moment_it_is_of(ledger):
    landed = ledger.load()
    version = ledger.version()
    assert [(fact.cut, fact.consistency) for fact in landed] == [(version, "snapshot")] * 2
    assert "one moment of 2 tables: the database at version" in landed[0].promise
    assert [fact.cut for fact in ledger.refined] == [version] * 2
    assert {model.table: model.cut for model in ledger.published[-1].models}[ledger.total] == version
    silver = given(open_table(table_uri(settings().bucket, "silver", ledger.names[0])))
    told = given(silver.commit_of(silver.version())).info["flowforge.cut"]
    assert f'"version": {version}' in told and f"/{ledger.tables[0].connection.database}" in told


def test_should_give_a_table_without_changes_its_place_in_the_cut_and_leave_its_gold_alone(ledger):
    ledger.load()
    ledger.execute("UPDATE {0} SET at = at + 1 WHERE id = 1", "UPDATE {0} SET at = at - 1 WHERE id = 2")
    _, idle = ledger.load()
    assert (idle.records, idle.cut) == (0, ledger.version())
    assert ledger.cuts() == [ledger.version()] * 3
    assert {model.table: model.how for model in ledger.published[-1].models}[ledger.names[1]] == "unchanged"
    assert ledger.silver() == ledger.source()


def test_should_land_nothing_where_nothing_has_changed(ledger):
    ledger.load()
    before = ledger.cuts()
    assert [type(fact) for fact in ledger.load()] == [IntervalEmpty] * 2
    assert (ledger.cuts(), [table.states() for table in ledger.tables]) == (before, [["committed"]] * 2)


def test_should_bring_deletions_and_keys_that_move_from_one_table_to_the_other(ledger):
    first, _ = ledger.tables
    ledger.load()
    first.meanwhile = [lambda: ledger.execute("DELETE FROM {1} WHERE id = 2", "INSERT INTO {0} VALUES (4, 50)")]
    ledger.transfer(5)
    ledger.load()
    ledger.load()
    assert set(ledger.held()) == {MONEY}
    assert ledger.silver() == ledger.source()


def test_should_land_none_of_the_tables_where_one_of_them_fails_and_all_with_the_next_attempt(ledger):
    ledger.load()
    ledger.transfer(5)
    command = ledger.command()
    ledger.refused = f"bronze/bronze_{ledger.names[1]}/"
    with pytest.raises(Retriable):
        ingest_cut(command)
    ledger.refused = ""
    assert [table.states()[-1] for table in ledger.tables] == ["voided"] * 2
    ledger.transfer(6)
    ledger.follow(ingest_cut(command))
    assert ledger.silver() == ledger.source()
    assert (set(ledger.held()), ledger.cuts()) == ({MONEY}, [ledger.version()] * 3)
    assert not ingest_cut(command).facts


def test_should_land_the_others_of_a_cut_whose_first_table_has_landed(ledger):
    ledger.load()
    ledger.transfer(5)
    command = ledger.command()
    ledger.refused = f"state/bronze_{ledger.names[1]}/"
    with pytest.raises(Retriable):
        ingest_cut(command)
    assert [table.states()[-1] for table in ledger.tables] == ["landed", "claimed"]
    ledger.refused = ""
    cut = ledger.version()
    ledger.transfer(6)
    ledger.follow(ingest_cut(command))
    assert (set(ledger.held()), ledger.cuts()) == ({MONEY}, [cut] * 3)
    ledger.load()
    assert ledger.silver() == ledger.source()


def test_should_have_another_run_end_what_a_cut_has_left(ledger):
    ledger.load()
    ledger.transfer(5)
    ledger.refused = f"state/bronze_{ledger.names[1]}/"
    with pytest.raises(Retriable):
        ingest_cut(ledger.command())
    ledger.refused = ""
    alone = ledger.commands(together=False)[1]
    (left,) = ledger.follow(ingest(alone))
    assert isinstance(left, BronzeLanded)
    assert (left.run_id == alone.run_id, ledger.tables[1].states()[-1]) == (False, "committed")


def test_should_not_publish_a_model_whose_inputs_are_of_different_moments_and_say_why(ledger):
    ledger.load()
    cut = ledger.version()
    ledger.transfer(5)
    (fact,) = ledger.follow(ingest(ledger.commands(together=False)[0]))
    (waits,) = ledger.published[-1].deferred
    assert isinstance(fact, BronzeLanded)
    assert waits.startswith(f"gold.{ledger.total} waits: its inputs are not of one moment of the database: silver.")
    assert f"silver.{ledger.names[0]} was loaded without consistentCut" in waits
    assert f"silver.{ledger.names[1]} is at version {cut}" in waits
    assert (ledger.held(), ledger.cuts()) == ([MONEY], [-1, cut, cut])
    states, _ = model_states(settings().bucket)
    assert [(one.state, "not of one moment" in str(one.reason)) for one in states if one.table == ledger.total] == [
        ("waits", True)
    ]
    ledger.load()
    assert (set(ledger.held()), ledger.cuts()) == ({MONEY}, [ledger.version()] * 3)


def test_should_not_hold_models_back_once_nobody_asks_for_one_moment_any_more(ledger):
    ledger.load()
    ledger.execute("UPDATE {0} SET at = at + 1 WHERE id = 1", "UPDATE {1} SET at = at + 1 WHERE id = 1")
    ledger.load_apart()
    assert (ledger.held()[-1], ledger.published[-1].deferred, ledger.cuts()) == (MONEY + 2, [], [-1] * 3)
    ledger.load()  # nothing has changed, but they are to be of one moment again
    assert (ledger.held()[-1], ledger.cuts()) == (MONEY + 2, [ledger.version()] * 3)


def test_should_begin_a_cut_once_gold_has_the_one_before(ledger):
    ledger.load()
    ledger.transfer(5)
    outcome = ingest_cut(ledger.command())
    ledger.transfer(6)
    following = ledger.command()
    with pytest.raises(Wait):
        ingest_cut(following)
    ledger.follow(outcome)
    ledger.follow(ingest_cut(following))
    assert set(ledger.held()) == {MONEY}
    assert ledger.silver() == ledger.source()


def test_should_begin_no_cut_while_silver_lacks_changes_that_were_given_up(ledger):
    ledger.load()
    ledger.transfer(5)
    first, second = [fact for fact in ingest_cut(ledger.command()).facts if isinstance(fact, BronzeLanded)]
    commit_landed(first)
    batches.mark(given(batch_records.find_batch(first.source_key, first.generation, first.seq)), stuck=True)
    ledger.follow(Outcome([second]))
    ledger.transfer(6)
    following = ledger.command()
    with pytest.raises(Wait, match=r"batch 2 is not in (silver|gold)"):
        ingest_cut(following)
    assert set(ledger.held()) == {MONEY}
    ledger.refined.append(given(refine_landed(first)))  # as it is replayed
    ledger.published.append(given(publish_refined(ledger.refined[-1])))
    batches.mark(given(batch_records.find_batch(second.source_key, second.generation, second.seq)), published=True)
    ledger.follow(ingest_cut(following))
    assert (set(ledger.held()), ledger.cuts()) == ({MONEY}, [ledger.version()] * 3)
    assert ledger.silver() == ledger.source()


def test_should_refuse_a_table_that_one_worker_would_not_read(ledger, monkeypatch):
    monkeypatch.setenv("FLOWFORGE_SLICE_ROWS", "2")
    with pytest.raises(
        UnsupportedSource, match="to be read, in 2 slices, and one moment is read by one worker"
    ) as caught:
        ledger.load()
    assert "Load it once without consistentCut" in caught.value.remedy


def test_should_refuse_a_database_without_snapshot_isolation_with_the_statement_that_allows_it(ledger):
    ledger.tables[0].execute("ALTER DATABASE CURRENT SET ALLOW_SNAPSHOT_ISOLATION OFF")
    try:
        with pytest.raises(UnsupportedSource, match="reads under SNAPSHOT isolation") as caught:
            ledger.load()
        assert "SET ALLOW_SNAPSHOT_ISOLATION ON" in caught.value.remedy
    finally:
        ledger.tables[0].execute("ALTER DATABASE CURRENT SET ALLOW_SNAPSHOT_ISOLATION ON")


def test_should_take_a_table_that_is_empty_at_first(ledger):
    ledger.execute("DELETE FROM {1}")
    ledger.load()
    ledger.execute("INSERT INTO {1} VALUES (1, 150)")
    ledger.load()
    assert (ledger.silver(), ledger.cuts()) == (ledger.source(), [ledger.version()] * 3)


def test_should_not_empty_silver_for_a_table_that_reads_as_empty(ledger):
    ledger.load()
    before = ledger.silver()
    ledger.execute("TRUNCATE TABLE {1}", "UPDATE {0} SET at = at + 1 WHERE id = 1")
    with pytest.raises(UnsupportedSource, match="reads as empty") as caught:
        ledger.load(on_gap="full_refresh")
    assert "allowEmptyRefresh" in caught.value.remedy
    assert ledger.silver() == before
    ledger.load(on_gap="full_refresh", allow_empty_refresh=True)
    assert ledger.silver() == ledger.source()


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"tables": ["dbo.*"]}, "consistentCut needs each table with its settings, and no pattern"),
        (
            {"tables": [{"tableName": "a", "isIncremental": True, "deltaColumn": "at"}]},
            "changeTracking true in each table",
        ),
        ({"tableName": "a"}, "needs changeTracking true"),
    ],
)
def test_should_refuse_a_request_for_one_moment_of_tables_that_have_none(settings, problem):
    connection = {"host": "db", "database": "Bank", "username": "u", "password": "p"}
    source = {"type": "sql-server", "connection": connection, "databaseConfig": {"consistentCut": True, **settings}}
    document = {"workflow_id": "w", "job_id": "j", "source_type": "database", "source_config": source}
    with pytest.raises(InvalidRequest, match=problem):
        parse_job_request(document)
