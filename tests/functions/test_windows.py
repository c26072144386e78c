"""A part of a table that is loaded once more by its bounds: only its rows are read, and the watermark stays where it is."""

import pytest

from events.api.watermarks import NewWatermark
from events.facts import IntervalEmpty
from events.request import InvalidRequest, parse_job_request
from events.targets import ReadWindow
from flowforge.bronze.ingest import ingest
from flowforge.domain.errors import ScopeChanged, SourceChanged, UnsupportedSource
from flowforge.operations.batches import rebuild_states
from flowforge.operations.footers import read_footers
from flowforge.operations.watermarks import set_by_hand, show
from flowforge.runtime.settings import settings
from flowforge.state import batch_records, corrections, table
from tests.helpers.loads import Loads, landed, run_slices

FEBRUARY = ReadWindow(low="2024-02-01", high="2024-03-01")


def ids(facts) -> list[int]:
    return sorted(row["id"] for fact in facts for row in landed(fact))


def rebuilt_watermark(load: Loads) -> str | None:
    (rebuilt,) = rebuild_states(read_footers(settings().bucket, f"bronze_{load.name}"), settings().bucket)
    return next((mark.value for mark in rebuilt.state.watermarks.values()), None)


def test_should_read_the_rows_of_the_window_alone_and_leave_the_watermark(loads):
    load = loads()
    load.load("a")
    corrections.set_watermark(table.read_state(load.key), "at", "2024-03-15", "so that a row can come above it")
    before, samples = load.watermark(), table.read_state(load.key).samples
    (fact,) = load.load("b", window=FEBRUARY)
    assert ids([fact]) == [20] and fact.watermark_value == before
    assert fact.promise.startswith("the rows whose at was from 2024-02-01 00:00:00.000 on, and below 2024-03-01")
    assert load.watermark() == before and table.read_state(load.key).samples == samples
    load.execute("INSERT INTO {t} VALUES (40, '2024-04-04')")
    assert ids(load.load("c")) == [40]
    history = show(f"bronze_{load.name}")["history"]
    assert [entry.get("window", False) for entry in history] == [False, True, False]


def test_should_load_a_window_of_a_table_that_was_never_loaded_and_all_of_it_later(loads):
    load = loads()
    assert ids(load.load("a", window=FEBRUARY)) == [20]
    assert load.watermark() is None and rebuilt_watermark(load) is None
    assert ids(load.load("b")) == [10, 20, 30]
    assert rebuilt_watermark(load) == load.watermark()


def test_should_begin_a_table_by_windows_and_go_on_where_the_last_one_ended(loads):
    """As docs/operations.md has the first load of a very large table."""
    load = loads()
    assert ids(load.load("a", window=ReadWindow(low="2024-01-01", high="2024-02-01"))) == [10]
    assert ids(load.load("b", window=FEBRUARY)) == [20]
    assert ids(load.load("again", window=FEBRUARY)) == [20]
    set_by_hand(f"bronze_{load.name}", NewWatermark(column="at", value="2024-03-01", reason="loaded by windows"))
    assert ids(load.load("c")) == [30]


def test_should_take_the_watermark_for_an_upper_bound_that_is_not_given(loads):
    load = loads()
    with pytest.raises(UnsupportedSource, match=r"window\.to is not given, and there is no watermark") as caught:
        load.load("a", window=ReadWindow(low="2024-02-01"))
    assert caught.value.remedy == "write window.to, or load the table first" and load.states() == []
    load.load("b")
    assert ids(load.load("c", window=ReadWindow(low="2024-02-02"))) == [20, 30]
    assert ids(load.load("d", window=ReadWindow(high="2024-02-02"))) == [10]


def test_should_read_a_window_in_slices_that_are_one_batch(loads, sliced):
    load = loads(rows="INSERT INTO {t} SELECT account_id, '2024-02-02' FROM accounts WHERE account_id < 1010")
    load.execute("UPDATE {t} SET at = '2024-03-01' WHERE id = 1005")
    assert load.load("a", window=FEBRUARY) == []
    facts = run_slices(load)
    assert len(facts) == 1 and facts[0].records == 8
    load.commit(facts[-1])
    assert load.watermark() is None and load.states() == ["committed"]


