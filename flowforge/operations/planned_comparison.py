"""What a load of a table would order beside itself: a comparison of its keys with silver, and whether that could be made."""

from datetime import UTC, datetime
from typing import Any

from flowforge.bronze.comparisons import is_due, is_wanted
from flowforge.bronze.planning import Found, described
from flowforge.domain.errors import FlowForgeError
from flowforge.domain.interval import Interval
from flowforge.sources.base import Session
from flowforge.sources.plans import ReadPlan


def planned_comparison(session: Session, found: Found) -> dict[str, Any] | None:
    """None where the request asks for none. `rows` are the catalog's; each key is read twice. Nothing is read here."""
    command, state = found.command, found.known.state
    if not is_wanted(command):
        return None
    last = datetime.fromtimestamp(state.compared_at, UTC).isoformat(timespec="seconds") if state.compared_at else None
    told = {"due": is_due(command, state), "last": last, "every_seconds": command.silver.compared_every}
    told |= {"max_delete_share": command.silver.most_deleted, "deletes": command.silver.deletes}
    try:
        keys = described(session, command.model_copy(update={"only_keys": True}))
        rows = session.estimate(keys, ReadPlan(Interval(), keys.columns)).rows
        return told | {"key": [column.name for column in keys.columns], "rows": rows, "refused": None}
    except FlowForgeError as error:
        refusal = {"error": type(error).__name__, "message": str(error), "remedy": error.remedy}
        return told | {"key": [], "rows": None, "refused": refusal}
