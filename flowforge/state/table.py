"""The state of a source table: its watermarks, its last sequence number, and which batch is under way.

One item per source key holds all that a claim or commit must change together; `version` is its compare-and-set counter. The
source key names server, database, table (or query) and bronze table. The cursor column is not part of it: watermarks are kept
per cursor column inside the item, so that a full load and an incremental load of one table share one order of batches, which
silver relies on, and still never share a watermark.
"""

import hashlib
import re
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from events.commands import IngestTable
from events.names import plain_name
from flowforge.aws import items
from flowforge.aws.compact import pack, unpack
from flowforge.domain.batch import Batch, order_of
from flowforge.domain.errors import ConflictingTarget, NotFound, unreadable
from flowforge.domain.interval import Interval
from flowforge.domain.near import meant
from flowforge.domain.scope import Scope
from flowforge.domain.source_key import bronze_table_of
from flowforge.runtime.settings import settings

STATE = "STATE"
RECENT_BATCHES = 20  # a picture of their rows; some 100 bytes of the state
TABLES = "TABLES"  # partition of the registry: one item per source key


class Watermark(BaseModel):
    """The committed upper bound of one cursor column: all rows below `value` are landed. `sql_type` is None when set by hand;
    `last_rows` is the digest of those with the last number below it, where further rows may get that. `moved_at` is when it was
    last moved without a batch (ISO 8601), since there was nothing up to it."""

    model_config = ConfigDict(frozen=True)

    value: str
    sql_type: str | None = None
    seq: int = 0
    committed_at: str = ""
    moved_at: str = ""
    last_rows: str = ""
    identity: dict[str, Any] = Field(default_factory=dict)


class Landed(BaseModel):
    """The batch by which a lake and a state know each other: the newest that this state has committed, or found in the lake."""

    model_config = ConfigDict(frozen=True)

    generation: int
    seq: int
    claim: str

    @property
    def order(self) -> int:
        """Position of the batch among the batches of its source."""
        return order_of(self.generation, self.seq)


class Recent(BaseModel):
    """The newest batches in short, so that a list of tables reads nothing more of them: the run that ended the last one, when
    (ISO 8601), and the rows of the last RECENT_BATCHES, oldest first; 0: there was nothing new."""

    model_config = ConfigDict(frozen=True)

    run_id: str = ""
    at: str = ""
    rows: list[int] = Field(default_factory=list)

    def then(self, batch: Batch) -> "Recent":
        """The same with one more batch, which ends now."""
        rows = [*self.rows, batch.manifest.rows if batch.manifest else 0][-RECENT_BATCHES:]
        return Recent(run_id=batch.command.run_id, at=datetime.now(UTC).isoformat(timespec="seconds"), rows=rows)


class TableState(BaseModel):
    """What is known of a source key; a fresh one has version 0 and is not stored yet.

    `epoch` is drawn with the first claim. `asked` is the digest of what the newest claim was asked to do (empty: claimed by a
    version before). `landed` is None before the first commit, and after a person has decided what the
    watermarks are. `compared_at` is when its keys were last read to be
    compared, in epoch seconds (0: never). `scope` is that of the newest commit that has rows (None: a version before has made it,
    or there is none). `resumed` tells that the lake holds batches whose labels this state does not know. `recent` is empty until
    the next batch where a version before has written the state, or a rebuild.
    """

    source_key: str
    generation: int = 1
    seq: int = 0
    version: int = 0
    active: int | None = None
    epoch: str = ""
    landed: Landed | None = None
    resumed: bool = False
    asked: str = ""
    compared_at: int = 0
    scope: Scope | None = None
    bronze_table: str = ""
    source_table: str = ""
    silver_table: str = ""
    watermarks: dict[str, Watermark] = Field(default_factory=dict)
    samples: dict[str, list[dict[str, Any]]] = Field(default_factory=dict)
    recent: Recent = Field(default_factory=Recent)

    def item(self) -> items.Item:
        """The stored form."""
        plain = self.model_dump(exclude={"source_key", "watermarks", "samples", "scope", "recent"})
        watermarks = {column: mark.model_dump() for column, mark in self.watermarks.items()}
        return {
            "pk": self.source_key,
            "sk": STATE,
            **plain,
            "watermarks": pack(watermarks),
            "samples": pack(self.samples),
            "scope": pack(self.scope.model_dump()) if self.scope else None,
            "recent": pack(self.recent.model_dump()),
        }

    def put_action(self) -> dict[str, Any]:
        """Writes the next version, if nobody wrote since this one was read."""
        table, following = settings().watermarks_table, self.model_copy(update={"version": self.version + 1})
        condition = "attribute_not_exists(pk)" if self.version == 0 else "version = :was"
        action = items.put_action(table, following.item(), condition)
        if self.version:
            action["Put"]["ExpressionAttributeValues"] = items.encode({":was": self.version})
        return action


def key_id(key: str) -> str:
    """A short name of a source key, for addresses and command lines, where its slashes would be in the way."""
    return hashlib.sha256(key.encode()).hexdigest()[:12]


def asked_of(command: IngestTable) -> str:
    """A digest of what a command asks for, whichever run and delivery it is of: its source, destinations, rules and models."""
    text = command.model_dump_json(exclude={"type", "run_id", "batch_id", "replayed", "given_up", "only_keys"})
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def query_name(query: str) -> str:
    """How a query is named in a source key: by the hash of its text, white space folded."""
    return "query-" + hashlib.sha256(re.sub(r"\s+", " ", query.strip()).encode()).hexdigest()[:16]


