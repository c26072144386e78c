"""boto3 clients, one per service and process: the runtime keeps a warm process, so connections are reused.

Resource management: clients live as long as the process; boto closes their pools at exit.
"""

from functools import cache
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from flowforge.errors import StoreUnavailable

CONFIG = Config(
    retries={"mode": "standard", "max_attempts": 5},
    connect_timeout=5,
    read_timeout=30,
    s3={"addressing_style": "path"},
)


@cache
def client(service: str) -> Any:
    """The process's client of an AWS service."""
    return boto3.client(service, config=CONFIG)


def error_code(error: ClientError) -> str:
    """AWS's error code, such as ConditionalCheckFailedException."""
    return error.response.get("Error", {}).get("Code", "")


def unavailable(service: str, error: Exception) -> StoreUnavailable:
    """The retriable error for a failed AWS call; its text is AWS's own."""
    assert isinstance(error, ClientError | BotoCoreError)  # noqa: S101
    return StoreUnavailable(f"{service}: {error}", "The message is delivered again; check the service if it persists.")
