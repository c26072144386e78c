"""Deletes with nothing set up at the source: all keys are read, twice, and what silver has beside them goes."""

from functools import partial
from typing import Any

import pytest

from events.commands import CompareKeys, IngestTable
from events.envelopes import sqs
from events.facts import BronzeLanded, IntervalEmpty, SilverRefined
from flowforge.bronze.ingest import ingest
from flowforge.bronze.key_reading import ReadTwice
from flowforge.bronze.planning import described
from flowforge.domain.errors import DeletesRefused, SourceChanged, UnsupportedSource, Wait
from flowforge.domain.given import given
from flowforge.operations.rebuild_silver import rebuild_silver
from flowforge.runtime.settings import settings
from flowforge.silver.step import refine_landed
from flowforge.sources.registry import source_at
from flowforge.state import batch_records, runs, table
from functions.submit_job.handler import handler as submit_job
from tests.helpers.lake import delta_table
from tests.helpers.loads import Loads, landed, run_slices

HOUR = 3_600


GROWING = {"at": "rowversion", "rows": "INSERT INTO {t} (id) VALUES (10), (20), (30)"}


def keyed(load: Loads, run: str, share: float = 0.9, **changes: Any) -> IngestTable:
    """An incremental load of the table, which asks for comparisons once an hour."""
    silver = {"detects": "keys", "compared_every": HOUR, "most_deleted": share, **changes}
    command = load.command(run)
    return command.model_copy(update={"silver": command.silver.model_copy(update=silver)})


def refined(load: Loads, command: IngestTable) -> list[SilverRefined]:
    """Loads as the queues would, up to silver."""
    found = [given(refine_landed(fact)) for fact in load.follow(command)]
    return found


def compared(load: Loads, run: str, share: float = 0.9, source: dict[str, Any] | None = None, **changes: Any):
    command = keyed(load, run, share, **changes).model_copy(update={"only_keys": True})
    command = command.model_copy(update={"source": command.source.model_copy(update=source or {})})
    return refined(load, command)


def silver(load: Loads) -> list[dict[str, Any]]:
    rows = delta_table(f"s3://{settings().bucket}/silver/{load.name}").to_pyarrow_table().to_pylist()
    return sorted(rows, key=lambda row: (row["id"], row.get("_valid_from") or 0))


def ids(load: Loads) -> list[int]:
    return [row["id"] for row in silver(load)]


def test_should_take_out_what_the_source_has_no_more(loads):
    load = loads(**GROWING)
    refined(load, keyed(load, "a"))
    load.execute("DELETE FROM {t} WHERE id = 20")
    watermark = load.watermark()
    (fact,) = compared(load, "b")
    assert (fact.deleted, fact.inserted, fact.updated, fact.silver_rows) == (1, 0, 0, 2)
    assert fact.notes == [f"silver.{load.name}: the source has 1 keys no more; they were removed"]
    assert ids(load) == [10, 30] and load.watermark() == watermark
    assert all(len(row["at"]) == 8 for row in silver(load))
    (again,) = compared(load, "c")
    assert (again.deleted, again.silver_rows) == (0, 2)
    load.execute("INSERT INTO {t} (id) VALUES (20)")
    (back,) = refined(load, keyed(load, "d"))
    assert (back.inserted, ids(load)) == (1, [10, 20, 30])


def test_should_land_keys_apart_from_the_rows_and_no_other_column(loads):
    load = loads()
    load.load("a")
    (fact,) = load.follow(keyed(load, "b").model_copy(update={"only_keys": True}))
    assert fact.bronze_key == f"bronze/_keys/bronze_{load.name}/b.parquet" and fact.records == 3
    assert [set(row) - {"id"} for row in landed(fact)] == [
        {name for name in landed(fact)[0] if name.startswith("_")}
    ] * 3
    assert fact.counted.startswith("not counted: keys are read twice") and "read twice" in fact.promise


