"""A function's process is forked from one that has imported the handlers, or a new interpreter: each is as on its own."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from flowforge.domain.given import given
from infra.local.logs import Log
from infra.local.processes import MARK_VARIABLE, Children, clean_environment
from infra.local.runtime_api import InvocationFailed
from infra.local.worker import Worker
from infra.local.worker_processes import WorkerProcesses
from tests.helpers.servers import ROOT
from tests.helpers.waiting import LIMIT_SECONDS, wait_for

TELLING = "tests.helpers.telling_handler.handler"
OURS = sorted(f"functions.{path.parent.name}.handler.handler" for path in ROOT.glob("functions/*/handler.py"))


class Workers:
    """Starts workers of `TELLING` and asks them."""

    def __init__(self, children: Children, processes: WorkerProcesses, log: Log, env: dict[str, str]) -> None:
        self.children, self.processes, self.log, self.env = children, processes, log, env

    async def start(self, name: str, **variables: str) -> Worker:
        worker = Worker(name, "arn", self.log, self.children, self.processes, lambda ended: None)
        await worker.start(TELLING, self.env | variables, ROOT)
        return worker

    async def ask(self, worker: Worker, **event: Any) -> dict[str, Any]:
        return json.loads(await worker.invoke(json.dumps(event).encode(), LIMIT_SECONDS))


@asynccontextmanager
async def workers(folder: Path) -> AsyncIterator[Workers]:
    """The product's functions and `TELLING`, of which all but its own variables are shared."""
    log, children = Log(folder, "log", echo=False), Children()
    env = clean_environment() | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "SHARED": "by all"}
    await children.open()
    try:
        async with WorkerProcesses(children, log) as processes:
            await processes.prepare([(handler, env | {"OWN": handler}, ROOT) for handler in [*OURS, TELLING]])
            yield Workers(children, processes, log, env)
    finally:
        await children.close()
        log.close()


@pytest.mark.skipif(sys.platform != "linux", reason="only there workers are forked")
def test_should_fork_workers_that_are_as_processes_of_their_own(tmp_path):
    async def told() -> None:
        async with workers(tmp_path) as started:
            first = await started.start("first", OWN="1", ONLY_FIRST="yes")
            second = await started.start("second", OWN="2")
            one, other = await started.ask(first, say="one"), await started.ask(second, say="other")
            assert one["parent"] == other["parent"] != os.getpid()
            assert one["handlers"] == [name.removesuffix(".handler") for name in OURS]  # without that it asked for any
            for worker, answer in ((first, one), (second, other)):
                assert answer["pid"] == answer["session"] == given(worker.child).pid
                assert answer["folder"] == str(ROOT)
                assert answer["environment"][MARK_VARIABLE] == started.children.mark
                assert answer["environment"]["SHARED"] == "by all"
            assert (one["environment"]["OWN"], one["environment"]["ONLY_FIRST"]) == ("1", "yes")
            assert other["environment"]["OWN"] == "2"
            assert "ONLY_FIRST" not in other["environment"]
            with pytest.raises(Exception, match="the worker exited with 3"):
                await started.ask(first, exit=3)
            assert await given(first.child).wait() == 3
            second.stop()
            assert await given(second.child).wait() == -signal.SIGKILL
            left = await started.start("third")
        assert await given(left.child).wait() == -signal.SIGKILL

    asyncio.run(told())
    lines = [line.partition(" ")[2] for line in (tmp_path / "log.log").read_text().splitlines()]
    assert {"first | told one", "first | told aside one", "second | told other"} <= set(lines)
    logged = [line.partition(" | ")[2] for line in lines if "logged one" in line]
    assert [json.loads(line)["message"] for line in logged] == ["logged one"]  # once, and as JSON alone


@pytest.mark.skipif(sys.platform != "linux", reason="only there workers are forked")
def test_should_start_new_interpreters_when_the_process_that_forks_is_gone(tmp_path):
    async def told() -> None:
        async with workers(tmp_path) as started:
            forked = await started.start("forked")
            forking = (await started.ask(forked, say="before"))["parent"]
            os.kill(forking, signal.SIGKILL)
            assert await given(forked.child).wait() == -signal.SIGKILL
            new = await started.ask(await started.start("new", OWN="3"), say="after")
            assert new["parent"] == os.getpid()
            assert new["environment"]["OWN"] == "3"
            assert new["handlers"] == []
            assert sys.modules.get("numpy", "not yet") is not None  # hidden from workers, not from who starts them
            log, said = tmp_path / "log.log", "the process that forks workers exited with -9"
            await asyncio.to_thread(wait_for, lambda: said in log.read_text(), said)

    asyncio.run(told())


def test_should_log_what_keeps_a_handler_from_being_imported(tmp_path):
    async def told() -> None:
        async with workers(tmp_path) as started:
            worker = Worker("none", "arn", started.log, started.children, started.processes, lambda ended: None)
            with pytest.raises(InvocationFailed, match="exited during init"):
                await worker.start("tests.helpers.no_such_module.handler", started.env, ROOT)

    asyncio.run(told())
    said = "none | init failed: Runtime.ImportModuleError: Unable to import module 'tests.helpers.no_such_module'"
    assert said in (tmp_path / "log.log").read_text()
