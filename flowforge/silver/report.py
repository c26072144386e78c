"""What the quality rules of a silver table have found: from the commits of the table itself, and from its quarantine."""

from typing import Any

from flowforge.domain.figures import plain, quality_of
from flowforge.engines.registry import ENGINE
from flowforge.silver.decisions import existing
from flowforge.silver.refine import BATCH, HISTORY
from flowforge.tables.lake import open_table, store_errors, table_uri
from flowforge.tables.rows import relation

MOST_REASONS = 1000


def quality_of_table(bucket: str, name: str) -> dict[str, Any]:
    """The figures of the newest batch that rules have looked at, and quarantine's rows by reason and batch; raises NotFound."""
    with store_errors(f"silver.{name}"):
        judged = next((one for one in existing(bucket, name).history(HISTORY) if quality_of(one)), None)
        return {
            "table": name,
            "batch": _batch(judged[BATCH]) if judged else None,
            "rules": plain(quality_of(judged or {})),
            "quarantine": _quarantine(bucket, name),
        }


def _batch(application_id: str) -> dict[str, int]:
    generation, seq = application_id.rsplit("/", 2)[1:]
    return {"generation": int(generation), "seq": int(seq)}


def _quarantine(bucket: str, name: str) -> list[dict[str, Any]]:
    table = open_table(table_uri(bucket, "quarantine", name))
    if table is None:
        return []
    with ENGINE.session() as connection:
        counted = relation(connection, table).aggregate("_reason, _generation, _seq, count(*)")
        rows = counted.order("_generation DESC, _seq DESC, _reason").limit(MOST_REASONS).fetchall()
    return [dict(zip(("reason", "generation", "seq", "rows"), row, strict=True)) for row in rows]
