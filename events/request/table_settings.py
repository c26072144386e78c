"""What the settings of a request's tables and those of its destinations must not say against each other."""

from collections.abc import Iterator
from typing import Any

from events.effects import layered, part, without_effect
from events.request.deletes import detects

DATABASE = "source_config.databaseConfig"
KEEPS_NO_KEYS = {"append": "would add its rows a second time", "replace": "would leave nothing but its rows"}


def contradictions(config: dict[str, Any], shared: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Field and problem where the load strategy does not fit the load, or a destination is shared by accident. `config` is the
    databaseConfig as given, `shared` the request's destination_config."""
    listed = config.get("tables")
    tables = listed if isinstance(listed, list) else []
    entries = [(f"tables.{n}", entry) for n, entry in enumerate(tables) if isinstance(entry, dict)]
    for where, entry in entries if tables else [("", config)]:
        path = f"{DATABASE}.{where}" if where else DATABASE
        bronze = layered(entry, shared, "bronzeConfig")
        incremental = entry.get("isIncremental") is True
        if bronze.get("loadStrategy") == "incremental" and not incremental:
            yield (
                path,
                "loadStrategy incremental needs isIncremental true and a deltaColumn: add both, or write append "
                "(all rows are read) or full_refresh (and rows that are gone are taken out)",
            )
        if bronze.get("loadStrategy") == "full_refresh" and incremental:
            yield (
                path,
                "loadStrategy full_refresh contradicts isIncremental: write incremental to load what changed, or "
                "isIncremental false to load the whole table",
            )
        if entry.get("query") and not bronze.get("tableName"):
            yield path, "a query needs bronzeConfig.tableName: it has no table name of its own"
        strategy = layered(entry, shared, "silverConfig").get("mergeStrategy")
        if entry.get("window") and isinstance(strategy, str) and strategy in KEEPS_NO_KEYS:
            yield f"{path}.window", f"mergeStrategy {strategy} {KEEPS_NO_KEYS[strategy]}: a window needs merge or scd2"
        if entry.get("changeTracking") is True:
            yield from _of_tracking(path, layered(entry, shared, "silverConfig"))
            continue
        yield from _needs_keys(path, entry, bronze, layered(entry, shared, "silverConfig"))
        if bronze.get("loadStrategy") != "full_refresh":
            yield from _needs_full_refresh(path, entry, layered(entry, shared, "silverConfig"))
    named = [(f"{DATABASE}.tables.{n}", entry if isinstance(entry, dict) else {}) for n, entry in enumerate(tables)]
    yield from without_effect(shared, named if tables else [(DATABASE, config)])
    if entries and all(isinstance(entry, dict) for entry in tables):
        yield from _used_by_none(shared, [entry for _, entry in entries])
    fixed = [n for n in ("bronzeConfig", "silverConfig", "goldConfig") if part(shared, n).get("tableName")]
    if tables and fixed:
        yield (
            "destination_config",
            f"with tables, {', '.join(fixed)}.tableName would be shared by all: name it in each entry",
        )


def _of_tracking(path: str, silver: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """What does not go with changes by Change Tracking."""
    strategy = silver.get("mergeStrategy")
    if isinstance(strategy, str) and strategy in KEEPS_NO_KEYS:
        yield path, f"changeTracking needs silverConfig.mergeStrategy merge or scd2: {strategy} keeps no deletion"
    if detects(silver.get("deletes")):
        yield path, "changeTracking tells of deletes itself: write deletes hard, soft or ignore, or leave it out"


def _needs_full_refresh(path: str, entry: dict[str, Any], silver: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """What only a full_refresh does, since other loads do not see what is gone."""
    if entry.get("allowEmptyRefresh") is True:
        yield f"{path}.allowEmptyRefresh", "needs bronzeConfig.loadStrategy full_refresh"
    if silver.get("deletes") in ("hard", "soft"):
        yield (
            path,
            f"deletes {silver['deletes']} needs bronzeConfig.loadStrategy full_refresh: other loads see no deletions. An "
            'incremental load finds them by {"detect": "keys"}',
        )


def _needs_keys(
    path: str, entry: dict[str, Any], bronze: dict[str, Any], silver: dict[str, Any]
) -> Iterator[tuple[str, str]]:
    """What a comparison of keys needs: a load that does not see deletions, and a table whose keys are the source's."""
    if not detects(silver.get("deletes")):
        return
    if bronze.get("loadStrategy") == "full_refresh":
        yield path, "deletes detect keys has no use here: a full_refresh reads every row, and sees what is gone"
    elif entry.get("isIncremental") is not True:
        yield (
            path,
            "deletes detect keys needs isIncremental true and a deltaColumn: a load of all rows sees what is gone with "
            "bronzeConfig.loadStrategy full_refresh",
        )
    if entry.get("query"):
        yield path, "deletes detect keys needs a table: a row may leave a query's result without being deleted"


def _used_by_none(shared: dict[str, Any], entries: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """Settings of the request in whose place every table has its own."""
    for layer in ("bronzeConfig", "silverConfig", "goldConfig"):
        owns = [part(entry, "destination_config", layer) for entry in entries]
        for field in sorted(set(part(shared, layer)) - {"models", "tableName"}):
            if all(own.get(field) is not None for own in owns):
                yield f"destination_config.{layer}.{field}", "is used by no table: each has its own"
