"""The job request of the runs over many tables."""

from collections.abc import Sequence
from typing import Any


def request_of(connection: dict[str, Any], tables: Sequence[str], cursor: str | None = None) -> dict[str, Any]:
    """One request for all `tables`, by names, and by `cursor` where there is one; or by patterns. Every other setting is left at
    its default."""
    entry = {"isIncremental": True, "deltaColumn": cursor}
    entries = [{"tableName": table, **entry} for table in tables] if cursor else tables
    return {
        "workflow_id": "many",
        "job_id": "many",
        "source_type": "database",
        "source_config": {
            "type": "sql-server",
            "connection": connection,
            "databaseConfig": {"tables": entries},
        },
        "destination_config": {},
    }