def test_should_mark_or_end_what_is_gone_as_the_table_says(loads):
    soft = loads(**GROWING)
    refined(soft, keyed(soft, "a", deletes="soft"))
    soft.execute("DELETE FROM {t} WHERE id = 10")
    (fact,) = compared(soft, "b", deletes="soft")
    assert (fact.deleted, fact.silver_rows) == (1, 3)
    assert [(row["id"], row["_is_deleted"]) for row in silver(soft)] == [(10, True), (20, False), (30, False)]
    assert compared(soft, "c", deletes="soft")[0].deleted == 0

    history = loads(**GROWING)
    ends: dict[str, Any] = {"strategy": "scd2", "deletes": "soft"}
    refined(history, keyed(history, "a", **ends))
    history.execute("DELETE FROM {t} WHERE id = 10")
    (fact,) = compared(history, "b", **ends)
    assert (fact.deleted, fact.silver_rows) == (1, 3)
    assert [row["_is_current"] for row in silver(history)] == [False, True, True]
    assert silver(history)[0]["_valid_to"] is not None
    assert compared(history, "c", **ends)[0].deleted == 0
    history.execute("INSERT INTO {t} (id) VALUES (10)")
    refined(history, keyed(history, "d", **ends))
    assert [(row["id"], row["_is_current"]) for row in silver(history)] == [
        (10, False),
        (10, True),
        (20, True),
        (30, True),
    ]


def test_should_refuse_more_than_the_share_and_name_the_command_that_allows_it(loads):
    load = loads(**GROWING)
    refined(load, keyed(load, "a"))
    load.execute("TRUNCATE TABLE {t}")
    (fact,) = load.follow(keyed(load, "b", 0.5).model_copy(update={"only_keys": True}))
    assert fact.records == 0
    with pytest.raises(DeletesRefused, match=r"3 of 3 rows \(100.00%\).*\(0 keys were read\).*allows 50.00%") as caught:
        refine_landed(fact)
    assert caught.value.remedy.endswith(f"flowforge reconcile bronze_{load.name} --apply --max-delete-share 1")
    assert ids(load) == [10, 20, 30]
    load.execute("INSERT INTO {t} (id) VALUES (40)")
    (more,) = refined(load, keyed(load, "c"))  # nothing else of the table stops
    assert (more.inserted, ids(load)) == (1, [10, 20, 30, 40])
    (allowed,) = compared(load, "d", 1.0)
    assert (allowed.deleted, ids(load)) == (3, [40])
    with pytest.raises(Exception, match="was compared with newer keys"):
        refine_landed(fact)


def test_should_compare_keys_as_the_source_does(loads):
    load = loads()
    load.execute(
        "DROP TABLE {t}",
        "CREATE TABLE {t} (id varchar(20) COLLATE Latin1_General_CI_AS PRIMARY KEY, at datetime2(3))",
        "INSERT INTO {t} VALUES ('Abc', '2024-01-01'), ('def ', '2024-01-01'), ('gone', '2024-01-01')",
    )
    refined(load, keyed(load, "a"))
    load.execute("UPDATE {t} SET id = 'ABC' WHERE id = 'abc'", "UPDATE {t} SET id = 'def' WHERE id = 'def'")
    load.execute("DELETE FROM {t} WHERE id = 'gone'")
    (fact,) = compared(load, "b")
    assert (fact.deleted, ids(load)) == (1, ["Abc", "def "])


def test_should_keep_rows_that_stopped_to_fit_the_conditions(loads):
    load = loads()
    wanted = {"where": [{"column": "at", "operator": "<", "values": ["2024-02-15"]}]}
    load_it = keyed(load, "a").model_copy(update={"source": load.command("a", **wanted).source})
    refined(load, load_it)
    assert ids(load) == [10, 20]
    load.execute("UPDATE {t} SET at = '2024-09-09' WHERE id = 10", "DELETE FROM {t} WHERE id = 20")
    (fact,) = compared(load, "b", source={"where": load.command("b", **wanted).source.where})
    assert (fact.deleted, ids(load)) == (1, [10])
    state = table.read_state(load.key)
    assert given(state.scope).rows.startswith("at < 2024-02-15")  # of the rows, which a comparison has none of


def test_should_count_only_rows_of_earlier_batches(loads):
    """Silver takes a later load before the comparison, of rows that came after its keys were read."""
    load = loads(**GROWING)
    refined(load, keyed(load, "a"))
    (keys,) = load.follow(keyed(load, "b").model_copy(update={"only_keys": True}))
    load.execute("INSERT INTO {t} (id) VALUES (40)", "DELETE FROM {t} WHERE id = 10")
    refined(load, keyed(load, "c"))
    assert given(refine_landed(keys)).deleted == 0 and ids(load) == [10, 20, 30, 40]


