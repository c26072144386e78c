"""The idle run: many tables under Change Tracking in which nothing has changed, by one question at the source, and one by one.

One table is loaded; the others get the state that such a load leaves, since a thousand loads would say nothing more. Then the
request for all of them goes through submit_job's handler in a process of its own: with nothing new, with a few changed tables,
and with watermarks that are due to move. What a table costs that asks for itself is measured on some, and multiplied.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median
from typing import Any

import boto3

from benchmarks.changing import Play, playing
from benchmarks.contenders import ROOT
from benchmarks.idle_report import ASKED, Cost
from benchmarks.request import request_of
from flowforge.aws import usage
from flowforge.cli.pricing import read_prices
from flowforge.operations.pricing import cost_of

CHANGED, REPEAT = 10, 3
MEMORY_MB = {"submit": 512, "ingest": 1_769, "track": 512}
COLUMN = "_change_version"
MADE = (
    "CREATE TABLE dbo.{0} (id int NOT NULL PRIMARY KEY, v int)",
    "INSERT INTO dbo.{0} VALUES (1, 1)",
    "ALTER TABLE dbo.{0} ENABLE CHANGE_TRACKING",
)


def table(number: int) -> str:
    return f"t_{number:04d}"


def document(play: Play, tables: int) -> dict[str, Any]:
    """The request for so many tables."""
    where = {"host": "localhost", "port": play.login["port"], "database": play.login["database"]}
    request = request_of(where | {"secretId": "flowforge/benchmark", "driver": "pymssql"}, [])
    entries = [{"tableName": table(n), "isIncremental": True, "changeTracking": True} for n in range(tables)]
    request["source_config"]["databaseConfig"]["tables"] = entries
    return request


def prepare(play: Play, tables: int) -> None:
    """The tables at the source, and their states."""
    play.execute(*(text.format(table(n)) for n in range(tables) for text in MADE))
    _called("prepare", play, tables)


def _prepare(request: dict[str, Any], tables: int) -> None:
    from events.facts import BronzeLanded
    from flowforge.aws import items
    from flowforge.bronze.ingest import ingest
    from flowforge.domain.source_key import SourceKey
    from flowforge.jobs.submission import plan
    from flowforge.operations.watermarks import commit_landed
    from flowforge.runtime.settings import settings
    from flowforge.sources.registry import source_at
    from flowforge.sources.sqlserver.tracked_log import ask_logs
    from flowforge.state import table as states

    planned = plan(request, "run_first")
    for fact in ingest(planned.commands[0]).facts:
        assert isinstance(fact, BronzeLanded)  # noqa: S101
        commit_landed(fact)
    first = states.resolve(planned.commands[0].bronze.table)
    with source_at(planned.place).session() as session:
        logs = ask_logs(session.connection)  # pyright: ignore[reportAttributeAccessIssue]  of SQL Server's own
    put, mark = [], first.watermarks[COLUMN]
    for command in planned.commands[1:]:
        name = command.source.title
        object_id, log = logs["dbo", name]
        identity = mark.identity | log.identity | {"object_id": object_id}
        told = {
            "bronze_table": command.bronze.table,
            "source_table": f"dbo.{name}",
            "silver_table": command.silver.table,
        }
        moved = mark.model_copy(update={"identity": identity, "value": str(log.version + 1)})
        own = told | {"asked": states.asked_of(command), "watermarks": {COLUMN: moved}}
        key = str(SourceKey.of(command.connection, "dbo", name, command.bronze.table))
        put += [first.model_copy(update=own | {"source_key": key}).item(), {"pk": states.TABLES, "sk": key, **told}]
    items.put_many(settings().watermarks_table, put)


def _age(_: dict[str, Any], tables: int) -> None:
    """Watermarks that have stood for a day."""
    from flowforge.aws import items
    from flowforge.runtime.settings import settings
    from flowforge.state import table as states

    put = []
    for listed in states.list_tables():
        state = states.read_state(listed["sk"])
        old = {"committed_at": "2020-01-01T00:00:00+00:00", "moved_at": ""}
        marks = {COLUMN: state.watermarks[COLUMN].model_copy(update=old)}
        put.append(state.model_copy(update={"watermarks": marks}).item())
    items.put_many(settings().watermarks_table, put)


def _submit(request: dict[str, Any], tables: int) -> None:
    from flowforge.jobs.delivery import accept

    envelope = {"id": os.urandom(8).hex(), "detail-type": "JobRequested", "detail": {"request": request}}
    with _told("submit"):
        accept(envelope, None)


def _ask(request: dict[str, Any], tables: int) -> None:
    """So many tables that ask for themselves, and what track_run does for each."""
    from flowforge.aws.bus import announce
    from flowforge.bronze.ingest import ingest
    from flowforge.jobs.submission import plan
    from flowforge.state import run_stories

    for command in plan(request, f"run_{os.urandom(6).hex()}").commands[:ASKED]:
        with _told("ingest"):
            facts = ingest(command).facts
        announce(*facts)
        with _told("track"):
            for fact in facts:
                run_stories.record(fact)


@contextmanager
def _told(step: str) -> Iterator[None]:
    """Prints what the block has used, as a delivery that is measured."""
    with usage.measured(step, 1):
        cpu = time.process_time()
        yield
        used = usage.take()
        seconds, counts = (used.seconds, used.counts) if used else (0.0, {})
    told = {"step": step, "seconds": seconds, "cpu": time.process_time() - cpu, "counts": dict(counts)}
    print(json.dumps(told), flush=True)


ACTIONS = {"prepare": _prepare, "age": _age, "submit": _submit, "ask": _ask}


def _called(action: str, play: Play, tables: int) -> list[dict[str, Any]]:
    """Runs one of the above in a process of its own; returns what it printed."""
    function = "IngestTableFunction" if action == "ask" else "SubmitJobFunction"
    environment = os.environ | play.environment[function]
    given = json.dumps([document(play, tables), tables])
    command = [sys.executable, "-m", "benchmarks.idle_tables", action]
    done = subprocess.run(
        command, env=environment, cwd=ROOT, input=given, stdout=subprocess.PIPE, text=True, check=True
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    found = [one for one in map(json.loads, lines) if "counts" in one]
    if told := [line for line in lines if "is not known" in line]:
        sys.exit(f"the question had no answer: {told[0]}")
    return found


def _cost(what: str, play: Play, action: str, tables: int, times: float = 1) -> Cost:
    waiting, calls, source = _queued(play), play.calls(), play.load()
    told = _called(action, play, tables)
    done, spent = play.calls() - calls, play.load()
    queued = _queued(play) - waiting
    run = {"run_id": "", "status": "", "tables": [{"records": 0, "usage": [_use(one) for one in told]}]}
    dollars = cost_of(run, read_prices(None))["total"]["price"]
    sums = (sum(one[name] for one in told) for name in ("seconds", "cpu"))
    did = spent.since(source)
    figures = [*sums, done.total(), queued if action == "submit" else ASKED, dollars]
    figures += [did.cpu_seconds, did.sent_mb, did.requests]
    return Cost(what, *(figure * times for figure in figures))


def _use(one: dict[str, Any]) -> dict[str, Any]:
    used = {"step": one["step"], "deliveries": 1, "cold_starts": 0, "silent": 0, "counts": one["counts"]}
    return used | {"seconds": one["seconds"], "gb_seconds": one["seconds"] * MEMORY_MB[one["step"]] / 1024}


def _queued(play: Play) -> int:
    """How many messages wait to be ingested."""
    sqs, url = (
        boto3.Session().client("sqs"),
        play.environment["SubmitJobFunction"]["FLOWFORGE_INGEST_QUEUE_URL"],
    )
    waiting = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])["Attributes"]
    return int(waiting["ApproximateNumberOfMessages"])


def measure(tables: int) -> tuple[int, list[Cost]]:
    """The runs, medians of REPEAT."""
    with playing() as play:
        prepare(play, tables)
        still = _median([_cost("nothing new in the whole database", play, "submit", tables) for _ in range(REPEAT)])
        play.execute(
            *(text.format("other") for text in (*MADE, "UPDATE dbo.{0} SET v = 2"))
        )  # the database's version grows
        found = [_median([_cost("nothing new in these tables", play, "submit", tables) for _ in range(REPEAT)])]
        _called("age", play, tables)
        found.append(_cost("the same, and every watermark moves", play, "submit", tables))
        alone = _cost("nothing new, each table asks for itself", play, "ask", tables, tables / ASKED)
        play.execute(*(f"UPDATE dbo.{table(n)} SET v = v + 1" for n in range(1, CHANGED + 1)))
        found.append(_median([_cost(f"{CHANGED} tables have changed", play, "submit", tables) for _ in range(REPEAT)]))
        return tables, [*found, alone, still]


def _median(runs: list[Cost]) -> Cost:
    figures = [[float(figure) for figure in run[1:]] for run in runs]
    return Cost(runs[0].what, *(median(each) for each in zip(*figures, strict=True)))


def main() -> None:
    """One of the steps, in its own process: its request on standard input."""
    request, tables = json.load(sys.stdin)
    ACTIONS[sys.argv[1]](request, tables)


if __name__ == "__main__":
    main()
