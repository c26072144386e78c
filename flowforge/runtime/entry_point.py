"""The composition root of a function: what its handler needs is made here, from the environment, before the first event."""

import gc
from collections.abc import Callable
from functools import cache, wraps
from typing import Any

from flowforge.runtime.deployment import entered
from flowforge.runtime.settings import settings
from flowforge.runtime.time_limit import time_limit

Handler = Callable[[dict[str, Any], Any], dict[str, Any]]


def entry_point(handle: Handler) -> Handler:
    """Makes a handler that works for the environment's deployment: the same one in a warm process, with the clients that it has.

    What is imported before the first event stays: Python's search for garbage does not walk it again, which takes up to 0.2 s.

    What waits for others knows by when the invocation must be done (`time_limit.deadline`). Settings that are not valid stop the
    function before it does anything: it raises ValueError, which names them.
    """

    keep_imports = cache(gc.freeze)

    @wraps(handle)
    def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
        keep_imports()
        with entered(), time_limit(context):
            settings()
            return handle(event, context)

    return handler