def test_should_say_that_a_window_holds_no_row(loads):
    load = loads()
    load.load("a")
    (fact,) = ingest(load.command("b", window=ReadWindow(low="2023-01-01", high="2024-01-01"))).facts
    assert isinstance(fact, IntervalEmpty)
    assert fact.watermark_value == load.watermark()


def test_should_rebuild_the_watermark_as_if_no_window_had_been_loaded(loads):
    load = loads()
    load.load("a")
    load.load("b", window=FEBRUARY)
    assert rebuilt_watermark(load) == load.watermark()
    load.load("c", column="id")
    load.load("d", column="id", window=ReadWindow(low="10", high="20"))
    (rebuilt,) = rebuild_states(read_footers(settings().bucket, f"bronze_{load.name}"), settings().bucket)
    assert [batch.state for batch in rebuilt.batches] == ["committed"] * 4
    stored = {column: mark.value for column, mark in table.read_state(load.key).watermarks.items()}
    assert {column: mark.value for column, mark in rebuilt.state.watermarks.items()} == stored


def test_should_read_no_window_of_a_source_whose_rows_went_back(loads):
    """A restored source has older rows, which would take the place of newer ones."""
    load = loads()
    load.load("a")
    load.execute("UPDATE {t} SET at = DATEADD(day, -1, at)")
    with pytest.raises(SourceChanged):
        load.load("b", window=FEBRUARY)
    assert load.states() == ["committed"]


def test_should_hold_a_window_to_the_conditions_of_the_loads_before(loads):
    load = loads()
    load.load("a", where=[{"column": "id", "operator": "<=", "values": ["20"]}])
    with pytest.raises(ScopeChanged, match="where was id <= 20"):
        load.load("b", window=FEBRUARY)


def test_should_tell_of_a_column_that_was_left_out_until_now_again_after_a_window(loads):
    load = loads()
    load.execute("ALTER TABLE {t} ADD a int")
    load.load("a", excluded_columns=["a"])
    load.load("b", window=FEBRUARY)
    load.execute("INSERT INTO {t} VALUES (40, '2024-04-04', 1)")
    load.load("c")
    (batch, *_) = batch_records.history(load.key)
    assert any(note.startswith("a: left out until now") for note in batch.interval.notes)


@pytest.mark.parametrize(
    ("kind", "low", "high", "told"),
    [
        ("datetime2(3)", "2024-03-01", "2024-02-01", "is not below window.to 2024-02-01 00:00:00.000"),
        ("datetime2(3)", "2024-03-01", "2024-03-01", "is not below window.to"),
        ("datetime2(3)", None, "2024-02-01 10:00:00.0005", "window.to .* lies between two values of the column"),
        ("datetime2(3)", "2024-02-01 10:00:00.0005", None, "window.from .* lies between two values of the column"),
        ("datetime", None, "2024-02-01 10:00:00.001", "lies between two values of the column"),
        ("date", None, "2024-02-01 10:00", "lies between two values of the column"),
        ("smalldatetime", None, "2024-02-01 10:00:30", "lies between two values of the column"),
        ("datetime2(3)", "yesterday", "2024-02-01", "window.from 'yesterday' .* is not a value of type datetime2"),
        ("datetime2(3)", None, "2024-02-01T00:00:00Z", "has an offset"),
    ],
)
def test_should_refuse_bounds_that_would_take_other_rows(loads, kind, low, high, told):
    load = loads(at=kind)
    if high is None:
        load.load("a")
    before = load.states()
    with pytest.raises(UnsupportedSource, match=told) as caught:
        load.load("r", window=ReadWindow(low=low, high=high))
    assert caught.value.remedy and load.states() == before


@pytest.mark.parametrize(
    ("kind", "bound"),
    [
        ("date", "2024-02-02"),
        ("smalldatetime", "2024-02-02 00:00"),
        ("datetime", "2024-02-02 00:00:00.000"),
        ("datetime2(7)", "2024-02-02 00:00:00.0000000"),
        ("datetimeoffset(3)", "2024-02-02 02:00:00+02:00"),
    ],
)
def test_should_bound_a_window_exactly_in_each_type(loads, kind, bound):
    load = loads(at=kind)
    assert ids(load.load("a", window=ReadWindow(low=bound, high="2024-03-03"))) == [20]
    assert ids(load.load("b", window=ReadWindow(high=bound))) == [10]


