"""DuckDB's relations and answers behind `engines.base`, and its errors in the words of that module."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import duckdb

from flowforge.domain.errors import NoSpace
from flowforge.engines.base import EngineError, ObjectUnreadable, OutOfMemory, TimedOut
from flowforge.engines.duckdb.reasons import line_named, reason
from flowforge.runtime.disk_space import lacking, said_of_a_file, temporary_folder

SPILLED = re.compile(r"failed to offload data block .*/([\d.]+) (bytes|KiB|MiB) used")
UNITS = {"bytes": 1, "KiB": 2**10, "MiB": 2**20}
LEAST_SPILL_BYTES = 64 * 2**20


@contextmanager
def translated() -> Iterator[None]:
    """For the block, what DuckDB raises is an error of `engines.base`, or NoSpace: to DuckDB a full disk is short memory, too."""
    try:
        yield
    except duckdb.OutOfMemoryException as error:
        raise _no_place_to_spill(str(error)) or OutOfMemory(str(error)) from error
    except duckdb.InterruptException as error:
        raise TimedOut(str(error)) from error
    except duckdb.HTTPException as error:
        raise ObjectUnreadable(str(error), error.status_code == 404) from error
    except duckdb.IOException as error:
        raise said_of_a_file(str(error)) or ObjectUnreadable(str(error)) from error
    except duckdb.Error as error:
        raise EngineError(str(error), reason(error), line_named(error)) from error


def _no_place_to_spill(said: str) -> NoSpace | None:
    """Memory that was short where the disk had next to no room for what does not fit: DuckDB takes nine tenths of what is free.
    Where there was room, it is the statement that wants too much."""
    limit = SPILLED.search(said)
    if limit is None or float(limit[1]) * UNITS[limit[2]] >= LEAST_SPILL_BYTES:
        return None
    return lacking(temporary_folder(), "rows that do not fit into memory cannot be put there")


class DuckDBRows:
    """A relation. `prepare` is called before it makes what does not go with its connection: a view."""

    def __init__(self, relation: duckdb.DuckDBPyRelation, prepare: Callable[[], None]):
        self._relation, self._prepare = relation, prepare

    @property
    def columns(self) -> list[str]:
        """The columns' names in order."""
        return self._relation.columns

    @property
    def types(self) -> list[str]:
        """The columns' types in order, as DuckDB writes them."""
        return [str(kind) for kind in self._relation.types]

    def sql_query(self) -> str:
        """The query's text."""
        return self._relation.sql_query()

    def fetchone(self) -> tuple[Any, ...] | None:
        """The next row; None after the last one."""
        with translated():
            return self._relation.fetchone()

    def fetchall(self) -> list[tuple[Any, ...]]:
        """All rows."""
        with translated():
            return self._relation.fetchall()

    def filter(self, condition: str, /) -> "DuckDBRows":
        """Those rows for which the condition is true."""
        with translated():
            return DuckDBRows(self._relation.filter(condition), self._prepare)

    def project(self, items: str, /) -> "DuckDBRows":
        """The rows with these select items."""
        with translated():
            return DuckDBRows(self._relation.project(items), self._prepare)

    def aggregate(self, items: str, groups: str = "", /) -> "DuckDBRows":
        """One row for each group; without `groups` by those of the items that are no aggregates."""
        with translated():
            return DuckDBRows(self._relation.aggregate(items, groups), self._prepare)

    def order(self, items: str, /) -> "DuckDBRows":
        """The rows in an order."""
        with translated():
            return DuckDBRows(self._relation.order(items), self._prepare)

    def limit(self, rows: int, /) -> "DuckDBRows":
        """The first rows."""
        with translated():
            return DuckDBRows(self._relation.limit(rows), self._prepare)

    def create_view(self, name: str, replace: bool = True) -> "DuckDBRows":
        """The rows under a name."""
        with translated():
            self._prepare()
            return DuckDBRows(self._relation.create_view(name, replace=replace), self._prepare)

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        with translated():
            return self._relation.__arrow_c_stream__(requested_schema)


class DuckDBAnswer:
    """What a connection's last statement gave."""

    def __init__(self, connection: duckdb.DuckDBPyConnection):
        self._connection = connection

    def fetchone(self) -> tuple[Any, ...] | None:
        """The next row; None after the last one."""
        with translated():
            return self._connection.fetchone()

    def fetchall(self) -> list[tuple[Any, ...]]:
        """All rows that are left."""
        with translated():
            return self._connection.fetchall()
