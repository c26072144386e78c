"""The engine that silver, gold and operations run on: the one line that another one changes."""

from flowforge.engines.base import Engine
from flowforge.engines.duckdb.session import DuckDB

ENGINE: Engine = DuckDB()
