"""What the quality rules of a gold table have found: in the rows that are published, and in those that were refused since."""

from datetime import UTC, datetime
from typing import Any

from flowforge.domain.errors import NotFound
from flowforge.domain.figures import plain
from flowforge.gold.outcomes import ModelOutcome, read_outcome
from flowforge.gold.transactions import published_quality
from flowforge.tables.base import LakeTable
from flowforge.tables.lake import open_table, store_errors, table_uri


def quality_of_table(bucket: str, name: str) -> dict[str, Any]:
    """The figures of the published version (None: there is none yet), and why a later one was refused; raises NotFound."""
    with store_errors(f"gold.{name}"):
        table, record = open_table(table_uri(bucket, "gold", name)), read_outcome(bucket, name)
        if table is None and record is None:
            raise NotFound(f"there is no table gold.{name} in {bucket}", "flowforge models shows the gold tables.")
        published = _published_at(table)
        return {
            "table": name,
            "version": table.version() if table is not None else None,
            "published_at": published and published.isoformat(timespec="seconds"),
            "rules": plain(published_quality(table)) if table is not None else [],
            "refused": _refused(record, published),
        }


def _published_at(table: LakeTable | None) -> datetime | None:
    if table is None:
        return None
    commit = table.commit_of(table.data_version())
    made_at = commit and commit.info.get("timestamp")
    return datetime.fromtimestamp(made_at / 1000, UTC) if made_at is not None else None


def _refused(record: ModelOutcome | None, published: datetime | None) -> dict[str, Any] | None:
    """The last outcome, where it was a refusal after what is published."""
    if record is None or record.outcome != "failed" or (published and record.at < published):
        return None
    return {
        "at": record.at.isoformat(timespec="seconds"),
        "reason": record.reason,
        "rules": plain(record.quality),
    }
