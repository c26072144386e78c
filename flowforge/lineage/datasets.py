"""Datasets as OpenLineage's naming rules write them, and what is told of each.

    a source table     mssql://host:port            database.schema.table
    a query            mssql://host:port            database.query-<hash of its text>
    bronze             s3://bucket                  bronze/<table>
    silver, gold       s3://bucket                  silver/<table>, gold/<table>

Guarantees: a host is written as in the source key, in lower case; no name holds a login.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from flowforge.domain.source_key import SourceKey
from flowforge.runtime.settings import settings

FILES = "files"  # begins the name of a job's files, beside the folders of the lake


class DatasetId(NamedTuple):
    """What identifies a dataset everywhere."""

    namespace: str
    name: str


@dataclass(frozen=True)
class Dataset:
    """One dataset as a step has met it: `alias` is its name in the lake's SQL (silver.customers), `types` are its columns (None
    where the type is not known here), counts are of what the step wrote."""

    id: DatasetId
    alias: str
    types: Mapping[str, str | None] = field(default_factory=dict)
    version: str | None = None
    rows: int | None = None
    bytes: int | None = None
    files: int | None = None

    @property
    def is_delta(self) -> bool:
        """Whether it is a Delta table."""
        return self.id.namespace.startswith("s3://") and self.id.name.startswith(("silver/", "gold/"))


def in_lake(alias: str, **known: Any) -> Dataset:
    """bronze.x, silver.x or gold.x of this lake."""
    layer, _, table = alias.partition(".")
    return Dataset(DatasetId(f"s3://{settings().bucket}", f"{layer}/{table}"), alias, **known)


def source_of(source_key: str, types: Mapping[str, str] | None = None) -> Dataset:
    """The table, query or files that a source key names; its alias is database.schema.table, or files/workflow/job."""
    key = SourceKey.parse(source_key)
    if key.is_files:
        files = DatasetId(f"s3://{key.database}", f"{FILES}/{key.schema}/{key.table}")
        return Dataset(files, files.name, types=types or {})
    named = DatasetId(f"mssql://{key.server}", f"{key.database}.{key.source_table}")
    return Dataset(named, named.name, types=types or {})