def test_should_wait_until_silver_has_what_was_landed_before(loads):
    load = loads(**GROWING)
    refined(load, keyed(load, "a"))
    load.execute("INSERT INTO {t} (id) VALUES (40)")
    (rows,) = load.follow(keyed(load, "b"))
    load.execute("DELETE FROM {t} WHERE id = 40")
    (keys,) = load.follow(keyed(load, "c").model_copy(update={"only_keys": True}))
    with pytest.raises(Wait, match="is not in silver yet"):
        refine_landed(keys)
    refine_landed(rows)
    assert given(refine_landed(keys)).deleted == 1 and ids(load) == [10, 20, 30]


def test_should_find_a_row_that_is_put_back_between_the_two_readings(loads):
    load = loads()
    command = load.command("a").model_copy(update={"only_keys": True})
    source, opened = source_at(command.connection), []
    with source.session() as session:
        plan = session.plan(described(session, command), {})
    load.execute("DELETE FROM {t} WHERE id IN (20, 30)")

    def opening():
        if opened:
            load.execute("INSERT INTO {t} VALUES (20, '2024-02-02')", "DELETE FROM {t} WHERE id = 10")
        opened.append(True)
        return source.open(plan)

    with ReadTwice(opening, source.weakest) as reader:
        found = [row["id"] for rows in reader for row in rows.to_pylist()]
        assert (found, reader.report().counted) == ([10, 20], None)
    with ReadTwice(partial(source.open, plan), source.weakest, held_bytes=1) as reader:  # too many to be held
        assert [row["id"] for rows in reader for row in rows.to_pylist()] == [20, 20]


def test_should_tell_keys_of_every_type_apart(loads):
    kinds = {
        "number": ("bigint", "9007199254740993", "9007199254740992"),
        "balance": ("decimal(12,2)", "-10.50", "-10.51"),
        "price": ("money", "1.2345", "1.2346"),
        "name": ("nvarchar(20)", "N'Müller'", "N'Möller'"),
        "code": ("char(4)", "'AA'", "'BB'"),
        "flag": ("bit", "1", "0"),
        "born": ("date", "'2024-02-29'", "'2024-03-01'"),
        "clock": ("time(3)", "'10:00:00.001'", "'10:00:00.002'"),
        "seen": ("datetime", "'2024-01-01 10:00:00.997'", "'2024-01-01 10:00:01.000'"),
        "made": ("datetime2(7)", "'2024-01-01 10:00:00.1234567'", "'2024-01-01 10:00:00.1234568'"),
        "sent": ("datetimeoffset(3)", "'2024-01-01 10:00:00.5 +02:00'", "'2024-01-01 10:00:00.5 +00:00'"),
        "mark": (
            "uniqueidentifier",
            "'6F9619FF-8B86-D011-B42D-00C04FC964FF'",
            "'6F9619FF-8B86-D011-B42D-00C04FC964FE'",
        ),
        "raw": ("varbinary(8)", "0x0102", "0x0103"),
    }
    load = loads(**GROWING)
    columns = ", ".join(f"[{name}] {kind} NOT NULL" for name, (kind, *_) in kinds.items())
    key = ", ".join(f"[{name}]" for name in kinds)
    first = [value for _, value, _ in kinds.values()]
    rows = [first, *([*first[:n], other, *first[n + 1 :]] for n, (_, _, other) in enumerate(kinds.values()))]
    load.execute("DROP TABLE {t}", f"CREATE TABLE {{t}} ({columns}, id int, at rowversion, PRIMARY KEY ({key}))")
    for n, row in enumerate(rows):
        load.execute(f"INSERT INTO {{t}} ({key}, id) VALUES ({', '.join(row)}, {n})")
    refined(load, keyed(load, "a"))
    assert compared(load, "b")[0].deleted == 0 and ids(load) == list(range(len(rows)))
    load.execute("DELETE FROM {t} WHERE id % 2 = 1")
    assert compared(load, "c")[0].deleted == len(rows) // 2
    assert ids(load) == list(range(0, len(rows), 2))


