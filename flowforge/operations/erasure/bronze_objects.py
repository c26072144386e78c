# ruff: noqa: S608 - SQL text of quoted names and paths
"""Parquet objects of the lake with rows of the person: found, and written anew without them.

Guarantees: an object is replaced only as it was read (If-Match), whole or not at all; its other rows, its columns and what its
footer says stay. Its metadata names the ETag that it had, so that whoever knows the object by that one still takes it for what
the batch landed (`flowforge.silver.objects`). Memory is that of one row group; the object is copied to disk.
"""

import json
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from flowforge.aws.clients import aws_errors, client
from flowforge.bronze.parquet import FOOTER, ROWS_PER_GROUP
from flowforge.bronze.upload import KeyTaken, ObjectWriter
from flowforge.domain.errors import StoreUnavailable
from flowforge.engines.base import EngineError, OutOfMemory, Session
from flowforge.engines.duckdb.sql import literal
from flowforge.operations.erasure.subject import Subject
from flowforge.silver.objects import LANDED_AS, etags_before
from flowforge.tables.rows import PLACED_FILE, PLACED_ROW, rows_in_place

MOST_ETAGS = 40  # S3 takes two kilobytes of metadata
AT_ONCE = 200  # objects of one query, whose footers are all read before it

Facts = dict[str, Any]


class RowsIn(NamedTuple):
    """How many rows of the person each object has, of those that have some; the objects that cannot be read as Parquet, and
    those without the key's columns, of which nobody can tell."""

    rows: dict[str, int]
    unread: list[str]
    unknown: list[str]


def rows_in(session: Session, subject: Subject, uris: Iterable[str]) -> RowsIn:
    """Counts the person's rows of these objects."""
    found, listed = RowsIn({}, [], []), list(uris)
    for start in range(0, len(listed), AT_ONCE):
        portion = listed[start : start + AT_ONCE]
        try:
            _count(session, subject, portion, found)
        except OutOfMemory:
            raise
        except EngineError:
            for uri in portion:
                try:
                    _count(session, subject, [uri], found)
                except EngineError:
                    found.unread.append(uri)
    return found


def _count(session: Session, subject: Subject, uris: list[str], found: RowsIn) -> None:
    counted: dict[str, int] = {}
    unknown: list[str] = []
    for alike in _of_one_type(session, subject, uris):
        types, rows = rows_in_place(session, alike)
        condition = subject.condition(types)
        if condition is None:
            unknown += alike
            continue
        query = f"SELECT {PLACED_FILE}, count(*) FROM {rows} WHERE {condition} GROUP BY 1"
        counted |= {alike[index]: count for index, count in session.execute(query).fetchall()}
    found.rows.update(counted)
    found.unknown.extend(unknown)


def _of_one_type(session: Session, subject: Subject, uris: list[str]) -> list[list[str]]:
    """The objects by the types of the key's columns in them: read together, those of two types would be of neither."""
    if len(uris) == 1:
        return [uris]
    names = ", ".join(literal(name) for name in subject.types)
    facts = "name, type, converted_type, logical_type::VARCHAR, precision, scale"
    asked = f"SELECT file_name, {facts} FROM parquet_schema([{', '.join(map(literal, uris))}]) WHERE name IN ({names})"
    columns = defaultdict[str, list[tuple[Any, ...]]](list)
    for uri, *column in session.execute(asked).fetchall():
        columns[uri].append(tuple(column))
    alike = defaultdict[Any, list[str]](list)
    for uri in uris:
        alike[tuple(sorted(columns[uri], key=repr))].append(uri)
    return list(alike.values())


class Downloaded(NamedTuple):
    """A copy of an object on disk."""

    path: Path
    etag: str
    metadata: dict[str, str]


@contextmanager
def downloaded(bucket: str, key: str) -> Iterator[Downloaded]:
    """Copies an object to disk for the block. Raises StoreUnavailable."""
    with tempfile.TemporaryDirectory(prefix="flowforge-erase-") as folder, aws_errors("S3"):
        path = Path(folder) / "object.parquet"
        found = client("s3").get_object(Bucket=bucket, Key=key)
        with path.open("wb") as file:
            for portion in found["Body"].iter_chunks(2**20):
                file.write(portion)
        yield Downloaded(path, found["ETag"], found["Metadata"])


