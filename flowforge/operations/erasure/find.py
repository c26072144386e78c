"""Where rows of the person are: every layer of one table, looked through as it is now.

Guarantees: objects are looked through, and not what logs and manifests say of them: what a dead worker has left is found, too.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from flowforge.domain.batch import Batch
from flowforge.domain.names import TableName
from flowforge.engines.base import Session
from flowforge.gold.publish import models_after
from flowforge.operations.beside import PREFIX as REBUILT
from flowforge.operations.erasure.bronze_objects import keys_below, rows_in
from flowforge.operations.erasure.lake_tables import Held, held_by
from flowforge.operations.erasure.records import facts_after, objects_of, sentinels_of, silver_tables
from flowforge.operations.erasure.rejected_records import rejects_of, texts_of
from flowforge.operations.erasure.report import Layer
from flowforge.operations.erasure.subject import Subject, column_of
from flowforge.operations.footers import FoundObject, read_footers
from flowforge.operations.query import tables_in
from flowforge.silver.quarantine import SETTLED
from flowforge.tables.lake import table_uri

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Place:
    """One table in all layers; `newest` is the newest batch that silver holds, `gold` the tables that follow from it."""

    bucket: str
    name: str
    source_key: str
    newest: Batch
    gold: tuple[str, ...]

    @property
    def bronze_table(self) -> str:
        """Its bronze table."""
        return self.newest.command.bronze.table

    @property
    def tables(self) -> list[TableName]:
        """Its lake tables but for gold's."""
        return [
            TableName("silver", self.name),
            TableName("quarantine", self.name),
            TableName("quarantine", f"{SETTLED}/{self.name}"),
        ]

    def uri(self, name: TableName) -> str:
        """Where a lake table is."""
        return table_uri(self.bucket, name.layer, name.table)


@dataclass
class Found:
    """What was found. `bronze` are objects of the table that hold rows, or key values in their footers; `foreign` hold rows and
    are none of the table's, `unread` no Parquet; `others` are lake tables that hold rows and are none that the erasure is of."""

    layers: list[Layer] = field(default_factory=list[Layer])
    bronze: list[str] = field(default_factory=list[str])
    rejects: list[str] = field(default_factory=list[str])
    foreign: int = 0
    unread: int = 0
    unlike: int = 0
    hidden: int = 0
    others: list[str] = field(default_factory=list[str])
    rebuilt: int = 0


def place_of(bucket: str, name: str, source_key: str, newest: Batch) -> Place:
    """The table with the gold tables that follow from it."""
    models, _ = models_after(newest, bucket)
    return Place(bucket, name, source_key, newest, tuple(dict.fromkeys(model.table for model in models)))


def find(session: Session, subject: Subject, place: Place, progress: Progress) -> Found:
    """Looks through everything; `session` is prepared for the subject."""
    found = Found()
    _bronze(session, subject, place, found, progress)
    for name in place.tables[:2]:
        _table(session, subject, place, name, found, progress)
    for table in sorted(silver_tables(place.source_key) - {place.name}):
        _other(session, subject, place, TableName("silver", table), found)
    for table in sorted({*place.gold, *(one.table for one in tables_in(place.bucket, ("gold",)))}):
        _gold(session, subject, place, table, found, progress)
    _rejects(subject, place, found, progress)
    keys = [one["Key"] for one in keys_below(place.bucket, f"{REBUILT}/{place.name}/")]
    held = rows_in(session, subject, [f"s3://{place.bucket}/{key}" for key in keys if _is_data(key)])
    found.rebuilt = len(held.rows)
    records = sentinels_of(place.source_key, subject)
    found.layers.append(Layer("records of batches (sentinel rows, bounds of slices)", records, records, records))
    return found


