"""`python -m benchmarks.console`: how soon the console's pages are on the screen, before many runs and tables.

A local stack loads one table; what it has stored of that is copied: 1,000 tables of silver and of gold, each with a source, a
state and newest events of its own, and 10,000 runs; 400 model files are put beside them. A real Chromium opens each page anew,
several times: seconds from the call of its address until it has painted something, until its rows are there, and of the slowest
of its questions to the API. Then nothing but the lists is asked for, one question at a time. It needs what `make test-console`
needs.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from benchmarks.document import Section, write
from benchmarks.report import machine
from tests.helpers.browser import chromium, let_in
from tests.helpers.stack import BRIEF, Stack, own

NAME = "first_paint"
PAGES = {"tables": "#/tables", "runs": "#/runs", "one table": f"#/tables/silver.{NAME}", "one run": "#/runs/{run}"}
PAINTED = "performance.getEntriesByType('paint').find(one => one.name === 'first-contentful-paint')?.startTime"
CALLS = "performance.getEntriesByType('resource').filter(one => one.name.includes('/api/'))"
LISTS = {
    "50 runs": "/api/runs?limit=50",
    "50 runs behind a thousand": "/api/runs?limit=50&cursor={behind}",
    "50 runs of a workflow with all of them": "/api/runs?limit=50&workflow_id={workflow}",
    "50 runs that succeeded": "/api/runs?limit=50&status=succeeded",
    "a page of failed runs, where none has failed": "/api/runs?limit=50&status=failed",
    "15 tables": "/api/tables?limit=15",
    "200 tables": "/api/tables?limit=200",
    "50 gold tables with their models": "/api/models?limit=50",
    "the lineage of a table": f"/api/tables/silver.{NAME}/lineage",
}
ASKED_AGAIN = 20  # times, of each list
LOOK_SECONDS = 1.0
ASKED = f"Math.max(0, ...{CALLS}.map(one => one.duration))"


def main(argv: list[str] | None = None) -> int:
    """Fills a stack, opens the pages, prints a table or JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.console", description=__doc__)
    parser.add_argument("--tables", type=int, default=1_000)
    parser.add_argument("--models", type=int, default=400, help="model files, each over one of the tables")
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--repeat", type=int, default=5, help="openings of each page; their median counts")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/benchmarks.md")
    chosen, started = parser.parse_args(argv), datetime.now(UTC)
    with tempfile.TemporaryDirectory() as state:
        stack = Stack(Path(state) / ".flowforge", BRIEF)
        try:
            run = _filled(stack, chosen.tables, chosen.runs)
            _put_models(stack, chosen.tables, chosen.models)
            found = _measured(stack, run, chosen.repeat)
            lists = _lists(stack, run)
        finally:
            stack.stop()
    if chosen.json:
        print(json.dumps({"tables": chosen.tables, "runs": chosen.runs, "pages": found, "lists": lists}))
        return 0
    section = _section(chosen, started, found, lists)
    print(section.text)
    if chosen.write:
        write(section)
    return 0


def _section(
    chosen: argparse.Namespace,
    started: datetime,
    pages: dict[str, dict[str, float]],
    lists: dict[str, tuple[float, float]],
) -> Section:
    said = [
        f"The local stack with its embedded AWS, before a real Chromium; {chosen.models:,} model files. Seconds from the call of"
        " a page's address until it has painted something, until its rows are there, and of the slowest of its questions to the"
        " API; then lists alone.",
        "",
        f"{started:%Y-%m-%d %H:%M} UTC, {machine()}. Medians of {chosen.repeat} openings and {ASKED_AGAIN} questions."
        f" Load average at the end {os.getloadavg()[0]:.1f}.",
        "",
        "| page | painted, s | rows, s | slowest question, s |",
        "|---|--:|--:|--:|",
        *(f"| {page} | {one['painted']:.2f} | {one['rows']:.2f} | {one['asked']:.2f} |" for page, one in pages.items()),
        "",
        "| list | answered, ms | the quickest, ms |",
        "|---|--:|--:|",
        *(f"| {name} | {1000 * median:.0f} | {1000 * least:.0f} |" for name, (median, least) in lists.items()),
    ]
    return Section(f"Console: {chosen.tables:,} tables, {chosen.runs:,} runs", "\n".join(said))


def _filled(stack: Stack, tables: int, runs: int) -> str:
    """Loads one table twice and copies what is stored; returns the id of its newest run."""
    request = stack.request({"tableName": "customers"}, **own(NAME))
    stack.run(request)
    run = stack.run(request)["run_id"]
    stack.http.get(f"/api/runs/{run}").raise_for_status()
    _copy_tables(stack, tables)
    _copy_runs(stack, run, runs)
    return run


