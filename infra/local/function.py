"""One function of the template: its settings, its workers, and how many of them may run at once.

Guarantees that no more invocations run at a time than the function's concurrency allows, that callers of the API do not wait for
messages of queues, that a worker is reused while it lives, and that an invocation ends with an answer or with InvocationFailed.
"""

import asyncio
import json
import os
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.local.logs import Log
from infra.local.processes import Children
from infra.local.runtime_api import InvocationFailed
from infra.local.template import TemplateError
from infra.local.worker import Worker
from infra.local.worker_processes import WorkerProcesses

# For functions without ReservedConcurrentExecutions. A worker that is not forked costs up to a second of CPU to start, so more
# of them than cores only keep each other waiting; two at least, so that a slow source does not hold up the next table.
DEFAULT_CONCURRENCY = min(4, max(2, os.cpu_count() or 2))
RESPONSE_LIMIT_BYTES = 6_291_556  # Lambda's own, for synchronous invocations
DEFAULT_TIMEOUT_SECONDS = 3  # Lambda's own


@dataclass(frozen=True)
class FunctionSettings:
    """What the template says about a function. `cwd` is its code folder; `retries` those of asynchronous invocations."""

    logical_id: str
    name: str
    arn: str
    handler: str
    cwd: Path
    env: Mapping[str, str]
    timeout_seconds: float
    concurrency: int
    reserved: bool = False  # the template bounds it, so that calls and messages share it as on Lambda
    retries: int = 2
    on_failure_arn: str | None = None  # an OnFailure destination: gets a record of the invocation
    dead_letter_arn: str | None = None  # a dead-letter queue: gets the event itself


class NotWanted(Exception):
    """Nobody waits for an invocation's answer any more, and it has not begun."""


class Function:
    """Runs one function's invocations."""

    def __init__(self, settings: FunctionSettings, log: Log, children: Children, processes: WorkerProcesses) -> None:
        self.settings, self.log, self._children, self._processes = settings, log, children, processes
        self.counts: Counter[str] = Counter(cold=0, ok=0, failed=0, waiting=0, running=0, peak=0)
        self._slots = asyncio.Semaphore(settings.concurrency)
        # Lambda bounds the messages of a queue by its source, and calls of the API beside them not at all.
        self._call_slots = self._slots if settings.reserved else asyncio.Semaphore(settings.concurrency)
        self._workers: set[Worker] = set()
        self._idle: list[Worker] = []
        self._warming: asyncio.Task[None] | None = None

    async def invoke(self, event: Any) -> Any:
        """Run the handler on a queue's or a rule's event and return its answer, decoded; raises InvocationFailed."""
        return await self._in_turn(self._slots, event, lambda: True)

    async def call(self, event: Any, wanted: Callable[[], bool]) -> Any:
        """Likewise for a call of the API, which waits for other calls alone; raises NotWanted where it is not `wanted` any more
        when its turn has come."""
        return await self._in_turn(self._call_slots, event, wanted)

    async def _in_turn(self, slots: asyncio.Semaphore, event: Any, wanted: Callable[[], bool]) -> Any:
        self.counts["waiting"] += 1
        try:
            await slots.acquire()
        finally:
            self.counts["waiting"] -= 1
        try:
            if not wanted():
                raise NotWanted
            return await self._run(event)
        finally:
            slots.release()

    async def _run(self, event: Any) -> Any:
        try:
            worker = await self._take_worker()
            self.counts["running"] += 1
            self.counts["peak"] = max(self.counts["peak"], self.counts["running"])
            try:
                answer = await worker.invoke(json.dumps(event).encode(), self.settings.timeout_seconds)
                check_size(answer)
            finally:
                self.counts["running"] -= 1
                if worker.alive:
                    self._idle.append(worker)
        except InvocationFailed as failure:
            self.counts["failed"] += 1
            self.log.write(f"FAILED {failure}", source=self.settings.logical_id)
            raise
        self.counts["ok"] += 1
        return json.loads(answer or b"null")

    async def warm(self) -> None:
        """Start one worker ahead of the first event, unless there is one; a handler that cannot start says so in its log."""
        if not self._workers and self._warming is None:
            self._warming = asyncio.create_task(self._start_idle_worker())
            await self._warming

    def state(self) -> dict[str, Any]:
        """Return the live workers' process ids and the counts of invocations since the start."""
        pids = sorted(worker.child.pid for worker in self._workers if worker.alive and worker.child)
        return {"workers": pids, "idle": len(self._idle), "limit": self.settings.concurrency, **self.counts}

    async def _take_worker(self) -> Worker:
        if not self._idle and self._warming is not None and not self._warming.done():
            await asyncio.wait([self._warming])  # sooner ready than one that starts now
        while self._idle:
            worker = self._idle.pop()
            if worker.alive:
                return worker
        return await self._start_worker()

    async def _start_idle_worker(self) -> None:
        try:
            self._idle.append(await self._start_worker())
        except InvocationFailed as failure:
            self.log.write(f"FAILED {failure}", source=self.settings.logical_id)

    async def _start_worker(self) -> Worker:
        self.counts["cold"] += 1
        name = f"{self.settings.logical_id}/{self.counts['cold']}"
        worker = Worker(name, self.settings.arn, self.log, self._children, self._processes, self._drop)
        self._workers.add(worker)
        await worker.start(self.settings.handler, self.settings.env, self.settings.cwd)
        return worker

    def _drop(self, worker: Worker) -> None:
        self._workers.discard(worker)
        if worker in self._idle:
            self._idle.remove(worker)


