"""Which rows and columns of a table a request wants: only these are read and counted, and later loads have to want the same."""

from typing import Any

import pytest

from events.facts import IntervalEmpty
from events.request import InvalidRequest, parse_job_request
from flowforge.bronze.ingest import ingest
from flowforge.domain.errors import ScopeChanged, UnknownColumn, UnsupportedSource
from flowforge.domain.given import given
from flowforge.lineage.step_columns import bronze_columns
from flowforge.operations.batches import rebuild_states
from flowforge.operations.footers import read_footers
from flowforge.runtime.settings import settings
from flowforge.state import batch_records, corrections, table
from tests.helpers.documents import put
from tests.helpers.loads import Loads, landed, run_slices

TYPES = {
    "name": ("nvarchar(20)", "N'Müller'", "N'b'"),
    "code": ("varchar(5) COLLATE Latin1_General_CI_AS", "'äé'", "'x'"),
    "grade": ("char(4)", "'AA'", "'BB'"),
    "rank": ("tinyint", "7", "8"),
    "number": ("bigint", "9007199254740993", "9007199254740992"),
    "balance": ("decimal(12,2)", "-10.50", "-10.51"),
    "price": ("money", "1.2345", "1.2346"),
    "open": ("bit", "1", "0"),
    "born": ("date", "'2024-02-29'", "'2024-03-01'"),
    "seen": ("datetime", "'2024-01-01 10:00:00.997'", "'2024-01-01 10:00:01.000'"),
    "made": ("datetime2(7)", "'2024-01-01 10:00:00.1234567'", "'2024-01-01 10:00:00.1234568'"),
    "sent": ("datetimeoffset(3)", "'2024-01-01 10:00:00.5 +02:00'", "'2024-01-01 10:00:00.5 +00:00'"),
    "mark": ("uniqueidentifier", "'6F9619FF-8B86-D011-B42D-00C04FC964FF'", "'6F9619FF-8B86-D011-B42D-00C04FC964FE'"),
}
VALUES = {
    "name": "Müller",
    "code": "äé",
    "grade": "AA",
    "rank": "7",
    "number": "9007199254740993",
    "balance": "-10.5",
    "price": "1.2345",
    "open": "true",
    "born": "2024-02-29",
    "seen": "2024-01-01T10:00:00.997",
    "made": "2024-01-01 10:00:00.1234567",
    "sent": "2024-01-01 08:00:00.5Z",
    "mark": "6f9619ff-8b86-d011-b42d-00c04fc964ff",
}


def where(column: str, operator: str, *values: str) -> dict[str, Any]:
    return {"column": column, "operator": operator, "values": list(values)}


def ids(facts) -> list[int]:
    return sorted(row["id"] for fact in facts for row in landed(fact))


def notes(load: Loads) -> list[str]:
    return next(iter(batch_records.history(load.key))).interval.notes


def test_should_compare_each_type_exactly(loads):
    """Two rows that differ in the last digit, letter or hour of each column, and one that has NULL everywhere."""
    load = loads(rows="INSERT INTO {t} VALUES (1, NULL), (2, NULL), (3, NULL)")
    load.execute("ALTER TABLE {t} ADD " + ", ".join(f"[{name}] {kind}" for name, (kind, *_) in TYPES.items()))
    for row in (1, 2):
        values = ", ".join(f"[{name}] = {found[row]}" for name, found in TYPES.items())
        load.execute(f"UPDATE {{t}} SET {values} WHERE id = {row}")
    every = [where(name.upper(), "=", VALUES[name]) for name in TYPES]
    assert ids(load.load("all", column=None, where=every)) == [1]
    for n, (name, wrong) in enumerate([(name, where(name, "<>", VALUES[name])) for name in TYPES]):
        others = [one for one in every if one["column"] != name.upper()]
        assert ids(load.load(f"r{n}", column=None, where=[*others, wrong])) == [], name
    wanted = [("in", ["7", "9"], [1]), ("not in", ["7"], [2]), (">=", ["8"], [2]), ("<", ["8"], [1])]
    wanted += [("is null", [], [3]), ("is not null", [], [1, 2])]
    for operator, values, expected in wanted:
        name = f"o{operator}".translate(str.maketrans("<>= ", "lge_"))
        assert ids(load.load(name, column=None, where=[where("rank", operator, *values)])) == expected


