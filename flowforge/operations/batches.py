"""From footers to batches: what was landed for each source, and how far that reaches.

Guarantees: a watermark never passes a row that is not in bronze. A batch counts when all its objects are there, and when the next
one of its cursor started where it ended: what was given up and read again does not. Of a batch in slices that lacks one, nobody
can tell whether that slice was empty: it counts only if the next batch started where it ended. Where two states have claimed
the same place in the order, the one counts that the lake's head is of.
"""

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from events.commands import IngestTable
from events.files import FileColumn
from flowforge.domain.alone import each_alone
from flowforge.domain.batch import Batch, State
from flowforge.domain.interval import Interval
from flowforge.domain.manifest import BronzeObject, Manifest
from flowforge.domain.scope import scope_of
from flowforge.domain.source_columns import SourceColumn
from flowforge.domain.source_key import SourceKey, bronze_table_of
from flowforge.operations.footers import FoundObject, read_footers
from flowforge.state.file_ledger import FileEntry, entry_of
from flowforge.state.file_types import FileTypes, types_of
from flowforge.state.folded import read_folded
from flowforge.state.lake_head import Head, read_head
from flowforge.state.table import TableState, Watermark


@dataclass
class Rebuilt:
    """The state of one source as bronze tells it; `newest` is the (generation, seq) of bronze's newest batch, `incomplete` are
    batches that do not count, `dated` objects of a footer that is too old to hold its command. With a `problem` nothing is known
    but the source: a footer of it cannot be read. `entries` are those of the ledger, where the source is files, and `types` what
    was taken of its first file."""

    state: TableState
    newest: tuple[int, int] = (0, 0)
    batches: list[Batch] = field(default_factory=list)
    entries: list[FileEntry] = field(default_factory=list)
    types: list[FileTypes] = field(default_factory=list)
    incomplete: list[int] = field(default_factory=list)
    dated: int = 0
    problem: str | None = None


def sources_of(objects: Iterable[FoundObject]) -> list[str]:
    """The source keys that objects tell of."""
    return sorted({found.footer["source_key"] for found in objects if found.footer and "source_key" in found.footer})


def rebuild_states(
    objects: Iterable[FoundObject], bucket: str, heads: Mapping[str, Head | None] | None = None
) -> list[Rebuilt]:
    """One Rebuilt for each source key, in their order; `heads` are the lake's, by source key. A new generation begins, above
    all that the lake knows: corrections by hand are not in bronze."""
    sources: dict[str, dict[tuple[int, int], dict[str, list[FoundObject]]]] = {}
    for found in objects:
        if found.footer and {"source_key", "generation", "seq"} <= set(found.footer):
            identity = (found.footer["generation"], found.footer["seq"])
            claims = sources.setdefault(found.footer["source_key"], {}).setdefault(identity, {})
            claims.setdefault(found.footer.get("claim", ""), []).append(found)

    def rebuilt(key: str) -> Rebuilt:
        head = (heads or {}).get(key)
        landed = {identity: _counting(claims, head) for identity, claims in sources[key].items()}
        return _rebuilt(key, landed, bucket, head)

    done, failed = each_alone(sorted(sources), rebuilt)
    told = [Rebuilt(_nothing_of(one.thing), problem=f"a footer cannot be read ({one.error!r})") for one in failed]
    return sorted([found for _, found in done] + told, key=lambda found: found.state.source_key)


def folded_batches(bucket: str, source_key: str, recorded: Iterable[Batch]) -> list[Batch]:
    """The batches of a source whose records were folded, as bronze tells them. Raises StoreUnavailable."""
    until = read_folded(source_key).order
    if not until:
        return []
    known = {batch.order for batch in recorded}
    found = [one for one in read_footers(bucket, bronze_table_of(source_key)) if one.footer]
    own = [one for one in found if one.facts.get("source_key") == source_key]
    rebuilt = rebuild_states(own, bucket, {source_key: read_head(bucket, source_key)})
    return [batch for one in rebuilt for batch in one.batches if batch.order <= until and batch.order not in known]


def _nothing_of(source_key: str) -> TableState:
    return TableState(source_key=source_key, bronze_table=bronze_table_of(source_key))


def _counting(claims: dict[str, list[FoundObject]], head: Head | None) -> list[FoundObject]:
    """The objects of one batch, where several have the same place in the order."""
    own = [claim for claim in sorted(claims) if head and claims[claim][0].facts.get("epoch", "") == head.epoch]
    chosen = head.claim if head and head.claim in claims else own[-1] if own else max(claims)
    return claims[chosen]


