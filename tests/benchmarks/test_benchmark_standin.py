"""The stand-in of the benchmarks answers a second read with the very bytes of the first."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pymssql
import pytest

from flowforge.domain.given import given

ROOT = Path(__file__).resolve().parents[2]
ROWS = 2_000


@pytest.fixture(scope="module", params=["bank", "max"])
def source(request: pytest.FixtureRequest) -> Iterator[dict[str, Any]]:
    rows = ROWS if request.param == "bank" else 20
    command = [sys.executable, "-m", "benchmarks.standin", "--shape", request.param, "--rows", str(rows)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield json.loads(given(process.stdout).readline()) | {"rows": rows}
        finally:
            process.terminate()


def read(source: dict[str, Any]) -> list[tuple]:
    names = ("user", "password", "database")
    where = {name: source[name] for name in names} | {"server": source["host"], "port": str(source["port"])}
    with pymssql.connect(**where, encryption="off") as connection, connection.cursor() as cursor:
        cursor.execute("SELECT * FROM dbo.bench SELECT @@ROWCOUNT")
        rows = cursor.fetchall()
        assert cursor.nextset()
        assert cursor.fetchall() == [(len(rows),)]
    return rows


def test_should_send_the_same_rows_again(source: dict[str, Any]) -> None:
    first = read(source)
    assert len(first) == source["rows"]
    assert read(source) == first


def test_should_be_drained_by_the_floor(source: dict[str, Any]) -> None:
    variables = {
        f"BENCH_{name.upper()}": str(source[name]) for name in ("host", "port", "user", "password", "database")
    }
    command = [sys.executable, "-m", "benchmarks.floor"]
    drained = [
        subprocess.run(
            command,
            cwd=ROOT,
            env=os.environ | variables | {"BENCH_TABLE": "bench"},
            capture_output=True,
            text=True,
            check=True,
        ).stderr
        for _ in range(2)
    ]
    assert drained[0] == drained[1]
    assert int(drained[0]) > 100 * source["rows"]