@pytest.mark.parametrize(
    ("column", "value", "told"),
    [
        ("rank", "256", "not a value of type tinyint"),
        ("rank", "seven", "not a value of type tinyint"),
        ("balance", "1.005", "more digits than decimal"),
        ("balance", "1e3", "is no decimal"),
        ("grade", "AAAAA", "longer than char"),
        ("code", "日本", "letters that the column's code page lacks"),
        ("born", "2024-02-30", "not a value of type date"),
        ("born", "2024-02-29 10:00", "finer than date"),
        ("seen", "2024-01-01 10:00:00.998", "finer than datetime"),
        ("made", "2024-01-01 10:00:00+02:00", "has an offset"),
        ("mark", "6f9619ff", "is no uniqueidentifier"),
        ("open", "yes", "is no bit"),
        ("share", "0.1", "is not compared exactly"),
    ],
)
def test_should_refuse_a_value_that_the_server_would_take_for_another(loads, column, value, told):
    load = loads()
    kind = "float" if column == "share" else TYPES[column][0]
    load.execute(f"ALTER TABLE {{t}} ADD [{column}] {kind}")
    with pytest.raises(UnsupportedSource, match=told) as caught:
        load.load("r", where=[where(column, "=", value)])
    assert f"databaseConfig.where = on {column!r}" in str(caught.value) and caught.value.remedy
    assert load.states() == []


def test_should_take_a_value_for_a_value_and_never_for_sql(loads):
    load = loads()
    load.execute("ALTER TABLE {t} ADD [na]]me] nvarchar(40)", "UPDATE {t} SET [na]]me] = N''' OR 1=1 --' WHERE id = 20")
    assert ids(load.load("a", column=None, where=[where("na]me", "=", "' OR 1=1 --")])) == [20]
    assert ids(load.load("b", column=None, where=[where("na]me", "=", "x' OR N'1'=N'1")])) == []
    with pytest.raises(UnknownColumn, match="1=1"):
        load.load("c", where=[where("id] = 1 OR 1=1 --", "=", "1")])


def test_should_read_and_count_only_the_wanted_rows_in_slices_and_after_landing(loads, sliced):
    load = loads(rows="INSERT INTO {t} SELECT account_id, '2024-01-01' FROM accounts WHERE account_id < 1010")
    wanted = [where("id", ">", "1003"), where("id", "<>", "1006")]
    assert load.load("r", where=wanted, count_rows="always") == []
    facts = run_slices(load)
    (batch,) = batch_records.history(load.key)
    assert len(given(batch.slices).ranges) > 1 and batch.state == "landed"
    manifest = given(batch.manifest)
    expected = [1004, 1005, 1007, 1008, 1009]
    assert (manifest.rows, manifest.count.rows) == (len(expected), len(expected))
    assert [condition.text for condition in batch.interval.where] == ["id > 1003", "id <> 1006"]
    load.commit(facts[-1])


def test_should_refuse_other_conditions_above_a_watermark_until_the_table_is_read_anew(loads):
    load = loads()
    load.load("a", where=[where("id", "<=", "20")])
    for other in ([], [where("id", "<=", "30")], [where("id", "<=", "20"), where("at", "is not null")]):
        with pytest.raises(ScopeChanged, match="where was id <= 20") as caught:
            load.load("b", where=other)
        assert f"flowforge watermark reset bronze_{load.name} --yes" in caught.value.remedy
        assert "full_refresh" in caught.value.remedy
    load.load("b", where=[where("ID", "<=", "+20")])  # the same, written otherwise
    everything = load.command("c", column=None)
    refresh = everything.model_copy(
        update={"bronze": everything.bronze.model_copy(update={"load_strategy": "full_refresh"})}
    )
    assert ids(load.follow(refresh)) == [10, 20, 30]
    assert notes(load) == []
    with pytest.raises(ScopeChanged, match="where was all rows when"):
        load.load("d", where=[where("id", "<=", "20")])
    corrections.accept_source(table.read_state(load.key), "looked at")
    with pytest.raises(ScopeChanged):
        load.load("e", where=[where("id", "<=", "20")])
    corrections.reset_watermarks(table.read_state(load.key), "another part")
    assert ids(load.load("f", where=[where("id", "<=", "20")])) == [10, 20]
    assert any("stays there, since this load takes nothing out" in note for note in notes(load))


