"""Deletes with nothing set up at the source: all keys are read, twice, and what silver has beside them goes."""

from typing import Any

import pytest

from events.commands import CompareKeys, IngestTable
from events.envelopes import sqs
from events.facts import IntervalEmpty
from flowforge.bronze.ingest import ingest
from flowforge.domain.errors import DeletesRefused, SourceChanged, UnsupportedSource
from flowforge.operations.rebuild_silver import rebuild_silver
from flowforge.runtime.settings import settings
from flowforge.silver.step import refine_landed
from flowforge.state import runs
from functions.submit_job.handler import handler as submit_job
from tests.helpers.key_comparisons import GROWING, compared, ids, keyed, refined, silver
from tests.helpers.loads import landed


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
