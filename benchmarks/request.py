"""The job request of the runs over many tables."""

from typing import Any


def request_of(connection: dict[str, Any], tables: list[str]) -> dict[str, Any]:
    """One request for all `tables` (names or patterns), with every setting left at its default."""
    return {
        "workflow_id": "many",
        "job_id": "many",
        "source_type": "database",
        "source_config": {
            "type": "sql-server",
            "connection": connection,
            "databaseConfig": {"tables": tables},
        },
        "destination_config": {},
    }