def check_size(answer: bytes) -> None:
    """Raise InvocationFailed for an answer that Lambda would refuse."""
    if len(answer) > RESPONSE_LIMIT_BYTES:
        limit = f"Response payload size exceeded maximum allowed payload size ({RESPONSE_LIMIT_BYTES} bytes)."
        raise InvocationFailed("Function.ResponseSizeTooLarge", limit)


def read_functions(resources: Any, common_env: Mapping[str, str]) -> list[FunctionSettings]:
    """Return the settings of every function of the template; `common_env` is what all workers get."""
    layers = {
        resources.make(logical)[0]: resources.template.code.get(layer["Content"].get("S3Key"))
        for logical, layer in resources.of_kind("AWS::Lambda::LayerVersion").items()
    }
    asynchronous = {
        settings["FunctionName"]: settings for settings in resources.of_kind("AWS::Lambda::EventInvokeConfig").values()
    }
    found = []
    for logical, properties in resources.of_kind("AWS::Lambda::Function").items():
        if "Handler" not in properties:
            raise TemplateError(f"{logical} is a container image, which a local stack does not run; use template.yaml")
        name, attributes = resources.make(logical)
        cwd = resources.template.code.get(properties["Code"].get("S3Key"), resources.template.root)
        folders = [layers[layer] / "python" for layer in properties.get("Layers", []) if layers.get(layer)]
        invoked = asynchronous.get(name, {})
        found.append(
            FunctionSettings(
                logical_id=logical,
                name=name,
                arn=attributes["Arn"],
                handler=properties["Handler"],
                cwd=cwd,
                env=_environment(logical, name, properties, [cwd, *filter(Path.is_dir, folders)], common_env),
                timeout_seconds=float(properties.get("Timeout", DEFAULT_TIMEOUT_SECONDS)),
                concurrency=int(properties.get("ReservedConcurrentExecutions") or DEFAULT_CONCURRENCY),
                reserved=bool(properties.get("ReservedConcurrentExecutions")),
                retries=int(invoked.get("MaximumRetryAttempts", 2)),
                on_failure_arn=(invoked.get("DestinationConfig", {}).get("OnFailure") or {}).get("Destination"),
                dead_letter_arn=(properties.get("DeadLetterConfig") or {}).get("TargetArn"),
            )
        )
    return found


def _environment(
    logical: str, name: str, properties: Mapping[str, Any], path: list[Path], common_env: Mapping[str, str]
) -> dict[str, str]:
    """Return a worker's environment: Lambda's own variables, the template's, then those of the stack, which win."""
    given = (properties.get("Environment") or {}).get("Variables") or {}
    return {
        "AWS_LAMBDA_FUNCTION_NAME": name,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(properties.get("MemorySize", 128)),
        "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{name}",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_SDK_UA_APP_ID": logical,  # by which `aws_calls` knows whose call it is
        "LAMBDA_TASK_ROOT": str(path[0]),
        "_HANDLER": properties["Handler"],
        "PYTHONPATH": ":".join(map(str, path)),
        "PYTHONUNBUFFERED": "1",
        **{key: str(value).lower() if isinstance(value, bool) else str(value) for key, value in given.items()},
        **common_env,
    }
