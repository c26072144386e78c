"""Rows that leave quarantine: at their batch's place in the order, once, and never over a newer one."""

from typing import Any

import pyarrow as pa
import pytest

from events.request import SilverConfig
from flowforge.domain.errors import TransformRejected
from flowforge.silver.refine import refine
from flowforge.silver.release import release, waiting

STRICT = [{"rule": "range", "column": "v", "max": 10, "severity": "quarantine", "name": "small"}]


def numbers(*rows: tuple[int | None, int], day: int = 1) -> pa.Table:
    ids, values = zip(*rows, strict=True)
    at = pa.array([day] * len(rows), pa.timestamp("s"))
    return pa.table({"id": pa.array(ids, pa.int32()), "v": pa.array(values, pa.int32()), "at": at})


def rules(*given: dict[str, Any]) -> list[Any]:
    return SilverConfig.model_validate({"qualityRules": given}).qualityRules


def rows_of(lake: Any, *names: str) -> list[tuple[Any, ...]]:
    return sorted(tuple(row[n] for n in names) for row in lake.read("silver", "customers").to_pylist())


MILD = rules({**STRICT[0], "max": 50})


def test_should_apply_rows_that_pass_now_and_keep_the_others(lake):
    batch = lake.source(key=["id"], rules=STRICT).batch(1, numbers((1, 5), (2, 20), (3, 100), (None, 1)))
    refine(batch, lake.bucket)
    released = release(batch, lake.bucket, MILD)
    assert (released.released, released.kept, released.change.inserted) == (1, 1, 1)
    assert rows_of(lake, "id", "v") == [(1, 5), (2, 20)]
    assert sorted(row["v"] for row in lake.read("quarantine", "customers").to_pylist()) == [1, 100]
    assert release(batch, lake.bucket, MILD).released == 0
    assert release(batch, lake.bucket, []).released == 1
    assert waiting(lake.bucket, "customers") == {}
    assert rows_of(lake, "id", "v", "_seq") == [(1, 5, 1), (2, 20, 1), (3, 100, 1)]


def test_should_not_put_a_released_row_over_a_newer_one(lake):
    source = lake.source(key=["id"], rules=STRICT)
    refine(source.batch(1, numbers((1, 1), (2, 1))), lake.bucket)
    kept = source.batch(2, numbers((1, 20), (2, 20)))
    refine(kept, lake.bucket)
    refine(source.batch(3, numbers((1, 3))), lake.bucket)
    released = release(kept, lake.bucket, [])
    assert (released.released, released.change.updated) == (1, 1)
    assert rows_of(lake, "id", "v", "_seq") == [(1, 3, 3), (2, 20, 2)]


def test_should_not_bring_back_what_a_later_refresh_has_not_found(lake):
    source = lake.source(key=["id"], rules=STRICT, load="full_refresh")
    kept = source.batch(1, numbers((1, 1), (2, 20)))
    refine(kept, lake.bucket)
    refine(source.batch(2, numbers((1, 1))), lake.bucket)
    assert release(kept, lake.bucket, []).released == 0
    assert rows_of(lake, "id") == [(1,)]


@pytest.mark.parametrize("deletes", ["hard", "soft"])
def test_should_release_rows_of_the_newest_refresh_without_removing_others(lake, deletes):
    source = lake.source(key=["id"], rules=STRICT, load="full_refresh", deletes=deletes)
    batch = source.batch(1, numbers((1, 1), (2, 20)))
    refine(batch, lake.bucket)
    assert release(batch, lake.bucket, []).change.inserted == 1
    assert rows_of(lake, "id") == [(1,), (2,)]


@pytest.mark.parametrize("cursor", [None, "at"])
def test_should_slot_a_released_state_into_the_history(lake, cursor):
    load = {"load": "full_refresh"} if cursor is None else {"cursor": cursor}
    source = lake.source(key=["id"], rules=STRICT, strategy="scd2", deletes="soft", **load)
    refine(source.batch(1, numbers((1, 1), (2, 1), day=1)), lake.bucket)
    kept = source.batch(2, numbers((1, 20), (2, 1), day=2))
    refine(kept, lake.bucket)
    refine(source.batch(3, numbers((1, 3), (2, 1), day=3)), lake.bucket)
    assert release(kept, lake.bucket, []).released == 1
    versions = rows_of(lake, "id", "_valid_from", "v", "_is_current")
    assert [version[2:] for version in versions if version[0] == 1] == [(1, False), (20, False), (3, True)]


def test_should_release_rows_without_key_and_overlaps_once(lake):
    for settings in (
        {"silver_table": "one"},
        {"silver_table": "two", "strategy": "append", "cursor": "at", "key": ["id"]},
    ):
        source = lake.source(rules=STRICT, **settings)
        batch = source.batch(1, numbers((1, 1), (2, 20)))
        refine(batch, lake.bucket)
        assert release(batch, lake.bucket, []).change.inserted == 1
        assert lake.read("silver", settings["silver_table"]).num_rows == 2


def test_should_not_release_into_a_table_that_only_adds(lake):
    batch = lake.source(rules=STRICT, strategy="append").batch(1, numbers((1, 20)))
    refine(batch, lake.bucket)
    with pytest.raises(TransformRejected, match="only adds rows"):
        release(batch, lake.bucket, [])
