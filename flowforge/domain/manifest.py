"""What a landed batch consists of: its objects with their ETags, and what the source counted."""

from pydantic import BaseModel, ConfigDict, Field

from flowforge.domain.source_columns import SourceColumn


class BronzeObject(BaseModel):
    """One landed object; silver reads it with If-Match on the ETag. `consistency` is the view its read had of the source.

    `source_rows` and `counted_at` are what the source counted in that same view; `null_cursors` of its rows have no cursor (None:
    not known). `last_rows` is the digest of those with the last number of an interval with `ties`; empty where it was not taken.
    `read_notes` tell of how they were read, where the server made it differ.
    """

    model_config = ConfigDict(frozen=True)

    key: str
    etag: str
    rows: int
    bytes: int
    consistency: str = ""
    source_rows: int | None = None
    counted_at: str = ""
    null_cursors: int | None = None
    read_notes: list[str] = Field(default_factory=list)
    last_rows: str = ""


class SourceCount(BaseModel):
    """What the source counted for a batch, `how` and when (`at`, the server's clock in UTC); `rows` None where it did not, and
    `how` then says why. `left` is how many rows of the interval were there when it was read and are not any more."""

    model_config = ConfigDict(frozen=True)

    rows: int | None = None
    how: str = ""
    at: str = ""
    left: int = 0


class Manifest(BaseModel):
    """What a landed batch consists of. `columns` are the source's (without audit columns), `primary_key` the source's key;
    `unique_keys` are the columns of each index in which no two rows are equal, as far as a version before knew of them."""

    model_config = ConfigDict(frozen=True)

    bucket: str
    objects: list[BronzeObject]
    rows: int
    bytes: int
    columns: list[SourceColumn]
    primary_key: list[str] = Field(default_factory=list)
    unique_keys: list[list[str]] = Field(default_factory=list)
    audit_columns: bool = True
    max_cursor_value: str | None = None
    count: SourceCount = SourceCount()
