"""One person's rows are erased while loads go on: what may bring them again is named, and no load's rows are lost."""

import re
import time

import pyarrow as pa
import pytest

from flowforge.aws import items
from flowforge.aws.clients import client
from flowforge.domain.errors import Retriable
from flowforge.domain.given import given
from flowforge.gold.model_files import write_models
from flowforge.gold.step import publish_dropped
from flowforge.operations.erasure.erase import erase
from flowforge.runtime.settings import settings
from flowforge.state import batch_records, batches
from flowforge.tables.base import Moved, VersionGone, once
from flowforge.tables.lake import open_table, table_uri
from tests.helpers.erased import CI, KEY, NAME, SECRET, erased, filled, others, people, stored
from tests.helpers.lake import with_footers


@pytest.mark.parametrize("state", ["claimed", "committed", "refined"])
def test_should_name_a_load_that_came_while_it_ran(lake, recorded, state):
    """Whatever the load has read by then: it may have the rows, and may write them after all was looked through."""
    source = lake.source(key=["code", "branch"], source_key=KEY, columns={"code": CI})
    recorded(with_footers(lake, source.batch(1, people((SECRET, 10, NAME), ("b", 20, "Bo")))))
    landed = with_footers(lake, source.batch(2, people((SECRET, 11, NAME))))
    under_way = {
        "updated_at": time.time(),
        "state": state.replace("refined", "committed"),
        "refined": state == "refined",
    }

    def comes(told: str) -> None:
        if told.startswith("looking again"):
            kept = batch_records.item_of(landed.model_copy(update=under_way))
            items.put(settings().watermarks_table, kept | {"open": "yes"})

    done = erase(lake.bucket, "customers", {"code": SECRET}, apply=True, progress=comes)
    assert any(re.search("batch 2 (came meanwhile and may bring|is .* and had) such rows", left) for left in done.left)
    with pytest.raises(Retriable, match="batch 2 is"):
        erased(lake)
    recorded(landed)
    again = erased(lake)
    assert (again.left, again.remains, SECRET in stored(lake)) == ([], [], False)


def test_should_name_gold_that_a_batch_of_another_table_is_building(lake, recorded):
    filled(lake, recorded)
    sql = b"SELECT c.name FROM silver.customers c JOIN silver.orders o ON o.code = c.code"
    client("s3").put_object(Bucket=lake.bucket, Key="models/both.sql", Body=sql)
    source = lake.source("orders", key=["code"], source_key=KEY.replace("customers", "orders"), gold={"table": None})
    orders = recorded(with_footers(lake, source.batch(1, people((SECRET, 10, NAME), ("b", 20, "Bo")))))
    publish_dropped(lake.bucket, "models/both.sql")
    building = orders.model_copy(update={"refined": True, "updated_at": time.time()})
    items.put(settings().watermarks_table, batch_records.item_of(building))
    done = erased(lake)
    assert len(done.left) == 1 and re.search(
        r"gold\.both: .*orders .*batch 1 builds it, perhaps of rows", done.left[0]
    ), done.left
    batches.mark(building, published=True)
    assert erased(lake).left == []
    assert [row["name"] for row in lake.read("gold", "both").to_pylist()] == ["Bo"]


def test_should_name_gold_whose_model_was_kept_a_moment_before_until_it_has_had_its_turn(lake, recorded):
    """Whoever builds it by S3's notice may have read silver before the rows went."""
    source = lake.source(key=["code", "branch"], source_key=KEY, columns={"code": CI})
    recorded(with_footers(lake, source.batch(1, people((SECRET, 10, NAME), ("b", 20, "Bo")))))
    write_models({"models/kept.sql": "SELECT name FROM silver.customers"}, lake.bucket)
    write_models({"models/after.sql": "SELECT name FROM gold.kept"}, lake.bucket)
    told = sorted(erased(lake).left)
    assert [one.partition(",")[0] for one in told] == [
        f"gold.{name}: the model of gold.{name}" for name in ("after", "kept")
    ]
    for name in ("kept", "after"):
        publish_dropped(lake.bucket, f"models/{name}.sql")
    assert erased(lake).left == [] and lake.read("gold", "after").to_pylist() == [{"name": "Bo"}]


def test_should_take_no_commit_of_a_worker_that_had_opened_the_table_before(lake, recorded):
    """The version that it commits next is erased by then: a free name would take the commit, and nobody would ever see it."""
    source = lake.source(key=["code", "branch"], source_key=KEY, columns={"code": CI})
    recorded(with_footers(lake, source.batch(1, people((SECRET, 10, NAME), ("b", 20, "Bo")))))
    uri = table_uri(lake.bucket, "silver", "customers")
    opened = [given(open_table(uri)) for _ in range(2)]
    recorded(with_footers(lake, source.batch(2, people(("c", 30, "Cy")))))
    assert erased(lake).left == []
    with pytest.raises(Moved):
        opened[0].swap([], [], once(metadata={"who": "late"}))
    with pytest.raises(Moved):
        opened[1].overwrite(pa.RecordBatchReader.from_batches(pa.schema([("code", pa.string())]), []), once())
    assert not erased(lake).is_found and SECRET not in stored(lake)
    newest = given(open_table(uri))
    assert [one["version"] for one in newest.history() if one["version"] < newest.version() - 1] == []
    with pytest.raises(VersionGone):
        newest.at(1)
    recorded(with_footers(lake, source.batch(3, people(("d", 40, "Di")))))
    assert sorted(row["code"] for row in others(lake)) == ["b", "c", "d"]
