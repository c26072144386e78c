"""Asynchronous AWS clients, for very many small calls at once; not in functions, where their import costs more than they save.

A client belongs to the running event loop: open it with `async with`.

The session behind them is the process's: it keeps the service models, which take a quarter of a second to read.
"""

from functools import cache
from typing import Any

import aioboto3

from flowforge.aws.clients import CONFIG


@cache
def _session() -> aioboto3.Session:
    return aioboto3.Session()


def async_client(service: str) -> Any:
    """A context manager that opens a client of an AWS service."""
    return _session().client(service, config=CONFIG)
