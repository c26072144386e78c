"""Dependencies point one way, and control functions stay light."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def test_should_let_dependencies_point_one_way_only():
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    checked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize(
    ("function", "forbidden"),
    [
        ("submit_job", {"pyarrow", "deltalake", "duckdb", "pymssql", "mssql_python", "aioboto3"}),
        ("track_run", {"pyarrow", "deltalake", "duckdb", "pymssql", "aioboto3"}),
        ("watermark", {"pyarrow", "deltalake", "duckdb", "pymssql", "aioboto3"}),
        ("connections", {"pyarrow", "deltalake", "duckdb", "pymssql", "aioboto3"}),
        ("schedules", {"pyarrow", "deltalake", "duckdb", "pymssql", "mssql_python", "aioboto3"}),
        ("replay", {"pyarrow", "deltalake", "duckdb", "pymssql", "aioboto3"}),
        ("record_lineage", {"sqlglot", "pyarrow", "deltalake", "duckdb", "pymssql", "aioboto3"}),
        ("send_alerts", {"pyarrow", "deltalake", "duckdb", "pymssql", "sqlglot", "aioboto3"}),
        ("test_connection", {"pyarrow", "deltalake", "duckdb", "mssql_python", "aioboto3"}),
        ("list_tables", {"pyarrow", "deltalake", "duckdb", "mssql_python", "aioboto3"}),
        ("describe_table", {"pyarrow", "deltalake", "duckdb", "mssql_python", "aioboto3"}),
        ("ingest_table", {"deltalake", "duckdb", "openpyxl"}),
        ("ingest_slice", {"deltalake", "duckdb", "openpyxl"}),
        ("refine_silver", {"pyarrow", "pymssql", "mssql_python", "aioboto3"}),
        ("maintain_lake", {"pyarrow", "pymssql", "mssql_python", "aioboto3"}),
        ("publish_gold", {"pyarrow", "pymssql", "mssql_python", "aioboto3"}),
        ("show_lake", {"pyarrow", "deltalake", "duckdb", "pymssql", "mssql_python", "aioboto3"}),
    ],
)
def test_should_not_import_what_a_function_does_not_need(function, forbidden):
    code = f"import sys, functions.{function}.handler; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not forbidden & set(loaded.stdout.split())


def test_should_start_a_command_without_what_only_some_commands_need():
    code = "import sys, flowforge.cli.app; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    heavy = {"pydantic", "boto3", "botocore", "httpx", "pyarrow", "deltalake", "duckdb", "sqlglot"}
    assert not heavy & set(loaded.stdout.split())
