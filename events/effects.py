"""Settings of a job request that its other settings leave without effect: each is refused, with what it needs.

Guarantees: pure, over the document as it was given, in which anything may be of any type. What the request says for several
tables is refused where none of them has a use for it.
"""

from collections.abc import Iterator, Sequence
from typing import Any

LAYERS = ("bronzeConfig", "silverConfig", "goldConfig")
OF_TABLE = ""  # in place of a layer: a field of the table's own entry
KEY_OF_FULL_BUILD = (
    "has no effect on a full build, which compares no rows: write buildStrategy incremental, or, to have the key checked, a "
    "rule unique in qualityRules"
)


def part(given: Any, *names: str) -> dict[str, Any]:
    """A part of a document as given; an empty one where there is no object."""
    for name in names:
        given = given.get(name) if isinstance(given, dict) else None
    return given if isinstance(given, dict) else {}


def layered(entry: dict[str, Any], shared: dict[str, Any], layer: str) -> dict[str, Any]:
    """A layer's settings of a table: its own over those of the request."""
    return part(shared, layer) | part(entry, "destination_config", layer)


def without_effect(shared: dict[str, Any], tables: Sequence[tuple[str, dict[str, Any]]]) -> Iterator[tuple[str, str]]:
    """Field and problem of each such setting; `shared` is the request's destination_config, `tables` are the entries, each with
    its path. A pattern is an empty entry."""
    found = [_of_table(entry, shared) for _, entry in tables]
    for (path, entry), problems in zip(tables, found, strict=True):
        for (layer, field), problem in problems.items():
            if layer == OF_TABLE:
                yield f"{path}.{field}", problem
            elif field in part(entry, "destination_config", layer):
                yield f"{path}.destination_config.{layer}.{field}", problem
    for (layer, field), problem in found[0].items() if found else ():
        if field in part(shared, layer) and all((layer, field) in problems for problems in found):
            yield f"destination_config.{layer}.{field}", problem


def _of_table(entry: dict[str, Any], shared: dict[str, Any]) -> dict[tuple[str, str], str]:
    bronze, silver, gold = (layered(entry, shared, layer) for layer in LAYERS)
    strategy, full_refresh = silver.get("mergeStrategy", "merge"), bronze.get("loadStrategy") == "full_refresh"
    tracked = entry.get("changeTracking") is True  # such loads begin with a whole table, and take out what is gone
    full_refresh, compares = full_refresh or tracked, isinstance(silver.get("deletes"), dict)
    kept = silver.get("deletes") == "ignore" or strategy == "append"  # what a refresh does not have
    problems: dict[tuple[str, str], str] = {}
    if entry.get("acceptPartialView") is True and strategy != "replace" and (kept or not (full_refresh or compares)):
        problems[OF_TABLE, "acceptPartialView"] = (
            "needs a load that takes rows out of silver: bronzeConfig.loadStrategy full_refresh with deletes hard or soft, "
            "deletes detect keys, or silverConfig.mergeStrategy replace; this one keeps what the login does not see"
        )
    if entry.get("allowEmptyRefresh") is True and full_refresh and kept:
        problems[OF_TABLE, "allowEmptyRefresh"] = (
            "needs a full_refresh that takes rows out of silver: deletes hard or soft (mergeStrategy merge or scd2), or "
            "mergeStrategy replace; this one keeps them"
        )
    if silver.get("nullKeys") == "quarantine" and not silver.get("primaryKey"):
        problems["silverConfig", "nullKeys"] = (
            "needs silverConfig.primaryKey: the source's own primary key has no NULL, and rows without a key have none either"
        )
    if gold.get("primaryKey") and gold.get("buildStrategy", "full") == "full":
        problems["goldConfig", "primaryKey"] = KEY_OF_FULL_BUILD
    return problems
