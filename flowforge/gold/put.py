"""One model as a caller of the API reads and changes it: its text, and another one put in its place once it is right."""

from typing import Any

from events.request import InvalidRequest
from flowforge.domain.errors import ConflictingTarget, NotFound
from flowforge.gold.graph import check_files
from flowforge.gold.model_files import PREFIX, SUFFIX, find_model, is_model, replace_model
from flowforge.gold.outcomes import read_outcome

LISTED = "flowforge models shows the gold tables."


def show_model(table: str, bucket: str) -> dict[str, Any]:
    """The text of a gold table's model. `etag` is that of its file; without one the model came with a job (`sql` is None for a
    copy of a silver table).

    Raises NotFound, TooLarge, UnreadableRecord and StoreUnavailable.
    """
    if found := find_model(table, bucket):
        return {"table": table, "origin": f"{PREFIX}{table}{SUFFIX}", "sql": found[0], "etag": found[1]}
    record = read_outcome(bucket, table)
    if record is None:
        raise NotFound(f"there is no model of gold.{table} in {bucket}", LISTED)
    return {"table": table, "origin": record.origin, "sql": record.sql, "etag": None}


def put_model(table: str, sql: str, ahead: bool, bucket: str, etag: str | None = None) -> dict[str, Any]:
    """Checks a model against the lake and keeps it; S3's notice has it built. With an `etag` it replaces that version alone, with
    an empty one it is new.

    Raises InvalidRequest, each mistake with its line, ConflictingTarget where somebody else was faster, StoreUnavailable.
    """
    key = f"{PREFIX}{table}{SUFFIX}"
    if not is_model(key):
        raise InvalidRequest([{"field": "table", "problem": f"{key} names no gold table: letters, digits, _ and -"}])
    if problems := check_files({key: sql}, bucket, ahead):
        raise InvalidRequest([{"field": "sql", "problem": problem} for problem in problems])
    kept = replace_model(table, sql, etag, bucket)
    if kept is None:
        told = "was changed or removed since it was read" if etag else "is there already"
        raise ConflictingTarget(f"{key} {told}; nothing was kept", "read it anew, and change what it is now")
    return {"bucket": bucket, "key": key, "etag": kept}
