"""What the local stack serves beside the template's routes, all under `/_local/`, for this machine and the stack's token only.

`POST /_local/minio` takes MinIO's bucket notifications, `POST /_local/schedule/<logical id>` fires a schedule now,
`GET /_local/state` shows workers and counts.
"""

import ipaddress
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web

from infra.local import minio
from infra.local.function import Function
from infra.local.schedules import Schedules

PUT_EVENTS_LIMIT = 10  # entries in one PutEvents


class LocalApi:
    """The stack's own routes. `events` is an aiobotocore EventBridge client, `functions` is by logical id."""

    def __init__(self, events: Any, functions: Mapping[str, Function], schedules: Schedules) -> None:
        self._events, self._functions, self._schedules = events, functions, schedules

    def routes(self) -> list[web.RouteDef]:
        """Return the routes for an aiohttp application."""
        return [
            web.post("/_local/minio", self.take_notification),
            web.head("/_local/minio", self.answer_probe),
            web.post("/_local/schedule/{logical}", self.fire_schedule),
            web.get("/_local/state", self.show_state),
        ]

    async def take_notification(self, request: web.Request) -> web.Response:
        """Put a MinIO notification on the default bus as S3's own event; anything but 200 makes MinIO send it again."""
        try:
            body = await request.read()
            entries = minio.to_bus_entries(json.loads(body) if body.strip() else {})
        except ValueError as error:
            return web.json_response({"message": f"not a MinIO notification: {error}"}, status=400)
        for start in range(0, len(entries), PUT_EVENTS_LIMIT):
            answer = await self._events.put_events(Entries=entries[start : start + PUT_EVENTS_LIMIT])
            if answer["FailedEntryCount"]:
                return web.json_response({"message": "the bus refused an event"}, status=503)
        return web.json_response({"events": len(entries)})

    async def answer_probe(self, _: web.Request) -> web.Response:
        """Tell MinIO that the webhook is there."""
        return web.Response()

    async def fire_schedule(self, request: web.Request) -> web.Response:
        """Fire a schedule and answer when its functions have, with their results or errors."""
        logical = request.match_info["logical"]
        if logical not in self._schedules.schedules:
            known = ", ".join(sorted(self._schedules.schedules)) or "none"
            return web.json_response({"message": f"no schedule {logical}; there is {known}"}, status=404)
        return web.json_response({"fired": logical, "outcomes": await self._schedules.fire(logical)})

    async def show_state(self, _: web.Request) -> web.Response:
        """Show each function's workers and counts."""
        functions = {logical: function.state() for logical, function in self._functions.items()}
        return web.json_response({"functions": functions, "schedules": sorted(self._schedules.schedules)})


@web.middleware
async def refuse_others(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Answer `/_local/` to clients on this machine only, whatever the server is bound to."""
    if request.path.startswith("/_local/") and not ipaddress.ip_address(request.remote or "0.0.0.0").is_loopback:  # noqa: S104
        return web.json_response({"message": "for this machine only"}, status=403)
    return await handler(request)
