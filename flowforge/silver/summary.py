"""What a person should know of how a batch was applied: rows that stay although the source may not have them any more, with the
figures and the setting that mends it. Pure.

Guarantees: nothing is told of a batch that is not the newest (later ones have changed the figures), nor of what was asked for by
`deletes: ignore` or `soft`.
"""

from flowforge.domain.batch import Batch
from flowforge.silver.plan import ROW_HASH
from flowforge.silver.refine import RefineResult

NO_KEY = (
    "{name} has no key: {inserted:,} rows were added to {before:,}, and where a row was changed, its old state stays beside the "
    "new one; name the key in silverConfig.primaryKey, with another silverConfig.tableName and the watermark reset"
)
GONE = (
    "{name}: {kept:,} of {rows:,} rows are not among those of this full load ({why}) and are kept; "
    "bronzeConfig.loadStrategy full_refresh takes out what is gone from the source"
)
EVERY_TIME = (
    "{name}: mergeStrategy append adds every row of every full load, this time {inserted:,} to {before:,}; merge and replace do "
    "not"
)
COMPARED = "{name}: the source has {deleted:,} keys no more; {became}"
LOADED_AGAIN = (
    "{name}: the table was reset, so its files are loaded again, and mergeStrategy append keeps the {before:,} rows of before "
    "beside them; to have each once, load into another silverConfig.tableName"
)
ONLY_NEWEST = (
    "{name}: mergeStrategy replace keeps the rows of the newest batch only, and this load reads only what changed: {deleted:,} "
    "rows were removed; merge keeps them"
)


def notes_of(batch: Batch, result: RefineResult) -> list[str]:
    """The notes for the run of a batch that is its table's newest."""
    strategy, incremental = batch.command.silver.strategy, not batch.reads_all
    figures = {
        "name": f"silver.{result.silver_table}",
        "rows": result.silver_rows,
        "inserted": result.inserted,
        "deleted": result.deleted,
        "before": result.silver_rows - result.inserted,
        "kept": result.silver_rows - result.inserted - result.updated,
        "why": "gone, or in quarantine" if result.quarantined else "gone",
    }
    if batch.only_keys:
        became = {"scd2": "their version was ended"}.get(strategy) or (
            "they were marked" if batch.command.silver.deletes == "soft" else "they were removed"
        )
        return [COMPARED.format(**figures | {"became": became})] if result.deleted else []
    keyless = ROW_HASH in result.column_types
    again = batch.interval.files and batch.generation > 1 and not batch.interval.replaces
    if strategy == "append" and again and figures["before"]:
        return [LOADED_AGAIN.format(**figures)]
    if strategy == "replace" and incremental and result.deleted:
        return [ONLY_NEWEST.format(**figures)]
    if strategy == "merge" and keyless and incremental:
        return [NO_KEY.format(**figures)]
    if strategy == "append" and not incremental and figures["before"]:
        return [EVERY_TIME.format(**figures)]
    keeps = strategy == "merge" and not incremental and not batch.refreshes
    if keeps and figures["kept"] > 0:
        why = "gone, or changed: the table has no key" if keyless else figures["why"]
        return [GONE.format(**figures | {"why": why})]
    return []