def _bronze(session: Session, subject: Subject, place: Place, found: Found, progress: Progress) -> None:
    progress("bronze …")
    objects = read_footers(place.bucket, place.bronze_table)
    known = set(objects_of(place.source_key))
    prefix = f"s3://{place.bucket}/"
    held, unread, unknown = rows_in(session, subject, [f"{prefix}{one.key}" for one in objects])
    ours, told = 0, 0
    for one in objects:
        rows = held.get(f"{prefix}{one.key}", 0)
        is_ours = one.key in known or (one.footer or {}).get("source_key") == place.source_key
        named = is_ours and _is_named(one, subject)
        ours, told = ours + is_ours, told + named
        if is_ours and (rows or named):
            found.bronze.append(one.key)
        found.foreign += bool(rows and not is_ours)
        found.unlike += is_ours and f"{prefix}{one.key}" in unknown
        found.hidden += is_ours and _is_hidden(one, subject, place.newest)
    found.unread += len(unread)
    theirs = [held[f"{prefix}{key}"] for key in found.bronze if f"{prefix}{key}" in held]
    found.layers.append(Layer("bronze", ours, len(theirs), sum(theirs)))
    found.layers.append(Layer("bronze, key values in footers", ours, told, told))


def _is_named(one: FoundObject, subject: Subject) -> bool:
    """Whether the footer has a value of the key."""
    return one.footer is not None and facts_after(one.footer, one.footer.get("rows", 0), subject) != one.footer


def _is_hidden(one: FoundObject, subject: Subject, newest: Batch) -> bool:
    """Whether the object has a column of the key protected as it is not now, so that its values cannot be told."""
    there = {column["name"]: column.get("protection") for column in (one.footer or {}).get("columns", [])}
    for name in subject.types:
        now = column_of(name, newest)
        protection = now.protection.model_dump() if now is not None and now.protection is not None else None
        if there.get(name) and there[name] != protection:
            return True
    return False


def _table(session: Session, subject: Subject, place: Place, name: TableName, found: Found, progress: Progress) -> None:
    progress(f"{name} …")
    held = held_by(session, subject, place.bucket, place.uri(name))
    if held is not None:
        found.unread += held.unread
        found.layers += _layers(str(name), held, follows=False)


def _gold(session: Session, subject: Subject, place: Place, table: str, found: Found, progress: Progress) -> None:
    name = TableName("gold", table)
    progress(f"{name} …")
    if table not in place.gold:
        _other(session, subject, place, name, found)
    elif (held := held_by(session, subject, place.bucket, place.uri(name))) is not None:
        found.unread += held.unread
        found.layers += _layers(str(name), held, follows=True)


def _other(session: Session, subject: Subject, place: Place, name: TableName, found: Found) -> None:
    """A table that is not this erasure's: it is told where it holds such rows."""
    held = held_by(session, subject, place.bucket, place.uri(name))
    if held is not None and (held.rows or held.earlier_rows):
        found.others.append(str(name))
        found.layers += _layers(str(name), held, follows=False)


def _layers(name: str, held: Held, *, follows: bool) -> list[Layer]:
    rows = None if held.unknown and not held.rows else held.rows
    current = held.objects - held.earlier
    return [
        Layer(name, current, held.holding, rows, follows),
        Layer(f"{name}, earlier versions", held.earlier, held.earlier_holding, held.earlier_rows, follows),
        Layer(f"{name}, log of earlier versions", held.entries, 0, 0, follows),
    ]


def _rejects(subject: Subject, place: Place, found: Found, progress: Progress) -> None:
    progress("rejects …")
    keys = rejects_of(place.bucket, place.bronze_table)
    counted = {key: texts_of(subject, place.bucket, key, erase=False) for key in keys}
    found.rejects = [key for key, count in counted.items() if count]
    if keys:
        found.layers.append(
            Layer("rejected records, with their text", len(keys), len(found.rejects), sum(counted.values()))
        )


def _is_data(key: str) -> bool:
    return key.endswith(".parquet") and "/_delta_log/" not in key
