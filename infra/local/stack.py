"""The local stack as a whole: what is started in which order, when it is ready, and how it ends.

Order: the embedded AWS's socket first; while its process imports, the template is expanded; then the resources, and
only when all of them exist do the pollers and the HTTP API start, so no event can come too early. Leaving the context,
for whatever reason, stops everything that was started.
"""

import asyncio
import contextlib
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from botocore.exceptions import BotoCoreError

from flowforge.cli.keys import keys_in
from flowforge.cli.surroundings import authorities
from infra.local import parameters, servers
from infra.local.dispatcher import Dispatcher
from infra.local.function import Function, read_functions
from infra.local.logs import Log
from infra.local.processes import Child, Children, clean_environment
from infra.local.resources import Resources
from infra.local.stack_settings import StackSettings, s3_credentials
from infra.local.template import REGION, expand
from infra.local.worker_processes import WorkerProcesses


def _prove(resources: Resources) -> None:
    """Tries whether another S3 honours conditional writes, before anything is loaded into it; raises StartError."""
    from flowforge.aws.conditional_writes import prove
    from flowforge.domain.errors import FlowForgeError

    try:
        for bucket in resources.buckets:
            prove(resources.s3, bucket)
    except FlowForgeError as error:
        raise servers.StartError(f"{error}. {error.remedy}") from error


class LocalStack:
    """A running stack. `facts` is what stack.json tells; `ended` is set when a server of the stack has died."""

    def __init__(self, settings: StackSettings) -> None:
        self.settings = settings
        self.facts: dict[str, Any] = {}
        self.ended = asyncio.Event()
        self.log = self._open_log("dispatcher")
        self._children = Children()
        self._logs: list[Log] = [self.log]
        self._tasks: list[asyncio.Task] = []
        self._exits = contextlib.AsyncExitStack()
        self._sqlserver: servers.SqlServer | None = None
        self._keys = keys_in(settings.data.path if settings.data else settings.state)
        own = self._keys.aws_access_key_id, self._keys.aws_secret_access_key
        self._credentials = s3_credentials(self._keys) if settings.s3_endpoint else own

    async def __aenter__(self) -> "LocalStack":
        try:
            await self._start()
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stop()

    def _open_log(self, name: str) -> Log:
        return Log(self.settings.logs, name, echo=not self.settings.quiet)

    def _report(self, text: str) -> None:
        self.log.write(text)

    async def _start(self) -> None:
        settings = self.settings
        parameters.refuse(settings.parameters)
        _empty(settings.scratch)
        settings.scratch.mkdir(mode=0o700, parents=True)
        await self._children.open()
        aws_env = servers.aws_environment(*self._credentials)
        aws_log = self._new_log("aws")
        url, aws = await servers.start_embedded_aws(self._children, settings.aws_port, aws_env, settings.data)
        self._spawn(self._watch(aws, "the embedded AWS", aws_log))
        standin = asyncio.create_task(self._start_sqlserver()) if settings.with_sqlserver else None
        try:
            resources = await asyncio.to_thread(self._create_resources, url)
            self._sqlserver = await standin if standin else None
        finally:
            if standin and not standin.done():
                standin.cancel()
        found = read_functions(resources, self._worker_environment(url, aws_env))
        processes = await self._exits.enter_async_context(WorkerProcesses(self._children, self.log))
        await processes.prepare((one.handler, one.env, one.cwd) for one in found)
        functions = [Function(one, self._new_log(one.logical_id), self._children, processes) for one in found]
        dispatcher = await self._exits.enter_async_context(
            Dispatcher(resources, functions, self._keys.token, self._report)
        )
        api_url = await dispatcher.start(url, aws_env, settings.port)
        self.facts = self._make_facts(api_url, url, resources)
        if settings.warm:
            dispatcher.start_warming()

    def _new_log(self, name: str) -> Log:
        self._logs.append(self._open_log(name))
        return self._logs[-1]

    def _spawn(self, work: Any) -> None:
        self._tasks.append(asyncio.create_task(work))

    def _create_resources(self, url: str) -> Resources:
        template = expand(self.settings.template, self.settings.parameters)
        for line in parameters.without_effect(self.settings.parameters):
            self._report(line)
        resources = Resources(template, self.settings.stack_name, url, self.settings.s3_endpoint, self._credentials)
        try:
            resources.create_all()
            if self.settings.s3_endpoint:
                _prove(resources)
        except BotoCoreError as error:
            raise servers.StartError(f"{error}; see {self.settings.logs / 'aws.log'}") from error
        for schedule in resources.schedules.values():
            for target in schedule["Targets"]:
                self._report(f"schedule {schedule['ScheduleExpression']} for {target['Arn'].rsplit(':', 1)[1]}")
        for warning in resources.warnings:
            self._report(warning)
        self.log.write(f"without meaning here, so not created: {', '.join(resources.ignored)}", aloud=False)
        return resources

    async def _start_sqlserver(self) -> servers.SqlServer:
        log = self._new_log("sqlserver")
        server = await servers.start_sqlserver(
            self._children,
            log,
            self.settings.sqlserver_port,
            self.settings.bank_scale,
            tls=self.settings.state / "tls",
        )
        self._spawn(self._watch(server.child, "the SQL Server stand-in", log))
        return server

    def _worker_environment(self, url: str, aws_env: Mapping[str, str]) -> dict[str, str]:
        own = {"TMPDIR": str(self.settings.scratch.absolute())}
        environment = {
            **clean_environment(),
            **own,
            **aws_env,
            "AWS_ENDPOINT_URL": url,
            "AWS_ALLOW_HTTP": "true",
            "TZ": "UTC",
            "FLOWFORGE_ALERT_LOOPBACK": "true",
        }
        if self.settings.s3_endpoint:
            environment["AWS_ENDPOINT_URL_S3"] = self.settings.s3_endpoint
            environment |= authorities()
        if self._sqlserver:
            environment["FLOWFORGE_SOURCE_CA_FILE"] = self._sqlserver.ca_file
        return environment | dict(self.settings.env)

    def _make_facts(self, api_url: str, aws_url: str, resources: Resources) -> dict[str, Any]:
        return {
            "api": api_url,
            "token": self._keys.token,
            "aws": aws_url,
            "s3": self.settings.s3_endpoint or aws_url,
            "bucket": resources.buckets[0] if resources.buckets else None,
            "watermarks_table": resources.make("Watermarks")[0]
            if "Watermarks" in resources.template.resources
            else None,
            "region": REGION,
            "aws_access_key_id": self._credentials[0],
            "aws_secret_access_key": self._credentials[1],
            "sqlserver": self._sqlserver.connection if self._sqlserver else None,
            "ca_file": self._sqlserver.ca_file if self._sqlserver else None,
            "pid": os.getpid(),
            "logs": str(self.settings.logs),
        }

    async def _watch(self, child: Child, what: str, log: Log) -> None:
        """Follow a server's output, and end the stack when the server ends."""
        follower = asyncio.create_task(log.follow(child.output))
        try:
            code = await child.wait()
            await asyncio.wait([follower], timeout=1)
            self._report(f"{what} exited with {code}: stopping; see {log.path}")
            self.ended.set()
        finally:
            follower.cancel()

    async def _stop(self) -> None:
        await self._exits.aclose()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._sqlserver:
            await self._children.terminate(self._sqlserver.child, grace_seconds=servers.STANDIN_STOP_SECONDS)
        await self._children.close()
        _empty(self.settings.scratch)
        for log in self._logs:
            log.close()


def _empty(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
