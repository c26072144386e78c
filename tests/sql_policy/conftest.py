"""The engine by which users' SQL is judged."""

import duckdb
import pytest


@pytest.fixture(scope="module")
def engine():
    with duckdb.connect() as connection:
        yield connection
