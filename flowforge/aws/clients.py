"""boto3 clients, one per service and process: the runtime keeps a warm process, so connections are reused.

Resource management: clients live as long as the process; boto closes their pools at exit.
"""

import threading
from contextlib import suppress
from functools import cache
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from flowforge.domain.errors import StoreUnavailable

CONFIG = Config(
    retries={"mode": "standard", "max_attempts": 5},
    connect_timeout=5,
    read_timeout=30,
    s3={"addressing_style": "path"},
)
# Messages wait in their queue, commands and calls of the API do not.
TRY_AGAIN = "A message is delivered again by itself, else try again; look at the service if it persists."

_making = threading.RLock()  # boto3's session is not safe to make clients in several threads


def client(service: str) -> Any:
    """The process's client of an AWS service."""
    with _making:
        return _made(service)


@cache
def _made(service: str) -> Any:
    return boto3.client(service, config=CONFIG)


def forget_clients() -> None:
    """Makes clients anew from now on, for an environment that names another endpoint or other credentials."""
    _made.cache_clear()


def prepare(service: str) -> None:
    """Makes a client while the caller waits for something else: the first one of a process takes 0.1 s."""
    threading.Thread(target=_make_quietly, args=[service], name=f"prepare {service}", daemon=True).start()


def _make_quietly(service: str) -> None:
    with suppress(Exception):  # whoever needs the client meets the same error, with a caller to tell
        client(service)


def error_code(error: ClientError) -> str:
    """AWS's error code, such as ConditionalCheckFailedException."""
    return error.response.get("Error", {}).get("Code", "")


def unavailable(service: str, error: Exception) -> StoreUnavailable:
    """The retriable error for a failed AWS call; its text is AWS's own."""
    assert isinstance(error, ClientError | BotoCoreError)  # noqa: S101
    return StoreUnavailable(f"{service}: {error}", TRY_AGAIN)