def test_should_read_keys_in_slices_and_land_the_empty_ones_too(loads, sliced):
    load = loads(rows="INSERT INTO {t} SELECT account_id, '2024-01-01' FROM accounts WHERE account_id < 1010")
    load.load("a")
    (rows,) = [fact for fact in run_slices(load) if isinstance(fact, BronzeLanded)]
    load.commit(rows)
    refine_landed(rows)
    before = ids(load)
    load.execute("DELETE FROM {t} WHERE id IN (1003, 1004, 1009)")
    assert load.follow(keyed(load, "b").model_copy(update={"only_keys": True})) == []
    (keys,) = [fact for fact in run_slices(load) if isinstance(fact, BronzeLanded)]
    load.commit(keys)
    batch = batch_records.history(load.key)[0]
    assert len(given(batch.slices).ranges) > 1 and len(given(batch.manifest).objects) == len(given(batch.slices).ranges)
    assert given(refine_landed(keys)).deleted == 3
    assert ids(load) == [one for one in before if one not in (1003, 1004, 1009)]


def test_should_order_a_comparison_when_it_is_due_and_start_one_run_for_it(aws, loads, context, monkeypatch):
    load = loads(**GROWING)
    refined(load, keyed(load, "a"))
    assert aws.messages("SubmitQueue") == []  # a first load has nothing to be compared with
    ingest(keyed(load, "b", compared_every=0))
    (order,) = [CompareKeys.model_validate(message["body"]) for message in aws.messages("SubmitQueue")]
    aws.use("SubmitQueue", "SubmitDeadLetters", monkeypatch)
    for _ in range(2):
        assert submit_job(sqs(order.model_dump(mode="json")), context) == {"batchItemFailures": []}
    commands = [IngestTable.model_validate(message["body"]) for message in aws.messages("IngestQueue")]
    (command,) = [one for one in commands if one.bronze.table == f"bronze_{load.name}"]
    assert command.only_keys and command.run_id == order.new_run_id
    run = runs.read_run(order.new_run_id)
    assert (run["workflow_id"], run["trigger"], len(run["tables"])) == ("w.deletes", "deletes", 1)
    load.execute("DELETE FROM {t} WHERE id = 20")
    assert refined(load, command)[0].deleted == 1
    ingest(keyed(load, "d"))
    assert aws.messages("SubmitQueue") == []  # compared just now


@pytest.mark.parametrize("change", ["object", "login"])
def test_should_refuse_another_source_and_one_that_shows_a_part_of_its_rows(loads, change):
    load = loads(**GROWING)
    refined(load, keyed(load, "a"))
    if change == "object":
        load.execute("DROP TABLE {t}", "CREATE TABLE {t} (id int PRIMARY KEY, at rowversion)")
        with pytest.raises(SourceChanged, match="object_id was"):
            compared(load, "b")
    else:
        load.execute(
            "CREATE FUNCTION dbo.f_{t}(@id int) RETURNS TABLE WITH SCHEMABINDING AS RETURN SELECT 1 AS ok WHERE @id > 15",
            "CREATE SECURITY POLICY dbo.p_{t} ADD FILTER PREDICATE dbo.f_{t}(id) ON dbo.{t}",
        )
        with pytest.raises(UnsupportedSource, match="a security policy filters rows"):
            compared(load, "b")
    assert ids(load) == [10, 20, 30]


def test_should_do_nothing_before_a_first_load(loads):
    load = loads(**GROWING)
    outcome = ingest(keyed(load, "a").model_copy(update={"only_keys": True}))
    (fact,) = outcome.facts
    assert isinstance(fact, IntervalEmpty) and fact.reason.startswith("nothing of the table has been loaded yet")


def test_should_make_the_same_silver_anew_from_bronze(loads):
    load = loads(**GROWING)
    refined(load, keyed(load, "a"))
    load.execute("DELETE FROM {t} WHERE id = 20")
    compared(load, "b")
    load.execute("INSERT INTO {t} (id) VALUES (20), (40)")
    refined(load, keyed(load, "c"))
    load.execute("DELETE FROM {t} WHERE id = 10")
    compared(load, "d")
    again = rebuild_silver(settings().bucket, load.name, write=False, rows_per_range=100)
    assert (again.batches, again.difference.equal, ids(load)) == (4, True, [20, 30, 40])
