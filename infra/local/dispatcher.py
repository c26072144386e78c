"""Connects what the template connects: queues, rules, schedules and routes to their functions.

Leaving the context stops every poller and the HTTP API. A poller that ends by itself is a mistake of the stack, and is
reported.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine, Mapping
from types import TracebackType
from typing import Any

from aiobotocore.session import get_session
from aiohttp import web
from botocore.config import Config

from infra.local import async_invocations, console, event_sources, http_api, http_errors, local_api, own_calls, ports
from infra.local.function import Function
from infra.local.resources import Resources
from infra.local.schedules import Schedules

# Long polls hold a connection each; botocore's default of 10 would make the rest wait for them.
CLIENT_CONNECTIONS = 200
WARMED_AT_ONCE = 2
STOP_SECONDS = 5


class Dispatcher:
    """Feeds the functions of one stack while its context is open."""

    def __init__(
        self, resources: Resources, functions: list[Function], token: str, report: Callable[[str], None]
    ) -> None:
        self._resources, self._functions, self._token, self._report = resources, functions, token, report
        self._by_arn = {function.settings.arn: function for function in functions}
        self._by_name = {function.settings.name: function for function in functions}
        self._tasks: list[asyncio.Task] = []
        self._exits = contextlib.AsyncExitStack()

    async def __aenter__(self) -> "Dispatcher":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._exits.aclose(), STOP_SECONDS)

    async def start(self, aws_url: str, aws_env: Mapping[str, str], preferred_port: int) -> str:
        """Start the pollers, the schedules and the HTTP API; return the API's URL."""
        sqs, events = (
            await self._open_client("sqs", aws_url, aws_env),
            await self._open_client("events", aws_url, aws_env),
        )
        functions = self._by_arn | self._by_name
        activity = event_sources.Activity()
        for source in event_sources.read_queue_sources(self._resources, functions, self._report):
            self._run(event_sources.poll_queue(sqs, source, activity, self._report))
        for arn, queue_url in self._resources.async_queues.items():
            self._run(async_invocations.poll_invocations(sqs, queue_url, self._by_arn[arn], self._report))
        schedules = Schedules(self._resources.schedules, self._by_arn, self._report)
        for logical in schedules.schedules:
            self._run(schedules.run(logical))
        api = http_api.HttpApi(http_api.read_routes(self._resources, self._by_arn))
        by_logical = {function.settings.logical_id: function for function in self._functions}
        return await self._serve(api, local_api.LocalApi(events, by_logical, schedules), preferred_port)

    def start_warming(self) -> None:
        """Begin to start one worker of each function ahead of its first event."""
        self._run(self._warm())

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        task.add_done_callback(self._report_end)
        self._tasks.append(task)

    def _report_end(self, task: asyncio.Task) -> None:
        if not task.cancelled() and task.exception() is not None:
            self._report(f"a part of the dispatcher failed: {task.exception()!r}")

    async def _open_client(self, service: str, url: str, aws_env: Mapping[str, str]) -> Any:
        client = get_session().create_client(
            service,
            endpoint_url=url,
            region_name=aws_env["AWS_REGION"],
            aws_access_key_id=aws_env["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=aws_env["AWS_SECRET_ACCESS_KEY"],
            config=Config(max_pool_connections=CLIENT_CONNECTIONS, read_timeout=60, retries={"max_attempts": 2}),
        )
        return await self._exits.enter_async_context(client)

    async def _serve(self, api: http_api.HttpApi, local: local_api.LocalApi, preferred_port: int) -> str:
        pages = console.Console()
        shown = own_calls.ask_for(self._token, pages.sessions, pages.open_to_all)
        app = web.Application(
            client_max_size=http_api.PAYLOAD_LIMIT_BYTES,
            middlewares=[own_calls.refuse_pages, shown, local_api.refuse_others, http_errors.refuse_broken_bodies],
        )
        app.on_response_prepare.append(console.add_headers)
        app.add_routes([*pages.routes(), *local.routes(), web.route("*", r"/{path:[\s\S]*}", api.handle)])
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1, logger=http_errors.logger(self._report))
        await runner.setup()
        self._exits.push_async_callback(runner.cleanup)
        listener = ports.listen(preferred_port)
        await web.SockSite(runner, listener, backlog=ports.BACKLOG).start()
        return f"http://{ports.HOST}:{listener.getsockname()[1]}"

    async def _warm(self) -> None:
        slots, started = asyncio.Semaphore(WARMED_AT_ONCE), time.monotonic()

        async def warm(function: Function) -> None:
            async with slots:  # a few at a time leave room for real events
                await function.warm()

        # Those that queues feed come first: one request needs them all, one after another.
        mappings = self._resources.of_kind("AWS::Lambda::EventSourceMapping").values()
        fed = {mapping["FunctionName"] for mapping in mappings}
        order = sorted(self._functions, key=lambda function: function.settings.name not in fed)
        await asyncio.gather(*map(warm, order))
        self._report(f"{len(order)} functions are warm after {time.monotonic() - started:.1f} s")
