"""What a setting may be, where it is one of a few words; the same in requests and in commands."""

from typing import Literal

Compression = Literal["snappy", "gzip", "zstd", "none"]
LoadStrategy = Literal["append", "full_refresh", "incremental"]
MergeStrategy = Literal["merge", "append", "replace", "scd2"]
Deletes = Literal["hard", "soft", "ignore"]
Detection = Literal["keys"]  # how what is gone is found, where a load does not see it
SchemaMode = Literal["evolve", "contract"]
KeyComparison = Literal["source", "exact"]
NullKeys = Literal["match", "quarantine"]
BuildStrategy = Literal["full", "incremental"]
DatabaseKind = Literal["sql-server"]  # each a kind of source, see flowforge.sources.registry
Driver = Literal["auto", "mssql-python", "pymssql"]
Derivation = Literal["offset", "baseType", "srid"]
OnGap = Literal["refuse", "full_refresh"]
CountRows = Literal["auto", "always", "never"]
FilterOperator = Literal["=", "<>", "<", "<=", ">", ">=", "in", "not in", "is null", "is not null"]
FileOrder = Literal["name", "arrival", "date"]
ChangedFile = Literal["append", "replace", "refuse"]
ChangeType = Literal["insert", "update", "delete", "before"]
