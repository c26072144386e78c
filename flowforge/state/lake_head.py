"""What a lake itself says of a source: the newest batch that was landed in it, whichever state had claimed it.

    state/<bronze table>/<id of the source key>.json

Guarantees: replaced by compare-and-set only, before a batch counts as landed. So a state that was lost, restored to an earlier
moment, or that shares the lake with another one, cannot land a batch without having seen what the lake holds.
"""

import json
from typing import Any

from botocore.exceptions import ClientError
from pydantic import BaseModel, ConfigDict

from flowforge.aws.clients import aws_errors, client, error_code
from flowforge.aws.objects import GONE, find_object
from flowforge.domain.batch import order_of
from flowforge.domain.errors import unreadable
from flowforge.domain.source_key import bronze_table_of
from flowforge.state.table import Landed, TableState, key_id

CHANGED = ("PreconditionFailed", "412", "ConditionalRequestConflict", "409")


class Mark(BaseModel):
    """A watermark in the lake's head: the value as the server printed it, and the column's type."""

    model_config = ConfigDict(frozen=True)

    value: str
    sql_type: str | None = None


class Head(BaseModel):
    """The newest landed batch of a source; `watermarks` are what holds once it is committed, None where nobody knows.

    `claim` and `epoch` are empty where it was landed by a version that had none. `etag` is not stored; empty for a head that was
    found by looking at tables and objects.
    """

    source_key: str
    epoch: str = ""
    generation: int
    seq: int
    claim: str = ""
    run_id: str = ""
    at: str = ""
    watermarks: dict[str, Mark] | None = None
    etag: str = ""

    @property
    def order(self) -> int:
        """Position of the batch among the batches of its source."""
        return order_of(self.generation, self.seq)

    @property
    def landed(self) -> Landed:
        """The batch as a state remembers it."""
        return Landed(generation=self.generation, seq=self.seq, claim=self.claim)


def marks_of(state: TableState) -> dict[str, Mark]:
    """A state's watermarks as a head has them."""
    return {column: Mark(value=mark.value, sql_type=mark.sql_type) for column, mark in state.watermarks.items()}


def head_key(source_key: str) -> str:
    """Where the head of a source is in its bucket."""
    return f"state/{bronze_table_of(source_key)}/{key_id(source_key)}.json"


def read_head(bucket: str, source_key: str) -> Head | None:
    """The head of a source; None where none was written. Raises StoreUnavailable, UnreadableRecord."""
    key = head_key(source_key)
    found = find_object(bucket, key)
    if found is None:
        return None
    try:
        return Head.model_validate(json.loads(found.body) | {"etag": found.etag})
    except (ValueError, TypeError) as error:
        remedy = f"Delete it, then flowforge watermark accept {bronze_table_of(source_key)}."
        raise unreadable(f"s3://{bucket}/{key}", error, remedy) from error


def replace_head(bucket: str, head: Head, etag: str) -> bool:
    """Writes a head in the place of the one with this ETag (empty: of none); False where another one is there by now.

    Raises StoreUnavailable.
    """
    condition: dict[str, Any] = {"IfMatch": etag} if etag else {"IfNoneMatch": "*"}
    body = head.model_dump_json(exclude={"etag"}, indent=1).encode()
    where = {"Bucket": bucket, "Key": head_key(head.source_key), "ContentType": "application/json"}
    with aws_errors("S3"):
        try:
            client("s3").put_object(**where, Body=body, **condition)
            return True
        except ClientError as error:
            if error_code(error) in CHANGED or (etag and error_code(error) in GONE):
                return False
            raise
