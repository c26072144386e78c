"""A state that was lost or restored, a lake that was replaced, two deployments in one: nothing is lost, doubled or hidden."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from flowforge.aws.clients import client
from flowforge.bronze.announcements import landed_fact
from flowforge.domain.errors import ConflictingTarget, LakeChanged
from flowforge.domain.given import given
from flowforge.operations.query import query
from flowforge.operations.rebuild import rebuild
from flowforge.operations.rebuild_silver import rebuild_silver
from flowforge.operations.watermarks import commit_landed, reset_by_hand
from flowforge.runtime.settings import settings
from flowforge.silver.step import refine_landed
from flowforge.state import batch_records, table
from flowforge.state.lake_head import head_key
from flowforge.state.leases import release
from flowforge.tables.base import once
from flowforge.tables.lake import table_uri
from tests.helpers.lake import delta_table
from tests.helpers.loads import Loads, run_slices


@pytest.fixture
def load(loads) -> Loads:
    return loads("rowversion", rows="INSERT INTO {t} (id) VALUES (10), (20), (30)")


def copy_of_state() -> list[dict]:
    pages = client("dynamodb").get_paginator("scan").paginate(TableName=settings().watermarks_table)
    return [item for page in pages for item in page["Items"]]


def lose_state(kept: Sequence[dict] = ()) -> None:
    """Empties the watermark table, or restores it to a copy."""
    for item in copy_of_state():
        client("dynamodb").delete_item(TableName=settings().watermarks_table, Key={k: item[k] for k in ("pk", "sk")})
    for item in kept:
        client("dynamodb").put_item(TableName=settings().watermarks_table, Item=item)


def refined(load: Loads, run: str, column: str | None = "at", strategy: str = "merge", **source) -> list:
    """Loads and refines, always under one label; returns what the run tells of it."""
    command = load.command(run, column, **source)
    silver = command.silver.model_copy(update={"strategy": strategy})
    facts = load.follow(command.model_copy(update={"batch_id": "nightly", "silver": silver}))
    for fact in facts:
        refine_landed(fact)
    return facts


def in_silver(load: Loads) -> list[tuple]:
    return query(f'SELECT id, hex("at") FROM silver.{load.name} ORDER BY ALL', settings().bucket).rows


def at_source(load: Loads) -> list[tuple]:
    with load.server.connect() as connection, connection.cursor() as cursor:
        cursor.execute(f"SELECT id, at FROM {load.name} ORDER BY id")
        rows: list[Any] = cursor.fetchall()
        return [(number, stamp.hex().upper()) for number, stamp in rows]


def delete_objects(*prefixes: str) -> None:
    for prefix in prefixes:
        pages = client("s3").get_paginator("list_objects_v2").paginate(Bucket=settings().bucket, Prefix=prefix)
        for key in [entry["Key"] for page in pages for entry in page.get("Contents", [])]:
            client("s3").delete_object(Bucket=settings().bucket, Key=key)


def change(load: Loads, n: int) -> None:
    load.execute("UPDATE {t} SET id = id WHERE id = 10", f"INSERT INTO {{t}} (id) VALUES ({100 + n})")


@pytest.mark.parametrize("column", ["at", None])
def test_should_go_on_above_the_lake_when_the_state_is_lost(load, column):
    refined(load, "one", column)
    lose_state()
    change(load, 1)
    (fact,) = refined(load, "two", column)
    assert (fact.generation, fact.records) == (2, 4)
    assert fact.bronze_key.endswith("nightly~2.parquet")
    told = " ".join(fact.notes)
    assert "the lake holds batches that the watermark table does not know (newest: generation 1, batch 1" in told
    assert "all is read again from the beginning" in told
    assert in_silver(load) == at_source(load)
    change(load, 2)
    (third,) = refined(load, "three", column)
    assert (third.generation, third.notes) == (2, [])
    assert in_silver(load) == at_source(load)


def test_should_go_on_above_the_lake_when_the_state_is_an_earlier_one(load):
    refined(load, "one")
    earlier = copy_of_state()
    change(load, 1)
    refined(load, "two")
    lose_state(earlier)
    change(load, 2)
    (fact,) = refined(load, "three")
    assert (fact.generation, fact.records) == (2, 3)  # from the earlier watermark on
    assert "lost or restored" in " ".join(fact.notes)
    assert in_silver(load) == at_source(load)


def test_should_notice_an_earlier_state_whose_next_place_nobody_took(load):
    """The place in the order is free in silver; what is above it is not."""
    refined(load, "one")
    earlier = copy_of_state()
    load.meanwhile = ["INSERT INTO {t} (id) VALUES (15)"]  # so batch 2 is given up, and 3 lands
    load.execute("INSERT INTO {t} (id) VALUES (40)")
    (fact,) = refined(load, "two", "id", last_watermark="1")
    assert fact.seq == 3
    lose_state(earlier)
    change(load, 2)
    (fact,) = refined(load, "three")
    assert (fact.generation, fact.seq) == (2, 4)
    assert in_silver(load) == at_source(load)


def test_should_give_up_a_batch_that_was_under_way_in_an_earlier_state(load, sliced):
    load.follow(load.command("one"))
    earlier = copy_of_state()
    commit_landed(run_slices(load)[-1])
    change(load, 1)
    assert load.follow(load.command("two"))
    lose_state(earlier)
    release(given(batch_records.find_batch(load.key, 1, 1)))  # whoever held it is long gone
    load.follow(load.command("three"))  # queues the slices of what was under way
    with pytest.raises(LakeChanged, match="the lake changed while"):
        run_slices(load)
    load.follow(load.command("three"))
    fact = run_slices(load)[-1]
    assert (fact.generation, fact.records) == (2, 4)


@pytest.mark.parametrize("strategy", ["append", "scd2"])
def test_should_refuse_where_the_lake_keeps_more_than_the_source_and_go_on_once_rebuilt(load, strategy):
    refined(load, "one", strategy=strategy)
    change(load, 1)
    silver = load.command("two").silver.model_copy(update={"strategy": strategy})
    load.follow(load.command("two").model_copy(update={"silver": silver}))  # bronze has it, silver does not
    lose_state()
    change(load, 2)
    with pytest.raises(LakeChanged, match="generation 1, batch 2") as refused:
        refined(load, "three", strategy=strategy)
    assert f"flowforge watermark rebuild --table bronze_{load.name} --write" in refused.value.remedy
    assert table.read_state(load.key).seq == 0
    answer = rebuild(settings().bucket, f"bronze_{load.name}", write=True)
    assert [(one["action"], one["for_silver"]) for one in answer["tables"]] == [("written", 1)]
    refine_landed(landed_fact(given(batch_records.find_batch(load.key, 1, 2))))  # as the sweeper tells it
    (fact,) = refined(load, "three", strategy=strategy)
    assert (fact.generation, fact.notes) == (2, [])
    held = query(f"SELECT id, count(*) FROM silver.{load.name} GROUP BY 1 ORDER BY 1", settings().bucket).rows
    assert held == [(10, 3), (20, 1), (30, 1), (101, 1), (102, 1)]  # every state that was landed, once


def test_should_refuse_a_load_that_would_leave_out_what_the_lake_has_not_reached(load):
    refined(load, "one", "id", last_watermark="1")
    load.execute("INSERT INTO {t} (id) VALUES (40), (50)")
    lose_state()
    with pytest.raises(LakeChanged, match="a load from 45 on would leave out what lies between") as refused:
        refined(load, "two", "id", last_watermark="45")
    assert "flowforge watermark rebuild" in refused.value.remedy
    (fact,) = refined(load, "three", "id", last_watermark="1")
    assert (fact.generation, fact.records) == (2, 5)


@pytest.mark.parametrize("left", ["bronze", "silver", "a checkpoint"])
def test_should_find_out_what_a_lake_without_a_head_holds(load, left):
    refined(load, "one")
    change(load, 1)
    refined(load, "two")
    if left == "a checkpoint":
        silver = delta_table(table_uri(settings().bucket, "silver", load.name))
        silver.swap([], [], once())  # a commit that tells of no batch
        silver = delta_table(silver.table_uri)
        silver.create_checkpoint()
        commits = [f"silver/{load.name}/_delta_log/{version:020}.json" for version in range(silver.version())]
        delete_objects(*commits)
    delete_objects(head_key(load.key), *([] if left == "bronze" else [f"bronze/bronze_{load.name}/"]))
    lose_state()
    change(load, 2)
    (fact,) = refined(load, "three")
    assert (fact.generation, fact.seq) == (2, 3)
    assert in_silver(load) == at_source(load)


def test_should_refuse_a_lake_that_lacks_what_the_state_has_committed_until_a_person_decides(load):
    refined(load, "one")
    delete_objects(head_key(load.key), f"bronze/bronze_{load.name}/", f"silver/{load.name}/")
    change(load, 1)
    with pytest.raises(LakeChanged, match="has nothing of the table") as refused:
        refined(load, "two")
    assert f"flowforge watermark reset bronze_{load.name}" in refused.value.remedy
    reset_by_hand(f"bronze_{load.name}", "another lake")
    refined(load, "three")
    assert in_silver(load) == at_source(load)


@pytest.fixture
def elsewhere(aws, monkeypatch) -> Iterator[Callable]:
    """Does something as another deployment in the same lake, with a watermark table of its own."""
    own = client("dynamodb").describe_table(TableName=settings().watermarks_table)["Table"]
    schema = {name: own[name] for name in ("KeySchema", "AttributeDefinitions")}
    indexes = [
        {name: index[name] for name in ("IndexName", "KeySchema", "Projection")}
        for index in own["GlobalSecondaryIndexes"]
    ]
    client("dynamodb").create_table(
        TableName="elsewhere", BillingMode="PAY_PER_REQUEST", GlobalSecondaryIndexes=indexes, **schema
    )

    def act(what: Callable[[], object]) -> None:
        with pytest.MonkeyPatch.context() as environment:
            environment.setenv("FLOWFORGE_WATERMARKS_TABLE", "elsewhere")
            environment.setenv("AWS_ENDPOINT_URL", aws.endpoint)  # the proxy waits for what is done
            what()

    yield act
    client("dynamodb").delete_table(TableName="elsewhere")


def test_should_refuse_a_table_that_another_deployment_has_loaded_since(load, elsewhere):
    refined(load, "one")
    change(load, 1)
    elsewhere(lambda: refined(load, "theirs"))  # starts empty: it goes on above the lake
    assert in_silver(load) == at_source(load)
    change(load, 2)
    with pytest.raises(LakeChanged, match="another deployment has loaded it into this lake") as refused:
        refined(load, "two")
    assert f"flowforge watermark rebuild --table bronze_{load.name} --write" in refused.value.remedy
    assert table.read_state(load.key).active is None
    answer = rebuild(settings().bucket, f"bronze_{load.name}", write=True)
    assert [one["action"] for one in answer["tables"]] == ["written"]
    (fact,) = refined(load, "three")
    assert fact.generation == 3
    assert in_silver(load) == at_source(load)


@pytest.mark.parametrize(
    ("label", "cause"), [("own", "the lake changed while"), ("nightly", "which the state of .* does not know")]
)
def test_should_give_up_what_was_read_while_another_deployment_landed(load, elsewhere, label, cause):
    refined(load, "one")
    change(load, 1)
    load.meanwhile = [lambda: elsewhere(lambda: refined(load, "theirs"))]
    with pytest.raises((LakeChanged, ConflictingTarget), match=cause):
        load.follow(load.command("two").model_copy(update={"batch_id": label}))
    assert load.states() == ["committed", "voided"]
    assert in_silver(load) == at_source(load)


@pytest.mark.parametrize("taken_back", [False, True], ids=["deleted", "taken back"])
def test_should_refuse_a_batch_whose_silver_table_has_lost_rows_until_it_is_made_anew(load, taken_back):
    refined(load, "one")
    before = silver_objects(load)
    change(load, 1)
    refined(load, "two")
    delete_objects(f"silver/{load.name}/")
    if taken_back:
        for key, content in before.items():
            client("s3").put_object(Bucket=settings().bucket, Key=key, Body=content)
    change(load, 2)
    (third,) = load.follow(load.command("three"))
    for _ in range(2):  # a replay does not get past it
        with pytest.raises(
            LakeChanged, match="lacks .* batch 2" if taken_back else "is gone, and it had .* batch 2"
        ) as refused:
            refine_landed(third)
    assert f"flowforge rebuild silver {load.name} --write" in refused.value.remedy
    rebuild_silver(settings().bucket, load.name, write=True, rows_per_range=1_000)
    refine_landed(third)
    assert in_silver(load) == at_source(load)


def test_should_refuse_it_too_where_many_batches_without_rows_came_since(loads):
    load = loads(indexed=False)
    refine_landed(*load.load("one"))
    for number in range(21):  # more than a table's history shows; each asks for something else, so it is a batch
        load.follow(load.command(f"idle_{number}").model_copy(update={"workflow_id": f"w{number}"}))
    assert set(load.states()) == {"empty"}
    delete_objects(f"silver/{load.name}/")
    command = load.command("last", None)  # all rows that the source has; silver may have kept more
    (last,) = load.follow(
        command.model_copy(update={"silver": command.silver.model_copy(update={"deletes": "ignore"})})
    )
    with pytest.raises(LakeChanged, match=r"is gone, and it had .* batch 1:"):
        refine_landed(last)


def test_should_make_a_lost_silver_table_anew_where_all_is_read_again(load):
    refined(load, "one")
    delete_objects(f"silver/{load.name}/")
    reset_by_hand(load.name, "silver was deleted")
    change(load, 1)
    refined(load, "two")
    assert in_silver(load) == at_source(load)


def silver_objects(load: Loads) -> dict[str, bytes]:
    place = {"Bucket": settings().bucket}
    found = client("s3").list_objects_v2(**place, Prefix=f"silver/{load.name}/")["Contents"]
    return {entry["Key"]: client("s3").get_object(**place, Key=entry["Key"])["Body"].read() for entry in found}
