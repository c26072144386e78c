"""DuckDB gives what an engine has to give."""

import os
import re
import subprocess
import sys

import pytest

from flowforge.engines.base import EngineError
from flowforge.engines.duckdb.session import DuckDB
from flowforge.engines.duckdb.sql import read_parquet
from tests.engines.conformance import EngineConformance


class TestDuckDB(EngineConformance):
    """The suite over DuckDB."""

    engine = DuckDB()

    def files(self, uris: list[str]) -> str:
        return read_parquet(uris)


# Processes of their own, which may write no byte into a file: DuckDB removes what it could not write, so never a device.
WRITE_NOTHING = """
import resource, signal, sys

from flowforge.engines.duckdb.session import DuckDB
from flowforge.runtime.disk_space import no_space

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)


def fill():
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


try:
    if sys.argv[2] == "before":
        fill()
    with DuckDB().session() as engine:
        fill()
        engine.execute(f"COPY (SELECT range FROM range(10000)) TO '{sys.argv[1]}' (FORMAT parquet)")
except Exception as error:
    print(no_space(error))
"""


@pytest.mark.parametrize(("when", "said"), [("amid", "File too large"), ("before", "No usable temporary directory")])
def test_should_say_which_folder_is_full_where_rows_are_written(tmp_path, when, said):
    command = [sys.executable, "-B", "-c", WRITE_NOTHING, str(tmp_path / "rows.parquet"), when]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    told = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout
    assert re.match(rf"no space is left in {re.escape(str(tmp_path))} .*{said}", told), told


def test_should_take_no_value_of_a_row_for_a_full_disk():
    with DuckDB().session() as engine, pytest.raises(EngineError, match="No space left on device"):
        engine.execute("SELECT CAST('No space left on device' AS INTEGER)").fetchall()
