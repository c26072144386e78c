"""Batches that are applied and recorded, as the functions do it."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from flowforge.aws import items
from flowforge.aws.clients import client
from flowforge.domain.batch import Batch
from flowforge.silver.refine import refine
from flowforge.state import batch_records


@pytest.fixture
def recorded(lake: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Batch], Batch]]:
    """Applies a batch to silver and keeps its record, as the functions do."""
    name = f"watermarks-{lake.bucket}"
    keys = [{"AttributeName": key, "KeyType": kind} for key, kind in (("pk", "HASH"), ("sk", "RANGE"))]
    order = [{"AttributeName": key, "KeyType": kind} for key, kind in (("open", "HASH"), ("updated_at", "RANGE"))]
    types = [{"AttributeName": key, "AttributeType": "S"} for key in ("pk", "sk", "open")]
    index = {"IndexName": "open-batches", "KeySchema": order, "Projection": {"ProjectionType": "KEYS_ONLY"}}
    client("dynamodb").create_table(
        TableName=name,
        KeySchema=keys,
        AttributeDefinitions=[*types, {"AttributeName": "updated_at", "AttributeType": "N"}],
        GlobalSecondaryIndexes=[index],
        BillingMode="PAY_PER_REQUEST",
    )
    monkeypatch.setenv("FLOWFORGE_WATERMARKS_TABLE", name)

    def record(batch: Batch, applied: bool = True, rules: Any = None) -> Batch:
        if applied:
            refine(batch, lake.bucket, rules=rules)
        item = batch_records.item_of(batch.model_copy(update={"refined": applied, "published": applied}))
        items.put(name, {name: value for name, value in item.items() if name != "open"})
        return batch

    yield record
