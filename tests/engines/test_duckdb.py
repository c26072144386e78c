"""DuckDB gives what an engine has to give."""

from pathlib import Path

import pytest

from flowforge.domain.errors import NoSpace
from flowforge.engines.base import EngineError
from flowforge.engines.duckdb.session import DuckDB
from flowforge.engines.duckdb.sql import read_parquet
from tests.engines.conformance import EngineConformance


class TestDuckDB(EngineConformance):
    """The suite over DuckDB."""

    engine = DuckDB()

    def files(self, uris: list[str]) -> str:
        return read_parquet(uris)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is always full")
def test_should_say_which_folder_is_full_where_rows_are_written():
    with (
        DuckDB().session() as engine,
        pytest.raises(NoSpace, match=r"no space is left in /dev .*No space left on device"),
    ):
        engine.execute("COPY (SELECT range FROM range(10000)) TO '/dev/full' (FORMAT parquet)")


def test_should_take_no_value_of_a_row_for_a_full_disk():
    with DuckDB().session() as engine, pytest.raises(EngineError, match="No space left on device"):
        engine.execute("SELECT CAST('No space left on device' AS INTEGER)").fetchall()
