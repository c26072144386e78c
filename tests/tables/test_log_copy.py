"""A copy of a table's log is only where delta-rs reads and writes: the table is what S3 has."""

import gc
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from deltalake import DeltaTable

from flowforge.domain.given import given
from flowforge.engines.base import Session
from flowforge.engines.registry import ENGINE
from flowforge.tables.base import once
from flowforge.tables.delta.access import storage_options
from flowforge.tables.delta.tables import Delta, Handle
from flowforge.tables.delta.writing import FEW_BYTES
from flowforge.tables.lake import table_uri
from flowforge.tables.rows import relation, write_files
from tests.helpers.lake import Lake


@pytest.fixture
def uri(lake: Lake) -> str:
    return table_uri(lake.bucket, "gold", "people")


@pytest.fixture
def session(lake_environment: None) -> Iterator[Session]:
    with ENGINE.session() as session:
        yield session


def opened(uri: str) -> Handle:
    return given(Delta().open(uri))


def add(session: Session, uri: str, number: int) -> None:
    table = opened(uri)
    table.swap([], write_files(session, table, f"SELECT {number} AS id"), once({f"batch/{number}": number}))


def names(lake: Lake, uri: str) -> set[str]:
    prefix = f"{uri.removeprefix(f's3://{lake.bucket}/')}/_delta_log/"
    found = lake.s3.list_objects_v2(Bucket=lake.bucket, Prefix=prefix)["Contents"]
    return {item["Key"].removeprefix(prefix) for item in found}


def as_delta_rs_has_it(uri: str) -> tuple[int, int, int | None]:
    table = DeltaTable(uri, storage_options=storage_options())
    return table.version(), table.count(), table.transaction_version("batch/1")


def test_should_open_a_table_anew_whose_handle_was_collected_in_a_circle(uri: str, session: Session):
    Delta().create(uri, session.sql("SELECT 1 AS id LIMIT 0"), {})
    add(session, uri, 1)
    circle: list[object] = [opened(uri)]  # as the traceback of a build that failed holds it
    circle.append(circle)
    del circle
    gc.collect()
    assert given(opened(uri).commit_of(1)).transactions == {"batch/1": 1}
    add(session, uri, 2)
    assert as_delta_rs_has_it(uri) == (2, 2, 1)


def test_should_write_checkpoints_that_other_readers_find(lake: Lake, uri: str, session: Session):
    Delta().create(uri, session.sql("SELECT 1 AS id LIMIT 0"), {})
    for number in range(1, 13):
        add(session, uri, number)
        assert as_delta_rs_has_it(uri) == (number, number, 1)
    log = names(lake, uri)
    checkpoint = next(name for name in log if name.endswith(".checkpoint.parquet"))
    prefix = f"{uri.removeprefix(f's3://{lake.bucket}/')}/_delta_log/"
    last = lake.s3.get_object(Bucket=lake.bucket, Key=f"{prefix}_last_checkpoint")["Body"].read()
    assert f"{json.loads(last)['version']:020}.checkpoint.parquet" == checkpoint
    for version in range(int(checkpoint[:20])):  # as a cleanup of the log leaves it
        lake.s3.delete_object(Bucket=lake.bucket, Key=f"{prefix}{version:020}.json")
    add(session, uri, 13)
    assert as_delta_rs_has_it(uri) == (13, 13, 1)
    table = opened(uri)
    assert (table.version(), table.transaction_version("batch/1"), table.transaction_version("batch/13")) == (13, 1, 13)


@pytest.mark.parametrize(
    "name", ["_sidecars/x.parquet", "00000000000000000001.checkpoint.0000000001.0000000002.parquet"]
)
def test_should_leave_a_log_to_delta_rs_that_is_not_as_delta_rs_writes_it(
    lake: Lake, uri: str, session: Session, name: str
):
    Delta().create(uri, session.sql("SELECT 1 AS id LIMIT 0"), {})
    key = f"{uri.removeprefix(f's3://{lake.bucket}/')}/_delta_log/{name}"
    table = opened(uri)
    assert table.is_copied
    table.reach_store()
    del table
    lake.s3.put_object(Bucket=lake.bucket, Key=key, Body=b"not looked at")
    table = opened(uri)
    assert not table.is_copied
    del table
    add(session, uri, 1)
    assert as_delta_rs_has_it(uri) == (1, 1, 1)
    assert opened(uri).transaction_version("batch/1") == 1


@pytest.mark.parametrize("rows", [3, FEW_BYTES // 50])
def test_should_put_few_rows_and_many_in_place_of_all(uri: str, session: Session, rows: int):
    Delta().create(uri, session.sql("SELECT 1 AS id LIMIT 0"), {})
    add(session, uri, 1)
    table = opened(uri)
    table.overwrite(session.sql(f"SELECT range AS number, repeat('x', 50) AS text FROM range({rows})"), once({"b": 2}))
    assert (table.version(), table.count(), table.transaction_version("b")) == (2, rows, 2)
    del table
    found = opened(uri)
    assert relation(session, found).aggregate("count(*), sum(number)").fetchone() == (rows, rows * (rows - 1) // 2)
    assert as_delta_rs_has_it(uri) == (2, rows, 1)


def test_should_leave_no_copy_behind_and_none_of_a_process_that_was_killed(tmp_path: Path):
    script = """if True:
        import os, sys
        from pathlib import Path
        from flowforge.tables.delta.log_copy import LogCopy
        copy = LogCopy("s3://bucket/table", 0)
        if (child := os.fork()) == 0:
            sys.exit(0)
        os.waitpid(child, 0)
        print(copy.folder.exists(), [name for name in os.listdir(sys.argv[1]) if name.endswith("-x")], flush=True)
        if sys.argv[2] == "killed":
            os.kill(os.getpid(), 9)
    """
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    left = tmp_path / f"flowforge-log-{gone.pid}-x"
    for end in ("killed", "ended"):
        left.mkdir()
        command = [sys.executable, "-c", script, str(tmp_path), end]
        told = subprocess.run(command, env={"TMPDIR": str(tmp_path)}, capture_output=True, text=True, check=False)
        assert told.stdout == "True []\n", told.stderr
    assert list(tmp_path.iterdir()) == []
