"""Of tests that protect personal data: a key, values that nobody else has, and all that is stored."""

import io
import json
import secrets

import pyarrow.parquet as pq

from flowforge.aws import items
from flowforge.aws.clients import client
from flowforge.aws.compact import PACKED, unpack
from flowforge.runtime.settings import settings


def keep_key(text: str | None = None, name: str | None = None) -> str:
    name = name or f"flowforge/keys/{secrets.token_hex(4)}"
    client("secretsmanager").create_secret(
        Name=name, SecretString=text or json.dumps({"hmacKey": secrets.token_hex(32)})
    )
    return name


def of_nobody_else() -> str:
    """A value that no other test has: what is stored is shared."""
    return secrets.token_hex(6)


def stored() -> bytes:
    """All that is in the bucket and in the watermark table, as bytes; of Parquet every cell."""
    s3, found = client("s3"), io.BytesIO()
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=settings().bucket):
        for one in page.get("Contents", []):
            body = s3.get_object(Bucket=settings().bucket, Key=one["Key"])["Body"].read()
            found.write(body)
            if one["Key"].endswith(".parquet"):
                file = pq.ParquetFile(io.BytesIO(body))
                found.write(repr(file.read().to_pylist()).encode() + repr(file.metadata.metadata).encode())
    for item in items.scan(settings().watermarks_table):
        plain = [unpack(value) if str(value).startswith(PACKED) else value for value in item.values()]
        found.write(json.dumps(plain, default=str).encode())
    return found.getvalue()
