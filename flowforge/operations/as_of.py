"""Lake tables as they were: at a version, or at a moment."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from flowforge.domain.errors import NotFound, QueryRefused
from flowforge.domain.given import given
from flowforge.domain.names import TableName
from flowforge.engines.base import ObjectUnreadable
from flowforge.tables.base import LakeTable, VersionGone
from flowforge.tables.lake import open_table, table_uri

MOMENTS = "write 12, 2026-01-05 or 2026-01-05T09:30:00Z"


def moment_of(written: int | str | None) -> int | datetime | None:
    """A version or a time, UTC unless it says. Raises ValueError; MOMENTS tells what to write."""
    if written is None or isinstance(written, int):
        return written
    if written.isdecimal() and written.isascii() and len(written) < 19:
        return int(written)
    try:
        moment = datetime.fromisoformat(written)
    except ValueError:
        raise ValueError(f"{written[:60]} is neither a version nor a time") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def refuse_travel(names: list[TableName], as_of: int | datetime | None) -> None:
    """Raises QueryRefused where one of the tables cannot be read as it was."""
    if as_of is None:
        return
    bronze = [str(name) for name in names if name.layer == "bronze"]
    if bronze:
        raise QueryRefused(f"{', '.join(bronze)} has no versions", "ask for an earlier time of silver and gold only")
    if isinstance(as_of, int) and len(names) > 1:
        tables = ", ".join(map(str, names))
        raise QueryRefused(f"a version is one table's own, and the query reads {tables}", "give a time instead")


@contextmanager
def telling_of_vacuumed(as_of: int | datetime | None) -> Iterator[None]:
    """Tells a file that is gone from a store that is."""
    try:
        yield
    except ObjectUnreadable as error:
        if as_of is None or not error.is_gone:
            raise
        remedy = "ask for a later time; the upkeep's retention tells how far"
        raise NotFound(f"files of {as_of} have been vacuumed", remedy) from error


def open_as_of(name: TableName, bucket: str, as_of: int | datetime | None) -> LakeTable | None:
    """A table as of a version or moment; None where there is none. Raises NotFound for what it is too late or too early for."""
    table = open_table(table_uri(bucket, name.layer, name.table))
    if table is None or as_of is None:
        return table
    version = as_of if isinstance(as_of, int) else _version_at(table, name, as_of)
    if version > table.version():
        raise NotFound(
            f"{name} has no version {version}: its newest one is {table.version()}", "ask for an earlier one"
        )
    try:
        return table.at(version)
    except VersionGone as error:
        raise NotFound(f"{name} has no version {version} any more: {error}", "ask for a later one") from error


def _version_at(table: LakeTable, name: TableName, moment: datetime) -> int:
    """The version of a moment by the times that writers put into their commits: objects' own times are in whole seconds."""
    entries, latest = table.history(), given(open_table(table.uri))
    while latest.version() != table.version():  # history counts back from the handle's version: it must be the newest
        table, entries = latest, latest.history()
        latest = given(open_table(table.uri))
    commits = [(entry["timestamp"] / 1000, entry["version"]) for entry in entries]
    versions = [version for made_at, version in commits if made_at <= moment.timestamp()]
    if not versions:
        began = datetime.fromtimestamp(min(commits)[0], UTC).isoformat(timespec="milliseconds")
        raise NotFound(f"{name} begins at {began}", "ask for a later time")
    return max(versions)
