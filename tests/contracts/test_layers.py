"""Dependencies point one way, and control functions stay light."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.imports import loaded_by

ROOT = Path(__file__).resolve().parents[2]


def test_should_let_dependencies_point_one_way_only():
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    checked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


FORBIDDEN = {
    "submit_job": {"pyarrow", "deltalake", "duckdb", "pymssql", "mssql_python", "aioboto3"},
    "track_run": {"pyarrow", "deltalake", "duckdb", "pymssql", "aioboto3"},
    "watermark": {"pyarrow", "deltalake", "duckdb", "pymssql", "aioboto3"},
    "connections": {"pyarrow", "deltalake", "duckdb", "pymssql", "aioboto3"},
    "schedules": {"pyarrow", "deltalake", "duckdb", "pymssql", "mssql_python", "aioboto3"},
    "replay": {"pyarrow", "deltalake", "duckdb", "pymssql", "aioboto3"},
    "record_lineage": {"sqlglot", "pyarrow", "deltalake", "duckdb", "pymssql", "aioboto3"},
    "send_alerts": {"pyarrow", "deltalake", "duckdb", "pymssql", "sqlglot", "aioboto3"},
    "test_connection": {"pyarrow", "deltalake", "duckdb", "mssql_python", "aioboto3"},
    "list_tables": {"pyarrow", "deltalake", "duckdb", "mssql_python", "aioboto3"},
    "describe_table": {"pyarrow", "deltalake", "duckdb", "mssql_python", "aioboto3"},
    "ingest_table": {"deltalake", "duckdb", "openpyxl"},
    "ingest_slice": {"deltalake", "duckdb", "openpyxl"},
    "refine_silver": {"pyarrow", "pymssql", "mssql_python", "aioboto3"},
    "maintain_lake": {"pyarrow", "pymssql", "mssql_python", "aioboto3"},
    "publish_gold": {"pyarrow", "pymssql", "mssql_python", "aioboto3"},
    "show_lake": {"pyarrow", "deltalake", "duckdb", "pymssql", "mssql_python", "aioboto3"},
}


@pytest.fixture(scope="module")
def loaded() -> dict[str, set[str]]:
    """What each function's handler brings."""
    return loaded_by([f"functions.{function}.handler" for function in FORBIDDEN])


@pytest.mark.parametrize("function", FORBIDDEN)
def test_should_not_import_what_a_function_does_not_need(loaded, function):
    assert not FORBIDDEN[function] & loaded[f"functions.{function}.handler"]


def test_should_start_a_command_without_what_only_some_commands_need():
    code = "import sys, flowforge.cli.app; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    heavy = {"pydantic", "boto3", "botocore", "httpx", "pyarrow", "deltalake", "duckdb", "sqlglot"}
    assert not heavy & set(loaded.stdout.split())