def read_state(key: str) -> TableState:
    """The state of a source key; a fresh one when there is none. Raises UnreadableRecord."""
    return state_of(key, items.get(settings().watermarks_table, {"pk": key, "sk": STATE}))


def state_of(key: str, found: items.Item | None) -> TableState:
    """A state from its stored form; a fresh one where there is none. Raises UnreadableRecord."""
    if not found:
        return TableState(source_key=key)
    try:
        found["watermarks"], found["samples"] = unpack(found["watermarks"]), unpack(found["samples"])
        found["scope"] = unpack(found["scope"]) if found.get("scope") else None
        found["recent"] = unpack(found["recent"]) if found.get("recent") else {}
        return TableState(source_key=key, **{k: v for k, v in found.items() if k not in ("pk", "sk")})
    except (ValueError, TypeError, KeyError) as error:
        remedy = f"Restore it from bronze: flowforge watermark rebuild --table {bronze_table_of(key)} --write --force."
        raise unreadable(f"the state of {key}", error, remedy) from error


def salvage_state(key: str) -> TableState:
    """What a rebuild needs of a state that cannot be read: which version it takes the place of, and where its order went on."""
    found = items.get(settings().watermarks_table, {"pk": key, "sk": STATE}) or {}
    counts = {name: found[name] for name in ("version", "generation", "seq") if isinstance(found.get(name), int)}
    return TableState(source_key=key, **counts)


def remember_samples(state: TableState, column: str, samples: list[dict[str, Any]]) -> None:
    """Keeps the cursor's samples between runs. Losing the race to another writer loses only a sample."""
    following = state.model_copy(update={"samples": state.samples | {column: samples}})
    items.transact([following.put_action()])


def move_watermark(state: TableState, interval: Interval, identity: dict[str, Any]) -> TableState:
    """Moves a watermark to the end of an interval in which there is nothing; returns the state as it is then. Losing the race to
    another writer leaves it where it was: the next load asks from there once more."""
    following = _moved(state, interval.column or "", {"value": interval.high, "identity": identity})
    return following if items.transact([following.put_action()]) else state


def move_idle_watermark(state: TableState, column: str, value: str) -> bool:
    """The same for a table that no load looks at, since nothing in it has changed; in one call, which writes nothing else."""
    marks = _moved(state, column, {"value": value}).item()["watermarks"]
    values = {":marks": marks, ":next": state.version + 1, ":was": state.version}
    key, sets = {"pk": state.source_key, "sk": STATE}, "SET watermarks = :marks, version = :next"
    return items.update(settings().watermarks_table, key, sets, values, "version = :was")


def _moved(state: TableState, column: str, update: dict[str, Any]) -> TableState:
    told = update | {"moved_at": datetime.now(UTC).isoformat(timespec="seconds")}
    mark = state.watermarks[column].model_copy(update=told)
    return state.model_copy(update={"watermarks": state.watermarks | {column: mark}})


def registry_action(state: TableState) -> dict[str, Any]:
    """Lists the table, so that people can find its watermark by name."""
    names = {"bronze_table": state.bronze_table, "source_table": state.source_table, "silver_table": state.silver_table}
    return items.put_action(settings().watermarks_table, {"pk": TABLES, "sk": state.source_key, **names})


def list_tables() -> list[items.Item]:
    """All tables that ever were claimed: `sk` is the source key, beside it its bronze, source and silver table."""
    return list(items.query(settings().watermarks_table, "pk = :pk", {":pk": TABLES}))


def tables_after(key: str | None, most: int) -> list[items.Item]:
    """The same in the order of their keys: at most so many, behind a source key, or the first ones."""
    options: dict[str, Any] = {"Limit": most}
    if key:
        options["ExclusiveStartKey"] = items.encode({"pk": TABLES, "sk": key})
    return list(items.query(settings().watermarks_table, "pk = :pk", {":pk": TABLES}, **options))


def read_stored(keys: list[str]) -> dict[str, items.Item | None]:
    """What is stored of many tables, by source key, for `state_of`."""
    found = items.get_many(settings().watermarks_table, [{"pk": key, "sk": STATE} for key in keys])
    return dict(zip(keys, found, strict=True))


def resolve(name: str) -> TableState:
    """The state of the table that a person calls `name`: bronze or source table in any case (dbo. may be left out), key or id.

    Raises NotFound, or ConflictingTarget when several fit.
    """
    listed = list_tables()
    wanted = name.lower()
    for fits in (
        lambda item: name in (item["sk"], key_id(item["sk"])),
        lambda item: item["bronze_table"] == name,
        lambda item: item["bronze_table"].lower() == wanted,
        lambda item: item["source_table"].lower() in (wanted, plain_name(wanted)),
    ):
        found = [item["sk"] for item in listed if fits(item)]
        if len(found) > 1:
            listing = ", ".join(f"{key_id(key)} ({key})" for key in found)
            raise ConflictingTarget(f"{name!r} names {len(found)} watermarks: {listing}", "Name one by its id.")
        if found:
            return read_state(found[0])
    known = {item["bronze_table"] for item in listed} | {item["source_table"] for item in listed}
    raise NotFound(f"no watermark for table {name!r}", meant(name, known, "No table was loaded yet."))
