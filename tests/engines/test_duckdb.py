"""DuckDB gives what an engine has to give."""

from flowforge.engines.duckdb.session import DuckDB
from flowforge.engines.duckdb.sql import read_parquet
from tests.engines.conformance import EngineConformance


class TestDuckDB(EngineConformance):
    """The suite over DuckDB."""

    engine = DuckDB()

    def files(self, uris: list[str]) -> str:
        return read_parquet(uris)
