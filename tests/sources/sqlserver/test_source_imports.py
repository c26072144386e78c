"""Control functions stay light: what they import brings no pyarrow, and a driver is loaded by its own reader only."""

import pytest

from tests.helpers.imports import loaded_by

ROOM = "flowforge.sources.sqlserver"
ABSENT = {
    "connection": {"pyarrow", "mssql_python", "numpy"},
    "catalog": {"pyarrow", "mssql_python", "numpy"},
    "bounds": {"pyarrow", "mssql_python", "numpy"},
    "sql_text": {"pyarrow", "pymssql", "mssql_python"},
    "reader": {"mssql_python", "pymssql"},
    "pymssql_reader": {"mssql_python"},
}


@pytest.fixture(scope="module")
def loaded() -> dict[str, set[str]]:
    """What each of the modules brings."""
    return loaded_by([f"{ROOM}.{module}" for module in ABSENT])


@pytest.mark.parametrize("module", ABSENT)
def test_should_not_import_what_the_module_does_not_need(loaded, module):
    assert not ABSENT[module] & loaded[f"{ROOM}.{module}"]
