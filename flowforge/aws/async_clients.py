"""Asynchronous AWS clients, for very many small calls at once; not in functions, where their import costs more than they save.

A client belongs to the running event loop: open it with `async with`.

The session behind them is the deployment's: it keeps the service models, which take a quarter of a second to read.
"""

from typing import Any

import aioboto3

from flowforge.aws.clients import CONFIG
from flowforge.runtime.deployment import current


def async_client(service: str) -> Any:
    """A context manager that opens a client of an AWS service."""
    session = current().aws().once("asynchronous session", aioboto3.Session)
    return session.client(service, config=CONFIG)
