"""Silver and gold read by Sail, over Spark Connect: the same rows and types as by deltalake, DuckDB and Polars."""

import os
import subprocess
from pathlib import Path

import pyarrow as pa
import pytest

from flowforge.domain.names import TableName
from flowforge.gold.build import build
from flowforge.gold.models import read_model
from flowforge.gold.publish import publish
from flowforge.operations.upkeep import maintain
from flowforge.silver.refine import refine
from flowforge.tables.delta.access import storage_options
from flowforge.tables.lake import table_uri
from tests.helpers.lake import delta_table
from tests.helpers.readers import CANONICAL, ODD_NAMES, read_everywhere

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".venv-sail" / "bin" / "python"


@pytest.fixture
def sail(tmp_path: Path):
    """Reads tables by their URIs with Sail, in its own environment."""
    if not PYTHON.exists():
        pytest.skip("no .venv-sail: `make test-sail` makes it")
    plain = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}

    def read(*uris: str) -> list[pa.Table]:
        command = [str(PYTHON), str(ROOT / "tests" / "helpers" / "sail_reader.py"), str(tmp_path), *uris]
        done = subprocess.run(command, env=plain | storage_options(), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        files = [tmp_path / f"{number}.arrow" for number in range(len(uris))]
        return [pa.ipc.open_file(pa.BufferReader(file.read_bytes())).read_all() for file in files]

    return read


def test_should_read_silver_and_gold_with_sail_as_with_the_others(lake, sail):
    source = lake.source("types", key=["id"])
    history = lake.source("history", key=["id"], strategy="scd2")
    model = read_model("model", "SELECT id, * EXCLUDE (id) FROM silver.types", "incremental", ["id"])
    for seq, ids in ((1, [1, 9]), (2, [1, 2])):
        columns = {name: pa.array([*values[:1], None], kind) for name, (kind, values, _, _) in CANONICAL.items()}
        if seq == 2:
            columns = {name: pa.array(values, kind) for name, (kind, values, _, _) in CANONICAL.items()}
        batch = source.batch(seq, pa.table({"id": ids, **columns}))
        refine(batch, lake.bucket)
        publish(batch, lake.bucket)
        build(model, lake.bucket)
        refine(history.batch(seq, pa.table({"id": [1], "v": [seq]})), lake.bucket)
    odd = lake.source("odd", key=["id"]).batch(1, pa.table({"id": [1], **{name: [name] for name in ODD_NAMES}}))
    refine(odd, lake.bucket)
    tables = [("silver", "types"), ("gold", "types"), ("gold", "model"), ("silver", "history"), ("silver", "odd")]
    maintain(TableName("gold", "model"), lake.bucket, 168)

    uris = [table_uri(lake.bucket, layer, table) for layer, table in tables]
    for uri, found in zip(uris, sail(*uris), strict=True):
        expected = delta_table(uri).to_pyarrow_table()
        assert {field.name: field.type for field in found.schema} == {f.name: f.type for f in expected.schema}, uri
        rows = sorted(found.to_pylist(), key=_identity)
        assert rows
        for others in read_everywhere(uri):
            assert rows == sorted(others, key=_identity), uri


def _identity(row: dict) -> tuple:
    return row["id"], str(row.get("_valid_from"))
