"""What the settings of a request's files and those of its destinations must not say against each other."""

from collections.abc import Iterator
from typing import Any

from events.effects import part, without_effect
from events.request.deletes import detects

FILES = "source_config.fileConfig"


def contradictions(config: dict[str, Any], shared: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Field and problem where the load strategy does not fit files. `config` is the fileConfig as given, `shared` the request's
    destination_config."""
    bronze, silver = part(shared, "bronzeConfig"), part(shared, "silverConfig")
    refreshes = bronze.get("loadStrategy") == "full_refresh"
    replaces = config.get("changedFile") == "replace"
    if replaces:
        yield from _unfit_for_replacing(bronze, silver)
    if bronze.get("loadStrategy") == "incremental":
        yield (
            "destination_config.bronzeConfig.loadStrategy",
            "incremental is by a column of a table: files are loaded once each; write append (each file adds to the table) or "
            "full_refresh (each file is the whole table)",
        )
    if not refreshes and config.get("allowEmptyRefresh") is True:
        yield f"{FILES}.allowEmptyRefresh", "needs bronzeConfig.loadStrategy full_refresh"
    follows_changes = _tells_changes(config)
    if follows_changes:
        yield from _unfit_for_changes(config, bronze, silver)
    replaces_keys = replaces and silver.get("primaryKey") and silver.get("mergeStrategy") != "append"
    if not (refreshes or follows_changes or replaces_keys) and silver.get("deletes") in ("hard", "soft"):
        yield (
            "destination_config.silverConfig.deletes",
            f"{silver['deletes']} needs bronzeConfig.loadStrategy full_refresh, a column with operations, or changedFile replace "
            "and a primaryKey: other loads see no deletions",
        )
    if detects(silver.get("deletes")):
        yield (
            "destination_config.silverConfig.deletes",
            "detect keys is of a table in a database: files tell deletes by a full_refresh, operations, or changedFile replace",
        )
    if refreshes and config.get("together") is True:
        yield f"{FILES}.together", "a full_refresh takes one file at a time: each is the whole table"
    if silver.get("mergeStrategy") in ("merge", "scd2") and not refreshes and not silver.get("primaryKey"):
        yield (
            "destination_config.silverConfig.mergeStrategy",
            f"{silver['mergeStrategy']} needs primaryKey: files have no key of their own (append adds each file's rows)",
        )
    if silver.get("mergeStrategy") == "scd2" and refreshes and not silver.get("primaryKey"):
        yield "destination_config.silverConfig.mergeStrategy", "scd2 needs primaryKey: files have no key of their own"
    yield from without_effect(shared, [(FILES, config)])


def _unfit_for_replacing(bronze: dict[str, Any], silver: dict[str, Any]) -> Iterator[tuple[str, str]]:
    field = f"{FILES}.changedFile"
    if bronze.get("loadStrategy") == "full_refresh":
        yield field, "replace has no use where each file is the whole table (full_refresh): leave it out"
    if silver.get("mergeStrategy") == "replace":
        yield (
            field,
            "replace has no use where each file takes the place of all rows (mergeStrategy replace): leave it out",
        )
    if bronze.get("auditColumns") is False:
        yield field, "replace needs bronzeConfig.auditColumns: _source_file tells which rows are the file's"


def _tells_changes(config: dict[str, Any]) -> bool:
    columns = config.get("columns")
    return isinstance(columns, list) and any(isinstance(one, dict) and one.get("operations") for one in columns)


def _unfit_for_changes(
    config: dict[str, Any], bronze: dict[str, Any], silver: dict[str, Any]
) -> Iterator[tuple[str, str]]:
    columns = [one for one in config["columns"] if isinstance(one, dict) and one.get("operations")]
    if len(columns) > 1:
        yield f"{FILES}.columns", "one column tells the operation, and several have operations"
    if config.get("changedFile") == "replace":
        yield (
            f"{FILES}.changedFile",
            "replace has no use for changes: what a file has told is not taken back; leave it out",
        )
    if bronze.get("loadStrategy") == "full_refresh":
        yield "destination_config.bronzeConfig.loadStrategy", "files of changes are no snapshots: write append"
    if bronze.get("auditColumns") is False:
        yield (
            "destination_config.bronzeConfig.auditColumns",
            "operations need it: _row_number tells the order of changes",
        )
    if not silver.get("primaryKey"):
        yield "destination_config.silverConfig.primaryKey", "operations need it: it tells which row a change is of"
    if silver.get("mergeStrategy") in ("append", "replace"):
        yield "destination_config.silverConfig.mergeStrategy", "changes are applied by merge, or kept by scd2"
