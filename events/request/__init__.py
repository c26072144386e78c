"""The job request and its parts: what a user writes, checked.

    job            the request as a whole, and how a document is read
    connection     how a SQL Server is reached
    database       a source that is a database: its tables or query          table_settings: what contradicts the destinations
                   table_parts: columns, rows, windows                      table_contradictions: what contradicts within a table
    files          a source that is files: which, and how they are read      file_settings: what contradicts what
    destinations   bronze, silver and gold                                   deletes: how they are found
    older          the forms of the pipeline before this one
    mistakes       what a refused request is answered with                 near_fields: what an unknown field was meant as

A further database is a word in `events.choices.DatabaseKind`; a source that is none, a model beside `database` and `files`, and
its place in `job.SourceConfig`.

A part is loaded when it is first asked for: nearly every function needs `InvalidRequest`, and few a whole request.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from events.request.connection import Connection, other_logins
    from events.request.database import DatabaseConfig, DatabaseSource, TableConfig
    from events.request.deletes import DeleteDetection
    from events.request.destinations import (
        BronzeConfig,
        DestinationConfig,
        GoldConfig,
        GoldModel,
        SilverConfig,
    )
    from events.request.file_columns import FileColumnConfig
    from events.request.files import FileConfig, FileSource
    from events.request.job import JobRequest, SourceConfig, parse_job_request
    from events.request.mistakes import MOST_MISTAKES, InvalidRequest, mistakes_among, mistakes_of
    from events.request.older import as_today
    from events.request.table_parts import ColumnChoice, RowFilter, Window

__all__ = [
    "MOST_MISTAKES",
    "BronzeConfig",
    "ColumnChoice",
    "Connection",
    "DatabaseConfig",
    "DatabaseSource",
    "DeleteDetection",
    "DestinationConfig",
    "FileColumnConfig",
    "FileConfig",
    "FileSource",
    "GoldConfig",
    "GoldModel",
    "InvalidRequest",
    "JobRequest",
    "RowFilter",
    "SilverConfig",
    "SourceConfig",
    "TableConfig",
    "Window",
    "as_today",
    "mistakes_among",
    "mistakes_of",
    "other_logins",
    "parse_job_request",
]

_NAMES_OF = {
    "connection": ("Connection", "other_logins"),
    "database": ("DatabaseConfig", "DatabaseSource", "TableConfig"),
    "deletes": ("DeleteDetection",),
    "destinations": ("BronzeConfig", "DestinationConfig", "GoldConfig", "GoldModel", "SilverConfig"),
    "file_columns": ("FileColumnConfig",),
    "files": ("FileConfig", "FileSource"),
    "job": ("JobRequest", "SourceConfig", "parse_job_request"),
    "mistakes": ("MOST_MISTAKES", "InvalidRequest", "mistakes_among", "mistakes_of"),
    "older": ("as_today",),
    "table_parts": ("ColumnChoice", "RowFilter", "Window"),
}
_PART_OF = {name: part for part, names in _NAMES_OF.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _PART_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(f"{__name__}.{_PART_OF[name]}"), name)
    globals()[name] = found
    return found
