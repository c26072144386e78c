"""Questions to the lake that somebody has asked to stop: their ids, until a question has been answered long ago.

Whoever answers a question and whoever asks for its end are two invocations, so the word goes through a table.
"""

from flowforge.aws import items
from flowforge.runtime.settings import settings
from flowforge.state.expiry import EXPIRES_AT, is_expired, now

STOPPED = "STOPPED"
KEPT_SECONDS = 300  # a call ends after 29


def stop(question: str) -> None:
    """Writes down that the question of this id is to end, also where it is yet to come."""
    item = {**_key(question), EXPIRES_AT: now() + KEPT_SECONDS}
    items.put(settings().runs_table, item)


def is_stopped(question: str) -> bool:
    """Whether somebody wants the question of this id to end."""
    item = items.get(settings().runs_table, _key(question))
    return item is not None and not is_expired(item)


def _key(question: str) -> items.Item:
    return {"pk": f"{STOPPED}#{question}", "sk": STOPPED}
