"""Gold models over a table of accounts, built where all their inputs are there."""

import pyarrow as pa

from flowforge.gold.build import Built
from flowforge.gold.build import build as build_model
from flowforge.gold.models import Model


def build(model: Model, bucket: str) -> Built:
    """Builds a model whose inputs are all there."""
    built = build_model(model, bucket)
    assert isinstance(built, Built)
    return built


def accounts(*rows: tuple[int, int | None, int]) -> pa.Table:
    kinds = {"id": pa.int64(), "customer_id": pa.int64(), "balance": pa.int64()}
    return pa.table({name: pa.array([row[n] for row in rows], kind) for n, (name, kind) in enumerate(kinds.items())})
