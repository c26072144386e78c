"""How long a change takes from the source to gold, by Delta's own log of gold.

A version of gold shows a change when it has its rows or later ones of the table: changes of a table are made one after the other,
and a load takes them in that order. Files of a job are loaded in any order, so each version is asked for the numbers that it has.
"""

import json
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from benchmarks.load.tables import Table
from benchmarks.load.writer import Change
from flowforge.operations.query import query
from tests.faults.world import World


class Version(NamedTuple):
    """A version of gold: when it was committed (seconds since 1970), and the newest change that its files hold."""

    number: int
    at: float
    newest: int


def versions(commits: Iterable[str]) -> list[Version]:
    """What a Delta log tells, commit by commit from 0 on, of a table with a column `n`."""
    newest: dict[str, int] = {}
    found = []
    for number, text in enumerate(commits):
        at = 0.0
        for action in map(json.loads, text.splitlines()):
            if "add" in action:
                most = json.loads(action["add"].get("stats") or "{}").get("maxValues", {})
                newest[action["add"]["path"]] = most.get("n", 0)
            elif "remove" in action:
                newest.pop(action["remove"]["path"], None)
            elif "commitInfo" in action:
                at = action["commitInfo"]["timestamp"] / 1000
        found.append(Version(number, at, max(newest.values(), default=-1)))
    return found


def latencies(world: World, tables: Sequence[Table], changes: Sequence[Change]) -> tuple[list[float], int]:
    """Seconds from each change to the first version of gold that shows it, and how many changes none shows."""
    found, unseen = [], 0
    for table in tables:
        own = [change for change in changes if change.table == table.name]
        if not own:
            continue
        log = versions(_log(world, table.name))
        shown = _numbers(world, table, log) if table.files else [range(version.newest + 1) for version in log]
        for change in own:
            at = next((version.at for version, seen in zip(log, shown, strict=True) if change.n in seen), None)
            if at is None:
                unseen += 1
            else:
                found.append(max(0.0, at - change.at))
    return found, unseen


def _log(world: World, table: str) -> list[str]:
    prefix = f"gold/{table}/_delta_log/"
    pages = world.s3.get_paginator("list_objects_v2").paginate(Bucket=world.bucket, Prefix=prefix)
    keys = sorted(entry["Key"] for page in pages for entry in page.get("Contents", []))
    commits = [key for key in keys if key.removeprefix(prefix).removesuffix(".json").isdecimal()]
    return [world.s3.get_object(Bucket=world.bucket, Key=key)["Body"].read().decode() for key in commits]


def _numbers(world: World, table: Table, log: Sequence[Version]) -> list[set[Any]]:
    asked = f"SELECT DISTINCT n FROM gold.{table.name}"
    return [{n for (n,) in query(asked, world.bucket, version.number).rows} for version in log]


def percentile(values: Sequence[float], share: float) -> float:
    """The least of the values that so large a share of them does not exceed (nearest rank); 0 of none."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * share // 1).__int__() - 1)] if ordered else 0.0