def test_should_refuse_other_conditions_when_there_is_nothing_new_too(loads):
    load = loads()
    load.load("a", where=[where("id", "<=", "20")])
    load.load("b", where=[where("id", "<=", "20")])
    with pytest.raises(ScopeChanged):
        load.load("c", where=[where("id", "<=", "30")])


def test_should_know_the_conditions_after_the_state_was_rebuilt_from_bronze(loads):
    load = loads()
    load.load("a", where=[where("id", "<=", "20")], excluded_columns=[])
    (rebuilt,) = rebuild_states(read_footers(settings().bucket, f"bronze_{load.name}"), settings().bucket)
    assert rebuilt.state.scope == table.read_state(load.key).scope
    assert given(rebuilt.state.scope).rows == "id <= 20"


@pytest.mark.parametrize("indexed", [True, False], ids=["indexed", "not indexed"])
def test_should_tell_how_many_changed_rows_do_not_fit_any_more(loads, indexed):
    """They may be in silver from before, and no load of what is new takes them out."""
    load = loads(indexed=indexed)
    load.execute("ALTER TABLE {t} ADD region varchar(2)", "UPDATE {t} SET region = 'EU'")
    wanted = [where("region", "=", "EU")]
    load.load("a", where=wanted)
    assert not any("do not fit" in note for note in notes(load))
    load.execute("UPDATE {t} SET region = 'US', at = '2024-06-01' WHERE id = 10")
    load.execute("UPDATE {t} SET region = NULL, at = '2024-06-01' WHERE id = 20")
    load.execute("UPDATE {t} SET at = '2024-06-01' WHERE id = 30")
    corrections.set_watermark(table.read_state(load.key), "at", "2024-05-01", "before these")
    assert ids(load.load("b", where=wanted)) == [30]
    (told,) = [note for note in notes(load) if "do not fit" in note]
    assert told.startswith("where: 2 rows that changed") and "flowforge reconcile" in told
    load.execute("UPDATE {t} SET region = 'US', at = '2024-07-01' WHERE id = 30")
    corrections.set_watermark(table.read_state(load.key), "at", "2024-06-15", "before this")
    (empty,) = ingest(
        load.command("c", where=wanted)
    ).facts  # none fits: nothing is loaded, and it is told all the same
    assert isinstance(empty, IntervalEmpty) and any("1 rows that changed" in note for note in empty.notes)


def test_should_read_included_columns_only_and_tell_of_one_that_comes_later(loads):
    load = loads()
    load.execute("ALTER TABLE {t} ADD a int NOT NULL DEFAULT 5, b int", "UPDATE {t} SET a = id")
    with pytest.raises(UnsupportedSource, match=r"columns.include lacks 'id', which is a key or a cursor") as caught:
        load.load("r0", included_columns=["at"])
    assert caught.value.remedy == "add it"
    with pytest.raises(UnknownColumn, match="no column 'nope'"):
        load.load("r0", included_columns=["id", "at", "nope"])
    (fact,) = load.load("r1", included_columns=["ID", "at"])
    assert [list(row)[:3] for row in landed(fact)] == [["id", "at", "_batch_id"]] * 3
    assert given(table.read_state(load.key).scope).left_out == ["a", "b"]
    load.execute("INSERT INTO {t} VALUES (40, '2024-06-01', 1, 1)")
    load.load("r2", included_columns=["id", "at", "a"])
    (batch, *_) = batch_records.history(load.key)
    assert any(note.startswith("a: left out until now") and "watermark reset" in note for note in batch.interval.notes)
    assert batch.identity["late_columns"] == ["a"]