def _rebuilt(
    source_key: str, landed: dict[tuple[int, int], list[FoundObject]], bucket: str, head: Head | None
) -> Rebuilt:
    order = sorted(landed)
    generation = order[-1][0]
    committed = _committed({identity: landed[identity] for identity in order if identity[0] == generation})
    newest = landed[order[-1]][0].facts
    command = newest.get("command") or {}
    state = TableState(
        source_key=source_key,
        generation=max(generation, head.generation if head else 0) + 1,
        seq=max(*(seq for _, seq in order), head.seq if head else 0),
        landed=head.landed if head else None,
        bronze_table=bronze_table_of(source_key),
        source_table=SourceKey.parse(source_key).source_table,
        silver_table=(command.get("silver") or {}).get("table", ""),
        watermarks=_watermarks([landed[identity] for identity in order if identity in committed]),
    )
    rebuilt = Rebuilt(state, order[-1])
    for identity in order:
        objects = landed[identity]
        if not _is_whole(objects):
            rebuilt.incomplete.append(identity[1])
        if "command" not in objects[0].facts:
            rebuilt.dated += len(objects)
        else:
            known = identity in committed or identity[0] < generation
            batch = _batch(objects, bucket, "committed" if known else "voided")
            rebuilt.batches.append(batch)
            if identity in committed:
                rebuilt.state = state.model_copy(update={"scope": scope_of(batch)})
                rebuilt.entries += _entries(batch, [one.facts for one in objects])
                rebuilt.types += _types(batch, objects[0].facts)
    return rebuilt


def _entries(batch: Batch, footers: list[dict[str, Any]]) -> Iterator[FileEntry]:
    """The ledger's entries of a batch of files, as its own worker has written them; each slice tells its part of them."""
    told = [footer.get("files") or [] for footer in sorted(footers, key=lambda one: one["slice"])]
    for file, parts in zip(batch.interval.files, zip(*told, strict=True), strict=True):
        first = next((part[2] for part in parts if part[2]), "")
        yield entry_of(batch, file, sum(part[0] for part in parts), sum(part[1] for part in parts), first)
    for file in batch.interval.skipped:
        yield entry_of(batch, file, 0).model_copy(update={"skipped": True})


def _types(batch: Batch, footer: dict[str, Any]) -> Iterator[FileTypes]:
    """The types that a batch has taken of the first of its files with a row."""
    columns = [FileColumn.model_validate(one) for one in footer.get("types") or []]
    first = next(
        (file for file, (rows, *_) in zip(batch.interval.files, footer.get("files") or [], strict=True) if rows), None
    )
    if columns and first:
        yield types_of(batch, columns, first)


def _committed(landed: dict[tuple[int, int], list[FoundObject]]) -> set[tuple[int, int]]:
    """The batches of one generation whose rows count, by cursor column from the newest back."""
    chosen: set[tuple[int, int]] = set()
    following: dict[str | None, dict[str, Any]] = {}
    runs: set[str] = set()
    for identity in sorted(landed, reverse=True):
        footer = landed[identity][0].facts
        if footer["interval"].get("window"):  # it stands in no chain of bounds
            if _is_whole(landed[identity]) and footer["run_id"] not in runs:
                chosen.add(identity)
                runs.add(footer["run_id"])
            continue
        column, after = footer["interval"]["column"], following.get(footer["interval"]["column"])
        continued = column is not None and after is not None and _starts_at(after, footer["interval"]["high"])
        replaced = footer["run_id"] in runs or (column is not None and after is not None and not continued)
        if (continued or _is_whole(landed[identity])) and not replaced:
            chosen.add(identity)
            following[column] = footer
            runs.add(footer["run_id"])
    return chosen


def _starts_at(footer: dict[str, Any], high: str | None) -> bool:
    """Whether a batch started at this bound; footers before version 2 do not say where theirs did."""
    return footer["watermark_before"] == high if "watermark_before" in footer else True


def _is_whole(objects: list[FoundObject]) -> bool:
    return len(objects) == objects[0].facts["slices"]


def _watermarks(committed: list[list[FoundObject]]) -> dict[str, Watermark]:
    marks = {}
    for objects in committed:
        footer = objects[0].facts
        interval = footer["interval"]
        if interval["column"] is not None and interval["high"] is not None and not interval.get("window"):
            marks[interval["column"]] = Watermark(
                value=interval["high"],
                sql_type=interval["sql_type"],
                seq=footer["seq"],
                committed_at="",
                identity=footer["identity"],
            )
    return marks


def _batch(objects: list[FoundObject], bucket: str, state: State) -> Batch:
    footer = objects[0].facts
    command = IngestTable.model_validate(footer["command"])
    newest = [value for found in objects if (value := found.facts.get("max_cursor_value"))]
    manifest = Manifest(
        bucket=bucket,
        objects=[
            BronzeObject(key=one.key, etag=one.etag, rows=one.facts["rows"], bytes=one.bytes)
            for one in sorted(objects, key=lambda one: one.key)
        ],
        rows=sum(one.facts["rows"] for one in objects),
        bytes=sum(one.bytes for one in objects),
        columns=[SourceColumn(**column) for column in footer["columns"]],
        primary_key=footer["identity"].get("primary_key", []),
        unique_keys=footer["identity"].get("unique_keys", []),
        audit_columns=command.bronze.audit_columns,
        max_cursor_value=max(newest, key=lambda text: (len(text), text), default=None),
    )
    return Batch(
        source_key=footer["source_key"],
        generation=footer["generation"],
        seq=footer["seq"],
        state=state,
        token="rebuilt",  # noqa: S106  nobody holds it
        lease_until=0,
        label=footer["label"],
        claim=footer.get("claim", ""),
        epoch=footer.get("epoch", ""),
        claimed_at=footer.get("claimed_at", 0.0),
        footers=footer["version"],
        interval=Interval(**footer["interval"]),
        command=command,
        identity=footer["identity"],
        manifest=manifest,
        watermark_before=footer["watermark_before"],
        updated_at=time.time(),
    )