def test_should_bound_a_window_by_numbers_and_row_versions(loads):
    load = loads()
    load.execute("ALTER TABLE {t} ADD v rowversion")
    assert ids(load.load("a", column="id", window=ReadWindow(low="20", high="30"))) == [20]
    load.load("b", column="v")
    assert ids(load.load("c", column="v", window=ReadWindow(low="0x0000000000000000"))) == [10, 20, 30]


def test_should_read_all_that_is_loaded_for_a_column_and_no_longer_say_that_it_was_left_out(loads):
    load = loads()
    load.execute(
        "ALTER TABLE {t} ADD a int, [b c] int", "INSERT INTO {t} VALUES (40, NULL, 4, 4)", "UPDATE {t} SET a = id"
    )
    load.load("a", excluded_columns=["a", "b c"], null_cursor="exclude")
    with pytest.raises(UnsupportedSource, match=r"window\.column 'b c' is not among the columns that are read"):
        load.load("b", excluded_columns=["b c"], window=ReadWindow(column="b c"))
    before = load.watermark()
    (fact,) = load.load("b", excluded_columns=["b c"], window=ReadWindow(column="A"))
    assert sorted((row["id"], row["a"]) for row in landed(fact)) == [(10, 10), (20, 20), (30, 30), (40, 40)]
    assert load.watermark() == before and "late_columns" not in batch_records.history(load.key)[0].identity
    load.execute("INSERT INTO {t} VALUES (50, '2024-04-04', 5, 5)")
    load.load("c", excluded_columns=["b c"])
    load.load("d")
    told = [
        [note for note in batch.interval.notes if "left out until now" in note]
        for batch in batch_records.history(load.key)
    ]
    assert [len(notes) for notes in told] == [1, 0, 0, 0]
    assert "b c: left out until now" in told[0][0] and "flowforge submit FILE --backfill-column 'b c'" in told[0][0]


def test_should_refuse_a_window_for_a_column_of_a_table_that_was_never_loaded(loads):
    load = loads()
    with pytest.raises(UnsupportedSource, match="so nothing lacks it") as caught:
        load.load("a", window=ReadWindow(column="at"))
    assert "load the table without the window" in caught.value.remedy


def test_should_refuse_a_window_of_rows_without_a_key(loads):
    load = loads()
    with pytest.raises(UnsupportedSource, match="without a key its rows cannot be told") as caught:
        load.load("a", table_name=None, query=f"SELECT * FROM {load.name}", window=FEBRUARY)
    assert "silverConfig.primaryKey" in caught.value.remedy


@pytest.mark.parametrize(
    ("config", "silver", "field", "told"),
    [
        ({"window": {}}, {}, "window", "expected from, to or both"),
        ({"window": {"from": 1, "column": "a"}}, {}, "window.column", "from would leave rows out"),
        ({"window": {"from": " "}}, {}, "window.from", "is empty"),
        ({"window": {"from": "1", "until": "2"}}, {}, "window.until", "unknown field"),
        ({"window": {"from": 1.5}}, {}, "window.from", "valid"),
        ({"window": {"from": 1}, "isIncremental": False, "deltaColumn": None}, {}, "window", "needs isIncremental"),
        ({"window": {"from": 1}}, {"mergeStrategy": "append"}, "window", "would add its rows a second time"),
        ({"window": {"from": 1}}, {"mergeStrategy": "replace"}, "window", "would leave nothing but its rows"),
    ],
)
def test_should_refuse_a_window_that_means_nothing(config, silver, field, told):
    connection = {"host": "db", "database": "Bank", "username": "u", "password": "p"}
    table_config = {"tableName": "t", "isIncremental": True, "deltaColumn": "id"} | config
    document = {
        "workflow_id": "wf",
        "job_id": "job",
        "source_type": "database",
        "source_config": {"type": "sql-server", "connection": connection, "databaseConfig": table_config},
        "destination_config": {"silverConfig": silver},
    }
    with pytest.raises(InvalidRequest) as caught:
        parse_job_request(document)
    mistakes = {mistake["field"]: mistake["problem"] for mistake in caught.value.mistakes}
    assert told in mistakes[f"source_config.databaseConfig.{field}"]