def test_should_give_columns_other_names_in_the_lake(loads):
    load = loads()
    load.execute("ALTER TABLE {t} ADD [cust nm] varchar(20), other int", "UPDATE {t} SET [cust nm] = 'Ann', other = 1")
    (fact,) = load.load("a", rename={"CUST NM": "customer_name"}, where=[where("cust nm", "=", "Ann")])
    assert [list(row)[:4] for row in landed(fact)] == [["id", "at", "customer_name", "other"]] * 3
    (batch,) = batch_records.history(load.key)
    column = given(batch.manifest).columns[2]
    assert (column.name, column.at_source) == ("customer_name", "cust nm")
    assert given(table.read_state(load.key).scope).renamed == {"cust nm": "customer_name"}
    origin, *_ = bronze_columns(given(batch.manifest).columns, "s").fields["customer_name"]
    assert origin.column == "cust nm"
    with pytest.raises(ScopeChanged, match=r"databaseConfig\.rename: cust nm was customer_name and is cust nm"):
        load.load("b", where=[where("cust nm", "=", "Ann")])


def test_should_rename_no_key_no_cursor_and_to_no_name_that_is_taken(loads):
    load = loads()
    load.execute("ALTER TABLE {t} ADD a int, b int")
    for name in ("id", "AT"):
        with pytest.raises(UnsupportedSource, match="which is a key or a cursor"):
            load.load("a", rename={name: "other"})
    with pytest.raises(UnsupportedSource, match="differ by case only"):
        load.load("a", rename={"a": "B"})
    with pytest.raises(UnsupportedSource, match="has the name of one that FlowForge adds"):
        load.load("a", rename={"a": "_seq"})
    with pytest.raises(UnknownColumn, match="no column 'c'"):
        load.load("a", rename={"c": "d"})
    (fact,) = load.load("b", rename={"a": "b", "b": "a"})  # exchanged
    assert list(landed(fact)[0])[:4] == ["id", "at", "b", "a"]


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("where", [{"column": "a", "operator": "in", "value": "x"}], "in takes a list of values"),
        ("where", [{"column": "a", "operator": "in", "value": []}], "in takes a list of values"),
        ("where", [{"column": "a", "value": ["x"]}], "expected one value"),
        ("where", [{"column": "a"}], "expected one value"),
        ("where", [{"column": "a", "operator": "is null", "value": 1}], "takes none"),
        ("where", [{"column": "a", "operator": "in", "value": ["x"] * 501}], "500 are the most"),
        ("where", [{"column": "a", "operator": "like", "value": "x"}], "Input should be"),
        ("where", [{"column": "a", "value": 0.1}], "valid string"),
        ("where", "a = 1", "is no SQL, but a list of conditions"),
        ("columns", {"exclude": ["a"], "include": ["b"]}, "give one of both"),
        ("query", "SELECT 1 AS a", "write the condition into the query's WHERE"),
    ],
)
def test_should_refuse_a_condition_that_says_nothing_plain(field, value, told):
    document = {
        "workflow_id": "wf",
        "job_id": "j",
        "source_type": "database",
        "source_config": {
            "type": "sql-server",
            "connection": {"connectionId": "c"},
            "databaseConfig": {"tableName": "t"},
        },
    }
    data = "source_config.databaseConfig"
    if field == "query":
        document["destination_config"] = {"bronzeConfig": {"tableName": "q"}}
        put(document, data, {"query": value, "where": [{"column": "a", "value": 1}]})
    else:
        put(document, f"{data}.{field}", value)
    with pytest.raises(InvalidRequest) as refused:
        parse_job_request(document)
    assert any(told in mistake["problem"] for mistake in refused.value.mistakes), refused.value.mistakes
