"""Gold models kept as files in the lake's bucket: `models/<gold table>.sql`, one SELECT each, with its settings in comments.

Guarantees: a file that cannot be a model is told with its name and line, and is no reason not to read the others.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from botocore.exceptions import ClientError

from events.names import DESTINATION, is_reserved
from flowforge.aws.clients import aws_errors, client, error_code
from flowforge.aws.objects import CHANGED, GONE, find_object
from flowforge.aws.small_objects import list_below, read_below
from flowforge.domain.errors import TooLarge, TransformRejected
from flowforge.gold.model_settings import read_settings
from flowforge.gold.models import Model, place_of, read_model

PREFIX, SUFFIX = "models/", ".sql"
LONGEST_BYTES = 256 * 1024
MOST_PARSED = 10_000  # files that a process remembers taken apart: each build of a table looks at all models


@dataclass(frozen=True)
class ModelFiles:
    """The models of a folder, and what is wrong with the files that are none: key -> problem."""

    models: list[Model]
    problems: dict[str, str]


@lru_cache(maxsize=MOST_PARSED)
def parse_model(key: str, text: str) -> Model:
    """The model in the file `key` (models/<table>.sql), taken apart once in a process. Raises TransformRejected with the file and
    the line."""
    table = key.rpartition("/")[2].removesuffix(SUFFIX)
    if not key.endswith(SUFFIX) or not DESTINATION.fullmatch(table):
        raise TransformRejected(f"{key} names no gold table", "call it models/<table>.sql: letters, digits, _ and -")
    if is_reserved(table):
        told = f"{key}: a gold table must not begin with _, as the lake's own folders do (_models, _delta_log): rename the file"
        raise TransformRejected(told, "call it models/<table>.sql, with a table that does not begin with _")
    found = read_settings(text, lambda line: place_of(table, key, line))
    return read_model(table, text, found.strategy, found.key, key, found.rules, found.rule_lines)


def parse_models(files: Iterable[tuple[str, str | None]]) -> ModelFiles:
    """The models in files given as (key, text; None: larger than a model may be)."""
    found = ModelFiles([], {})
    for key, text in files:
        if text is None:
            found.problems[key] = f"{key}: the file is larger than {LONGEST_BYTES // 1024} KiB"
            continue
        try:
            found.models.append(parse_model(key, text))
        except TransformRejected as error:
            found.problems[key] = error.with_remedy
    return found


def read_models(bucket: str) -> ModelFiles:
    """The models kept in the bucket."""
    return parse_models(_texts(bucket))


def find_model(table: str, bucket: str) -> tuple[str, str] | None:
    """The text of a gold table's model file, and the ETag by which it can be replaced; None where no file of its name is kept.

    Raises TooLarge, StoreUnavailable.
    """
    key = f"{PREFIX}{table}{SUFFIX}"
    found = find_object(bucket, key, LONGEST_BYTES + 1) if is_model(key) else None
    if found is not None and len(found.body) > LONGEST_BYTES:
        raise TooLarge(f"{key}: the file is larger than {LONGEST_BYTES // 1024} KiB", "put a shorter one in its place")
    return (_text(found.body), found.etag) if found else None


def replace_model(table: str, sql: str, etag: str | None, bucket: str) -> str | None:
    """Keeps a model in the place of the one with this ETag ("": of none, None: of any); its own ETag, None where it is another by
    now. Raises StoreUnavailable."""
    condition: dict[str, Any] = {} if etag is None else {"IfMatch": etag} if etag else {"IfNoneMatch": "*"}
    what = {"Bucket": bucket, "Key": f"{PREFIX}{table}{SUFFIX}", "ContentType": "application/sql"}
    with aws_errors("s3"):
        try:
            return client("s3").put_object(**what, Body=sql.encode(), **condition)["ETag"]
        except ClientError as error:
            if error_code(error) in CHANGED or (etag and error_code(error) in GONE):
                return None
            raise


def write_models(texts: Mapping[str, str], bucket: str) -> None:
    """Keeps model files (key -> text) in the bucket; raises StoreUnavailable."""
    with aws_errors("s3"):
        for key, text in texts.items():
            client("s3").put_object(Bucket=bucket, Key=key, Body=text.encode(), ContentType="application/sql")


def remove_models(keys: Iterable[str], bucket: str) -> None:
    """Removes model files from the bucket; what they have made stays. Raises StoreUnavailable."""
    with aws_errors("s3"):
        for key in keys:
            client("s3").delete_object(Bucket=bucket, Key=key)


def model_texts(bucket: str) -> dict[str, str | None]:
    """The texts of the models kept in the bucket, by gold table; None: larger than a model may be. Raises StoreUnavailable."""
    return {key.removeprefix(PREFIX).removesuffix(SUFFIX): text for key, text in _texts(bucket)}


def kept_at(bucket: str) -> dict[str, datetime]:
    """When each model file was last kept, by gold table. Raises StoreUnavailable."""
    kept = [item for item in list_below(bucket, PREFIX) if is_model(item["Key"])]
    return {item["Key"].removeprefix(PREFIX).removesuffix(SUFFIX): item["LastModified"] for item in kept}


def is_model(key: str) -> bool:
    """Whether an object is in the place of a model."""
    return key.startswith(PREFIX) and key.endswith(SUFFIX) and "/" not in key.removeprefix(PREFIX)


def _text(content: bytes) -> str:
    return content.decode("utf-8", "replace").removeprefix("\ufeff")


def _texts(bucket: str) -> list[tuple[str, str | None]]:
    found = read_below(bucket, PREFIX, is_model, LONGEST_BYTES)
    return [(key, None if body is None else _text(body)) for key, body in found]
