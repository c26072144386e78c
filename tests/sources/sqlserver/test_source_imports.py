"""Control functions stay light: what they import brings no pyarrow, and a driver is loaded by its own reader only."""

import subprocess
import sys

import pytest

from tests.helpers.waiting import LIMIT_SECONDS


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("connection", ("pyarrow", "mssql_python", "numpy")),
        ("catalog", ("pyarrow", "mssql_python", "numpy")),
        ("bounds", ("pyarrow", "mssql_python", "numpy")),
        ("sql_text", ("pyarrow", "pymssql", "mssql_python")),
        ("reader", ("mssql_python", "pymssql")),
        ("pymssql_reader", ("mssql_python",)),
    ],
)
def test_should_not_import_what_the_module_does_not_need(module, absent):
    code = f"import sys, flowforge.sources.sqlserver.{module}; print([m for m in {absent!r} if m in sys.modules])"
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=LIMIT_SECONDS
    )
    assert found.stdout.strip() == "[]"