@contextmanager
def replacing(bucket: str, key: str, etag: str, metadata: Mapping[str, str]) -> Iterator[ObjectWriter]:
    """The object that takes the place of the one with that ETag once the block ends. Raises StoreUnavailable where that one was
    replaced meanwhile."""
    try:
        with ObjectWriter(client("s3"), bucket, key, {"IfMatch": etag}, metadata) as writer:
            yield writer
            writer.finish()
    except KeyTaken as error:
        raise StoreUnavailable(f"s3://{bucket}/{key} was replaced meanwhile", "Run the command again.") from error


def rewrite(
    session: Session, subject: Subject, bucket: str, key: str, change: Callable[[Facts, int], Facts] | None = None
) -> bool:
    """Writes an object anew without the person's rows; `change` makes of its footer's entry, and of how many rows it then has,
    the new one. Returns whether there was something to write: rows, or a footer that changes.

    Raises StoreUnavailable where it was replaced meanwhile.
    """
    with downloaded(bucket, key) as found:
        gone = _places(session, subject, str(found.path))
        with pq.ParquetFile(found.path) as parquet:
            known = dict(parquet.metadata.metadata or {})
            facts = json.loads(known[FOOTER.encode()]) if FOOTER.encode() in known else None
            rows = parquet.metadata.num_rows - len(gone)
            changed = change(facts, rows) if change and facts is not None else facts
            if not gone and changed == facts:
                return False
            before = [found.etag.strip('"'), *etags_before(found.metadata)]
            metadata = found.metadata | {LANDED_AS: " ".join(before[:MOST_ETAGS])}
            with replacing(bucket, key, found.etag, metadata) as writer:
                _copy(parquet, writer, gone, known, changed)
            return True


def _places(session: Session, subject: Subject, path: str) -> set[int]:
    types, rows = rows_in_place(session, [path])
    condition = subject.condition(types)
    if condition is None:
        return set()
    return {place for (place,) in session.execute(f"SELECT {PLACED_ROW} FROM {rows} WHERE {condition}").fetchall()}


def _copy(parquet: pq.ParquetFile, sink: Any, gone: set[int], known: dict[bytes, bytes], facts: Facts | None) -> None:
    """The rows but for those places, in row groups as they were."""
    metadata, first = parquet.metadata, 0
    chunk = metadata.row_group(0).column(0) if metadata.num_row_groups and metadata.num_columns else None
    compression = chunk.compression.lower() if chunk else "none"
    plain = "none" if compression == "uncompressed" else compression
    statistics = _columns_with_statistics(metadata)
    schema = parquet.schema_arrow.remove_metadata()
    with pq.ParquetWriter(
        pa.PythonFile(sink, mode="w"), schema, compression=plain, write_statistics=statistics, store_schema=True
    ) as writer:
        for group in range(metadata.num_row_groups):
            rows = parquet.read_row_group(group)
            kept = [first + n not in gone for n in range(rows.num_rows)] if gone else None
            first += rows.num_rows
            if kept is not None and not all(kept):
                rows = rows.filter(pa.array(kept))
            rows = rows.replace_schema_metadata(None)
            writer.write_table(rows, row_group_size=ROWS_PER_GROUP)
        told = {name: value for name, value in known.items() if name not in (b"ARROW:schema", FOOTER.encode())}
        if facts is not None:
            told[FOOTER.encode()] = json.dumps(facts).encode()
        if told:
            writer.add_key_value_metadata(told)


def _columns_with_statistics(metadata: Any) -> Any:
    if not metadata.num_row_groups:
        return True
    group = metadata.row_group(0)
    columns = [group.column(n) for n in range(metadata.num_columns)]
    return [one.path_in_schema for one in columns if one.is_stats_set] if columns else True


def keys_below(bucket: str, prefix: str) -> Iterator[dict[str, Any]]:
    """The objects below a prefix, as a listing tells of them."""
    with aws_errors("S3"):
        for page in client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            yield from page.get("Contents", [])
