"""One model put into the lake by a caller of the API, once it is right, as `flowforge models put` does."""

from typing import Any

from events.request import InvalidRequest
from flowforge.gold.graph import check_files
from flowforge.gold.model_files import PREFIX, SUFFIX, is_model, write_models


def put_model(table: str, sql: str, ahead: bool, bucket: str) -> dict[str, Any]:
    """Checks a model against the lake and keeps it; S3's notice has it built. Raises InvalidRequest, each mistake with its line,
    and StoreUnavailable."""
    key = f"{PREFIX}{table}{SUFFIX}"
    if not is_model(key):
        raise InvalidRequest([{"field": "table", "problem": f"{key} names no gold table: letters, digits, _ and -"}])
    if problems := check_files({key: sql}, bucket, ahead):
        raise InvalidRequest([{"field": "sql", "problem": problem} for problem in problems])
    write_models({key: sql}, bucket)
    return {"bucket": bucket, "key": key}
