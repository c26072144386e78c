"""What a statement has changed, written to the logs of Change Tracking and Change Data Capture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from .captured_tables import keep_images, note_images
from .tracked_tables import keep_keys, key_names, note_changes

if TYPE_CHECKING:
    from .changing import Change
    from .session import Session


def keep_before(session: Session, change: Change) -> bool:
    """Keeps what the logs want to know of the rows before they are updated; says whether the statement may write a key."""
    if change.verb != "UPDATE" or not change.is_noted:
        return False
    if change.images:
        keep_images(session, change.table)
    if change.keys:
        return keep_keys(session, change.table, change.written)
    names = {name.lower() for name in key_names(change.table)}
    return change.written is None or bool(names & change.written)


def note(session: Session, change: Change, rows: pa.Table, moves_keys: bool) -> None:
    """Writes the changed rows, the last columns of the statement's result, to the logs of its table."""
    last = list(range(rows.num_columns))
    images = last[len(last) - len(change.images) :]
    if change.keys:
        before = len(last) - len(images)
        keys = rows.select(last[before - len(change.keys) : before])
        note_changes(session, change.table, change.verb, keys, moves_keys)
    if change.images:
        note_images(session, change.table, change.verb, rows.select(images), moves_keys)
