"""The template's schedules: `rate(…)` fires by itself, and any of them when asked to.

A cron expression never fires by itself here: a laptop that happens to be awake at 3 a.m. is no place to depend on it.
"""

import asyncio
import json
import re
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from infra.local.function import Function
from infra.local.runtime_api import InvocationFailed
from infra.local.template import ACCOUNT, REGION

UNIT_SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}


def rate_seconds(expression: str) -> int | None:
    """Return the period of a `rate(…)` expression in seconds, None for any other expression."""
    match = re.fullmatch(r"rate\(\s*(\d+)\s+(second|minute|hour|day)s?\s*\)", expression)
    return int(match[1]) * UNIT_SECONDS[match[2]] if match else None


class Schedules:
    """Fires the schedules of a stack. `schedules` is by logical id, `functions` by ARN."""

    def __init__(
        self,
        schedules: Mapping[str, Mapping[str, Any]],
        functions: Mapping[str, Function],
        report: Callable[[str], None],
    ) -> None:
        self.schedules, self._functions, self._report = schedules, functions, report

    async def run(self, logical: str) -> None:
        """Fire one schedule at its rate, for ever; a firing that takes longer than the period delays the next."""
        expression = self.schedules[logical]["ScheduleExpression"]
        period = rate_seconds(expression)
        if period is None:
            self._report(
                f"{logical}: {expression} does not fire by itself here; POST /_local/schedule/{logical} does it"
            )
            return
        while True:
            await asyncio.sleep(period)
            await self.fire(logical)

    async def fire(self, logical: str) -> list[dict[str, Any]]:
        """Invoke a schedule's functions now and return, for each, its logical id and its `result` or `error`."""
        outcomes = []
        for target in self.schedules[logical]["Targets"]:
            function = self._functions.get(target["Arn"])
            if function is None:
                self._report(f"{logical}: only functions can be targets of a schedule here, not {target['Arn']}")
                continue
            event = json.loads(target["Input"]) if "Input" in target else self._event(logical)
            outcome = {"function": function.settings.logical_id}
            try:
                outcomes.append(outcome | {"result": await function.invoke(event)})
            except InvocationFailed as failure:
                outcomes.append(outcome | {"error": str(failure)})
        return outcomes

    def _event(self, logical: str) -> dict[str, Any]:
        return {
            "version": "0", "id": str(uuid.uuid4()), "detail-type": "Scheduled Event", "source": "aws.events",
            "account": ACCOUNT, "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "region": REGION,
            "resources": [f"arn:aws:events:{REGION}:{ACCOUNT}:rule/{logical}"], "detail": {},
        }  # fmt: skip