def _copy_tables(stack: Stack, count: int) -> None:
    """Tables as the one that there is: its objects under other names, whose log names another source."""
    s3, dynamodb, bucket = stack.client("s3"), stack.client("dynamodb"), stack.facts["bucket"]
    (key,) = {one["source_key"] for one in stack.http.get("/api/tables", params={"layer": "silver"}).json()["tables"]}
    table = _table_like(dynamodb, "watermarks")
    (state,) = dynamodb.query(TableName=table, KeyConditionExpression="pk = :pk AND sk = :sk",
                              ExpressionAttributeValues={":pk": {"S": key}, ":sk": {"S": "STATE"}})["Items"]  # fmt: skip
    prefixes = (f"silver/{NAME}/", f"gold/{NAME}/", f"gold/_models/{NAME}.json", "lineage/latest/")
    listed = [one for prefix in prefixes for one in s3.list_objects_v2(Bucket=bucket, Prefix=prefix)["Contents"]]
    objects = {one["Key"]: s3.get_object(Bucket=bucket, Key=one["Key"])["Body"].read() for one in listed}
    names = [f"{NAME}_{number:05}" for number in range(count - 1)]
    for name in names:
        for path, content in objects.items():
            if path.endswith(".parquet"):
                body = content
            elif "_delta_log" in path:
                body = content.replace(key.encode(), f"{key}_{name}".encode())
            else:
                body = content.replace(NAME.encode(), name.encode()).replace(b"customers", f"customers_{name}".encode())
            s3.put_object(Bucket=bucket, Key=path.replace(NAME, name, 1), Body=body)
    _write(dynamodb, table, ({**state, "pk": {"S": f"{key}_{name}"}} for name in names))


def _put_models(stack: Stack, tables: int, count: int) -> None:
    """Model files, each a join of two of the tables, and waits until all are built."""
    s3, bucket = stack.client("s3"), stack.facts["bucket"]
    for number in range(count):
        one, other = (f"{NAME}_{n % (tables - 1):05}" for n in (number, number + 1))
        text = f"SELECT a.* FROM silver.{one} AS a JOIN gold.{other} AS b ON a.customer_id = b.customer_id\n"
        s3.put_object(Bucket=bucket, Key=f"models/joined_{number:05}.sql", Body=text.encode())
    built = "gold/_models/joined_"
    while s3.list_objects_v2(Bucket=bucket, Prefix=built)["KeyCount"] < min(count, 1_000):  # a listing's most
        time.sleep(LOOK_SECONDS)


def _copy_runs(stack: Stack, run: str, count: int) -> None:
    """Runs as this one, a minute apart."""
    dynamodb = stack.client("dynamodb")
    table = _table_like(dynamodb, "runs")
    of_run = {"KeyConditionExpression": "pk = :pk", "ExpressionAttributeValues": {":pk": {"S": run}}}
    stored = dynamodb.query(TableName=table, **of_run)["Items"]
    now = datetime.now(UTC)

    def copies() -> Iterator[dict[str, Any]]:
        for number in range(count - 2):
            moment = (now - timedelta(minutes=number + 1)).isoformat(timespec="milliseconds")
            for item in stored:
                at = {"accepted_at": {"S": moment}} if "accepted_at" in item else {}
                yield {**item, "pk": {"S": f"{run}_{number:05}"}, **at}

    _write(dynamodb, table, copies())


def _table_like(dynamodb: Any, ending: str) -> str:
    return next(name for name in dynamodb.list_tables()["TableNames"] if name.lower().endswith(ending))


def _write(dynamodb: Any, table: str, items: Iterable[dict[str, Any]]) -> None:
    left = iter(items)
    while part := list(islice(left, 25)):
        dynamodb.batch_write_item(RequestItems={table: [{"PutRequest": {"Item": item}} for item in part]})


def _measured(stack: Stack, run: str, repeat: int) -> dict[str, dict[str, float]]:
    """The medians of each page; it is opened once before, so that the functions have workers."""
    found = {}
    with chromium() as browser, let_in(browser, stack, viewport={"width": 1280, "height": 800}) as page:
        for name, address in PAGES.items():
            times = [_opened(page, stack, address.format(run=run)) for _ in range(repeat + 1)][1:]
            found[name] = {figure: statistics.median(one[figure] for one in times) for figure in times[0]}
    return found


def _lists(stack: Stack, run: str) -> dict[str, tuple[float, float]]:
    """The seconds of each list: their median, and the quickest, which tells most where others use the machine."""
    places = {"workflow": stack.http.get(f"/api/runs/{run}").json()["workflow_id"], "behind": ""}
    for _ in range(5):
        page = stack.http.get("/api/runs", params={"limit": 200, "cursor": places["behind"]})
        places["behind"] = page.json().get("next", "")
    return {name: _answered(stack, address.format(**places)) for name, address in LISTS.items()}


def _answered(stack: Stack, address: str) -> tuple[float, float]:
    """The median seconds of a question, and the least; it is asked once before."""
    times = []
    for _ in range(ASKED_AGAIN + 1):
        started = time.perf_counter()
        stack.http.get(address).raise_for_status()
        times.append(time.perf_counter() - started)
    return statistics.median(times[1:]), min(times[1:])


def _opened(page: Any, stack: Stack, address: str) -> dict[str, float]:
    page.goto("about:blank")
    started = time.perf_counter()
    page.goto(f"{stack.facts['api']}/{address}")
    page.locator("#page tbody tr").first.wait_for()
    rows = time.perf_counter() - started
    return {"painted": page.evaluate(PAINTED) / 1000, "rows": rows, "asked": page.evaluate(ASKED) / 1000}


if __name__ == "__main__":
    sys.exit(main())
