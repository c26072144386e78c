"""Ids of runs: a new one for each call, the same one for a delivery that may come again."""

import hashlib
import uuid
from datetime import UTC, datetime


def new_run_id() -> str:
    """A run id for one HTTP call; sorts by time."""
    return f"run_{datetime.now(UTC):%Y%m%dT%H%M%S}_{uuid.uuid4().hex[:10]}"


def run_id_of_delivery(*identity: str) -> str:
    """The run id of a delivery that may come again: a bus event, an object's version, the files that are new."""
    return "run_" + hashlib.sha256("\n".join(identity).encode()).hexdigest()[:24]
