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
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake

from flowforge.aws import items
from flowforge.aws.clients import client
from flowforge.aws.compact import unpack
from flowforge.domain.batch import Batch
from flowforge.domain.errors import Fatal, NotFound, Retriable
from flowforge.domain.given import given
from flowforge.gold.publish import publish
from flowforge.operations.erasure.erase import erase
from flowforge.operations.erasure.report import Erasure
from flowforge.operations.rebuild_silver import rebuild_silver
from flowforge.runtime.settings import settings
from flowforge.silver.refine import refine
from flowforge.state import batch_records, batches, corrections
from flowforge.tables.base import Moved, VersionGone, once
from flowforge.tables.delta.access import storage_options
from flowforge.tables.lake import open_table, table_uri
from tests.helpers.aws_proxy import AwsProxy, Call, Fault
from tests.helpers.lake import with_footers
from tests.helpers.servers import ROOT
from tests.helpers.waiting import LIMIT_SECONDS

KEY = "srv:1/db/dbo.customers>bronze_customers"
SECRET, NAME, EARLIER = "xq7-person", "Unmistakable Name", "Name Of Before"
CI = {"sql_type": "nvarchar(20)", "nullable": False, "collation": "SQL_Latin1_General_CP1_CI_AS"}
KEPT_OUT = [{"rule": "range", "column": "v", "max": 100, "severity": "quarantine", "name": "small"}]


@pytest.fixture
def proxy(s3_endpoint: str) -> Iterator[AwsProxy]:
    with AwsProxy(s3_endpoint) as running:
        yield running


def people(*rows: tuple[str, int, str]) -> pa.Table:
    names = ("code", "branch", "name", "v", "file_index", "file_row_number", "_order")  # any name may be a column's
    return pa.table({name: [(one[0], 1, one[2], one[1], 9, 9, 9)[n] for one in rows] for n, name in enumerate(names)})


def filled(lake: Any, recorded: Any, **changes: Any) -> list[Batch]:
    """Five batches: the person comes, changes in another spelling, is kept out, comes again (which settles that), is kept out."""
    wanted = {"key": ["code", "branch"], "source_key": KEY, "rules": KEPT_OUT, "columns": {"code": CI}, **changes}
    source = lake.source(**wanted)
    rows = [
        people((SECRET, 10, EARLIER), ("b", 20, "Bo"), ("c", 30, "Cy")),
        people((SECRET.upper(), 11, NAME), ("b", 21, "Bo")),
        people((SECRET, 500, NAME), ("c", 501, "Cy")),
        people((SECRET, 12, NAME), ("b", 22, "Bo"), ("c", 31, "Cy"), ("d", 40, "Di")),
        people((SECRET, 600, NAME), ("e", 50, "Ed")),
    ]
    made = [recorded(with_footers(lake, source.batch(n, one))) for n, one in enumerate(rows, start=1)]
    publish(made[-1], lake.bucket)
    return made


def erased(lake: Any, apply: bool = True, table: str = "customers", **key: str) -> Erasure:
    return erase(lake.bucket, table, key or {"code": SECRET, "branch": "1"}, apply)


def stored(lake: Any) -> str:
    """Every version of every object, and every item, as text; of Parquet every cell, every statistic and the footer."""
    found, s3 = list[str](), client("s3")
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=lake.bucket):
        for one in page.get("Versions", []):
            where = {"Bucket": lake.bucket, "Key": one["Key"], "VersionId": one["VersionId"]}
            body = s3.get_object(**where)["Body"].read()
            found.append(body.decode("latin-1"))
            if one["Key"].endswith(".parquet"):
                file = pq.ParquetFile(BytesIO(body))
                found += [repr(file.read().to_pylist()), repr(file.metadata.metadata)]
    for item in items.scan(settings().watermarks_table):
        found += [repr(unpack(v)) if str(v).startswith("zlib85:") else repr(v) for v in item.values()]
    return "\n".join(found).lower()


def others(lake: Any, layer: str = "silver") -> list[dict[str, Any]]:
    rows = lake.read(layer, "customers").to_pylist()
    return sorted((row for row in rows if row["code"].lower() != SECRET), key=repr)


def settled(lake: Any) -> int:
    """Verdicts of entries that have left quarantine."""
    there = open_table(table_uri(lake.bucket, "quarantine", "_settled/customers"))
    return there.count() if there else 0


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
    for wrong, told in (({"v": "10"}, "v is none of columns of its key"), ({"branch": "1.5"}, "branch is no BIGINT"),
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
    publish(orders, lake.bucket)
    building = orders.model_copy(update={"refined": True, "updated_at": time.time()})
    items.put(settings().watermarks_table, batch_records.item_of(building))
    done = erased(lake)
    assert len(done.left) == 1 and re.search(
        r"gold\.both: .*orders .*batch 1 builds it, perhaps of rows", done.left[0]
    ), done.left
    batches.mark(building, published=True)
    assert erased(lake).left == []
    assert [row["name"] for row in lake.read("gold", "both").to_pylist()] == ["Bo"]


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


def broken(batch: Batch) -> Any:
    """The batch's command with a model that fails."""
    models = [{"table": "wrong", "sql": "SELECT nothing FROM silver.customers"}]
    return type(batch.command).model_validate(
        batch.command.model_dump() | {"gold": {"table": "customers", "models": models}}
    )
