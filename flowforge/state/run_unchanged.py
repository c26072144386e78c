"""Tables of a run that had nothing new when it was submitted, since the source was asked of all of them at once: a few items for
a thousand tables, and no event of theirs."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from flowforge.aws import items
from flowforge.aws.compact import pack, unpack
from flowforge.runtime.settings import settings
from flowforge.state.expiry import EXPIRES_AT, expires_at
from flowforge.state.run_steps import Steps

UNCHANGED, TABLES_PER_ITEM = "UNCHANGED#", 250  # each may take a few kilobytes before it is compressed
PARTS = "unchanged_in"  # of a run's own item: how many items there are
EMPTY = "empty"  # the step that such tables have come to


class Unchanged(NamedTuple):
    """A table without news, and what a load of it would have told (`events.facts.IntervalEmpty`)."""

    bronze_table: str
    source_table: str
    reason: str
    promise: str
    watermark_value: str


def keep(run_id: str, unchanged: Sequence[Unchanged], at: str) -> None:
    """Writes them down, with the time `at` (ISO 8601); what another attempt to submit the run has left is replaced."""
    for n, start in enumerate(range(0, len(unchanged), TABLES_PER_ITEM)):
        told = pack([list(one) for one in unchanged[start : start + TABLES_PER_ITEM]])
        item = {"pk": run_id, "sk": f"{UNCHANGED}{n:04d}", "tables": told, "at": at, EXPIRES_AT: expires_at()}
        items.put(settings().runs_table, item)


def names_in_run(run_id: str) -> set[str]:
    """The bronze tables of a run that were not queued for that reason."""
    found = items.query(
        settings().runs_table, "pk = :pk AND begins_with(sk, :part)", {":pk": run_id, ":part": UNCHANGED}
    )
    return {one.bronze_table for one, _ in _read({item["sk"]: item for item in found})}


def attribute_of(unchanged: Sequence[Unchanged]) -> items.Item:
    """What the run's own item says of them."""
    return {PARTS: -(-len(unchanged) // TABLES_PER_ITEM)} if unchanged else {}


def keys_of(run: items.Item) -> list[items.Item]:
    """Where they are, by the run's own item."""
    return [{"pk": run["pk"], "sk": f"{UNCHANGED}{n:04d}"} for n in range(run.get(PARTS, 0))]


def stories_in(found: Mapping[str, items.Item]) -> dict[str, items.Item]:
    """What the items of a run tell of each such table, by its name in lower case, as an event would have left it."""
    return {one.bronze_table.lower(): {EMPTY: pack(_story(one, at))} for one, at in _read(found)}


def steps_in(found: Mapping[str, items.Item]) -> dict[str, tuple[str, Steps]]:
    """The same in short, as `run_steps.read` gives it."""
    return {one.bronze_table.lower(): (one.bronze_table, {EMPTY: {"at": at}}) for one, at in _read(found)}


def _read(found: Mapping[str, items.Item]) -> list[tuple[Unchanged, str]]:
    parts = [found[sk] for sk in sorted(found) if sk.startswith(UNCHANGED)]
    return [(Unchanged(*fields), part["at"]) for part in parts for fields in unpack(part["tables"])]


def _story(one: Unchanged, at: str) -> dict[str, Any]:
    return {**one._asdict(), "notes": [], "at": at}
