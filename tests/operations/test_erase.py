"""One person's rows are erased: their values are found nowhere afterwards, and nobody else's rows have changed."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from io import BytesIO
from typing import Any
from urllib.parse import unquote

import duckdb
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake

from flowforge.aws import items
from flowforge.aws.clients import client
from flowforge.domain.batch import Batch
from flowforge.domain.errors import Fatal, NotFound, Retriable
from flowforge.domain.given import given
from flowforge.operations.rebuild_silver import rebuild_silver
from flowforge.runtime.settings import settings
from flowforge.silver.refine import refine
from flowforge.state import batch_records, corrections
from flowforge.tables.delta.access import storage_options
from flowforge.tables.lake import table_uri
from tests.helpers.aws_proxy import AwsProxy, Call, Fault
from tests.helpers.erased import EARLIER, KEY, NAME, SECRET, erased, filled, others, people, settled, stored
from tests.helpers.servers import ROOT
from tests.helpers.waiting import LIMIT_SECONDS


@pytest.fixture
def proxy(s3_endpoint: str) -> Iterator[AwsProxy]:
    with AwsProxy(s3_endpoint) as running:
        yield running


@pytest.mark.parametrize(("strategy", "versioned"), [("merge", True), ("scd2", False), ("append", False)])
def test_should_find_no_value_of_the_person_anywhere_afterwards(lake, recorded, strategy, versioned):
    if versioned:
        client("s3").put_bucket_versioning(Bucket=lake.bucket, VersioningConfiguration={"Status": "Enabled"})
    batches = filled(lake, recorded, strategy=strategy, deletes="soft")
    layers = ("silver", "gold", "quarantine")
    before = {layer: others(lake, layer) for layer in layers}
    verdicts = settled(lake)
    assert SECRET in stored(lake)
    shown = erased(lake, apply=False)
    assert shown.is_found and not shown.applied and SECRET in stored(lake)
    done = erased(lake)
    assert (done.left, done.remains) == ([], []), done.document()
    text = stored(lake) + json.dumps(done.document()).lower()
    assert [one for one in (SECRET, NAME, EARLIER) if one.lower() in text] == []
    assert {layer: others(lake, layer) for layer in layers} == before
    assert (verdicts, settled(lake)) == ((2, 1) if strategy == "merge" else (0, 0))
    for batch in batches[:2]:  # replayed as its message has it, and as it is recorded
        refine(batch, lake.bucket)
        refine(given(batch_records.find_batch(KEY, batch.generation, batch.seq)), lake.bucket)
    assert rebuild_silver(lake.bucket, "customers", False, 2).difference.equal
    assert not erased(lake).is_found and SECRET not in stored(lake)


def test_should_go_on_where_it_was_killed(lake, recorded, proxy, tmp_path):
    batches = filled(lake, recorded)
    before = others(lake)

    def command(*options: str, rule: Any = None) -> subprocess.CompletedProcess[str]:
        where = ["--bucket", lake.bucket, "--watermarks-table", settings().watermarks_table]
        worker = subprocess.Popen(
            [sys.executable, "-m", "flowforge.cli", "erase", "customers", "--key-file", "-", *where, *options],
            env=os.environ | {"AWS_ENDPOINT_URL": proxy.url, "PYTHONPATH": str(ROOT)}, cwd=tmp_path,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        with proxy.ruled_by(rule(worker) if rule else lambda call: None):
            out, err = worker.communicate(f"Code={SECRET}\nbranch=1\n", timeout=LIMIT_SECONDS)
        return subprocess.CompletedProcess(worker.args, worker.returncode, out, err)

    def killed(when: Any, operation: str, path: str) -> Any:
        def rule(worker: subprocess.Popen[str]) -> Any:
            def judge(call: Call) -> Fault | None:
                met = call.operation == operation and re.search(path, unquote(call.path))
                return Fault(when, worker.kill) if met else None

            return judge

        return rule

    for step in (("after", "S3.PUT", "/bronze/"), ("before", "S3.POST", r"\?delete")):
        assert command("--apply", rule=killed(*step)).returncode == -9
        assert others(lake) == before
        refine(batches[0], lake.bucket)  # whose object may be another than its record says
    ended = command("--apply", "--json")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert others(lake) == before and rebuild_silver(lake.bucket, "customers", False, 2).difference.equal
    assert SECRET not in stored(lake) + (ended.stdout + ended.stderr).lower()
    (note,) = corrections.audit(KEY)
    assert (note["action"], note["column"]) == ("erase", "code, branch")


def test_should_show_what_is_there_and_refuse_what_it_cannot_do(lake, recorded):
    batches = filled(lake, recorded)
    found = {layer.name: layer for layer in erased(lake, apply=False).found}
    assert (found["bronze"].objects, found["bronze"].holding, found["bronze"].rows) == (5, 5, 5)
    assert (found["silver.customers"].rows, found["gold.customers"].rows, found["quarantine.customers"].rows) == (
        1,
        1,
        1,
    )
    assert given(found["silver.customers, earlier versions"].rows) > 1
    assert erased(lake, apply=False, code=SECRET.upper() + "  ", branch="01").is_found  # as the source compares them
    assert erased(lake, apply=False, code=SECRET).is_found  # of any branch
    assert not erased(lake, apply=False, code=SECRET, branch="2").is_found
    for wrong, told in (({"v": "10"}, "v is none of the columns of its key"), ({"branch": "1.5"}, "branch is no BIGINT"),
                        ({"branch": "x"}, "branch is no BIGINT")):  # fmt: skip
        with pytest.raises(Fatal, match=told):
            erased(lake, apply=False, **wrong)
    with pytest.raises(NotFound):
        erased(lake, table="nobody")
    late = batches[-1].model_copy(update={"seq": 9, "state": "landed", "updated_at": time.time(), "label": "b9"})
    items.put(settings().watermarks_table, batch_records.item_of(late))
    with pytest.raises(Retriable, match=r"batch 9 is landed, not yet in silver"):
        erased(lake)
    items.put(settings().watermarks_table, batch_records.item_of(late.model_copy(update={"updated_at": 0})))
    (left,) = erased(lake).left  # whose worker is gone, or has read its rows long ago
    assert re.search(r"batch 9 is landed, not yet in silver, and had such rows: replay or void it, then run", left)


def test_should_say_what_it_leaves(lake, recorded, proxy, monkeypatch):
    batches = filled(lake, recorded)
    gold = table_uri(lake.bucket, "gold", "copied")
    with duckdb.connect() as engine:  # of a model that is gone
        engine.register("rows", lake.read("gold", "customers"))
        write_deltalake(gold, engine.sql("SELECT * FROM rows"), storage_options=storage_options())
    foreign = {"Bucket": lake.bucket, "Key": "bronze/bronze_customers/by-hand.parquet"}
    body = BytesIO()
    pq.write_table(people((SECRET, 1, NAME), ("b", 1, "Bo")), body)
    client("s3").put_object(**foreign, Body=body.getvalue())
    items.put(
        settings().watermarks_table,
        batch_records.item_of(batches[-1].model_copy(update={"command": broken(batches[-1]), "refined": True})),
    )
    denied = Fault("instead", status=403, code="AccessDenied")
    proxy.rule = lambda call: denied if "versions" in call.path.partition("?")[2] else None
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
    done = erased(lake)
    assert [one.partition(":")[0] for one in done.left] == [
        "gold is not built anew",
        "noncurrent versions of objects, if the bucket keeps any",
        "1 objects below bronze/ that are none of the table's and hold such rows",
        "gold.copied holds such rows",
        "gold.copied",
    ], done.left
    assert "(flowforge lineage gold.copied tells what does)" in done.left[3]


def broken(batch: Batch) -> Any:
    """The batch's command with a model that fails."""
    models = [{"table": "wrong", "sql": "SELECT nothing FROM silver.customers"}]
    return type(batch.command).model_validate(
        batch.command.model_dump() | {"gold": {"table": "customers", "models": models}}
    )
