"""Lists of the API, page by page: every entry once, and no page reads more than it shows."""

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from events import facts
from events.envelopes import http
from events.sample_messages import messages
from flowforge.aws import items
from flowforge.aws.clients import client
from flowforge.domain.file_version import FileVersion
from flowforge.domain.source_key import SourceKey
from flowforge.runtime.settings import settings
from flowforge.state import discards, run_stories, runs
from flowforge.state.discards import DISCARDED
from flowforge.state.file_ledger import FileEntry, write_entries
from flowforge.state.table import TABLES, TableState
from functions.connections import handler as connections
from functions.replay import handler as replay
from functions.track_run import handler as track_run
from functions.watermark import handler as watermark

pytestmark = pytest.mark.usefixtures("aws")
TODAY = 25  # runs of the form of today
OTHERS = 300  # runs of another workflow, which a page does not look at


@contextmanager
def read_items() -> Iterator[list[int]]:
    """How many items each query and scan of the block has looked at."""
    counts: list[int] = []
    events = client("dynamodb").meta.events
    kept = {name: lambda parsed, **_: counts.append(parsed["ScannedCount"]) for name in ("Query", "Scan")}
    for name, count in kept.items():
        events.register(f"after-call.dynamodb.{name}", count)
    yield counts
    for name, count in kept.items():
        events.unregister(f"after-call.dynamodb.{name}", count)


def ask(function, context, path: str, **query: str) -> tuple[int, dict]:
    answer = function.handler(http("GET", path, path, query=query), context)
    return answer["statusCode"], json.loads(answer["body"])


def pages(function, context, path: str, key: str, **query: str) -> Iterator[list[dict]]:
    place: dict[str, str] = {}
    while True:
        status, answer = ask(function, context, path, **query, **place)
        assert status == 200, answer
        yield answer[key]
        if "next" not in answer:
            return
        place = {"cursor": answer["next"]}


def stored_run(run_id: str, workflow: str, accepted_at: str, **more) -> dict:
    """A run as every version has stored it."""
    told = {"job_id": "j", "batch_id": "b", "trigger": "http", "status": "accepted", "accepted_at": accepted_at}
    return {"pk": run_id, "sk": "RUN", "kind": "run", "workflow_id": workflow, **told, **more}


@pytest.fixture(scope="module")
def workflow(aws) -> str:
    """A workflow with seven runs, of which three were accepted in the same instant, among many of another one."""
    runs = [stored_run(f"run_{n:04}", "others", f"2026-01-01T00:00:{n % 60:02}.000+00:00") for n in range(OTHERS)]
    moments = ["00:00:01", "00:00:02", "00:00:03", "00:00:03", "00:00:03", "00:00:04", "00:00:05"]
    runs += [stored_run(f"mine_{n}", "mine", f"2026-01-01T{moment}.000+00:00") for n, moment in enumerate(moments)]
    runs.append(stored_run("mine_gone", "mine", "2025-01-01T00:00:00.000+00:00", expires_at=1))
    items.put_many(settings().runs_table, runs)
    return "mine"


def test_should_show_every_run_of_a_workflow_once_in_pages_of_any_size(context, workflow):
    for size in (1, 2, 3, 7, 20):
        found = list(pages(track_run, context, "/api/runs", "runs", workflow_id=workflow, limit=str(size)))
        assert [len(page) for page in found[:-1]] == [size] * (len(found) - 1)
        listed = [run["run_id"] for page in found for run in page]
        assert sorted(listed) == [f"mine_{n}" for n in range(7)]
        assert [run["accepted_at"] for page in found for run in page] == sorted(
            (run["accepted_at"] for page in found for run in page), reverse=True
        )


def test_should_look_at_no_more_runs_than_it_shows(context, workflow):
    for query, shown in (({"workflow_id": workflow, "limit": "2"}, 2), ({"limit": "20"}, 20)):
        with read_items() as counts:
            _, answer = ask(track_run, context, "/api/runs", **query)
        assert len(answer["runs"]) == shown
        assert sum(counts) <= 2 * shown + 1  # each run as it is listed, and as it is read; and whether there are more


@pytest.fixture(scope="module")
def told(aws) -> str:
    """A workflow with runs of today's form, each of three tables of which the last one is not told of."""
    for n in range(TODAY):
        tables = [(f"bronze_{k}", f"dbo.t_{k}") for k in range(3)]
        runs.open_run(f"told_{n:02}", "told", "job", "batch", "http", tables)
        for table in ("bronze_0", "bronze_1"):
            run_stories.record(fact(facts.IntervalEmpty, f"told_{n:02}", table))
    return "told"


def fact(kind: type[facts.TableEvent], run_id: str, table: str) -> facts.TableEvent:
    sample = next(one for one in messages() if isinstance(one, kind))
    return sample.model_copy(update={"run_id": run_id, "bronze_table": table})


@contextmanager
def calls() -> Iterator[list[str]]:
    """The calls of DynamoDB that the block makes."""
    made: list[str] = []
    events = client("dynamodb").meta.events
    kept = lambda model, **_: made.append(model.name)  # noqa: E731 - what is unregistered is the same object
    events.register("before-call.dynamodb", kept)
    yield made
    events.unregister("before-call.dynamodb", kept)


def test_should_ask_for_the_runs_of_a_page_together(context, told):
    for size in (1, 20):
        with calls() as made:
            _, answer = ask(track_run, context, "/api/runs", workflow_id=told, limit=str(size))
        assert [len(run["tables"]) for run in answer["runs"]] == [3] * size
        assert made == ["Query", "BatchGetItem"]
    statuses = [table["status"] for table in answer["runs"][0]["tables"]]
    assert (answer["runs"][0]["status"], statuses) == ("running", ["empty", "empty", "queued"])


@pytest.fixture(scope="module")
def mixed(aws) -> str:
    """A workflow with a run of each status, a failed run of the version before, and one that a replay has mended."""
    for name in ("queued", "succeeded", "failed", "mended", "older"):
        runs.open_run(f"mixed_{name}", "mixed", "job", "batch", "http", [("bronze_0", "dbo.t_0")])
    for name in ("failed", "mended", "older"):
        run_stories.record(fact(facts.StepFailed, f"mixed_{name}", "bronze_0"))
    for name in ("succeeded", "mended"):
        run_stories.record(fact(facts.IntervalEmpty, f"mixed_{name}", "bronze_0"))
    before = f"REMOVE {run_stories.FAILED_AT}, {runs.TELLS_FAILURE} SET workflow_id = :workflow"
    items.update(settings().runs_table, {"pk": "mixed_older", "sk": "RUN"}, before, {":workflow": "mixed"})
    runs.reject("mixed_rejected", "http", [{"field": "a", "problem": "b"}])
    items.update(settings().runs_table, {"pk": "mixed_rejected", "sk": "RUN"}, "SET workflow_id = :w", {":w": "mixed"})
    return "mixed"


@pytest.mark.parametrize(
    ("status", "named"),
    [
        ("failed", {"failed", "older", "rejected"}),
        ("under-way", {"queued"}),
        ("succeeded", {"succeeded", "mended"}),
        ("", {"failed", "older", "rejected", "queued", "succeeded", "mended"}),
    ],
)
def test_should_list_the_runs_of_one_status_page_by_page(context, mixed, status, named):
    for size in ("1", "20"):
        found = pages(track_run, context, "/api/runs", "runs", workflow_id=mixed, status=status, limit=size)
        listed = [run["run_id"] for page in found for run in page]
        assert sorted(listed) == sorted(f"mixed_{name}" for name in named)
    assert ask(track_run, context, "/api/runs", status="nothing")[1]["mistakes"][0]["field"] == "status"


def test_should_read_the_steps_of_those_runs_alone_that_may_have_failed(context, mixed, told):
    with calls() as made:
        assert ask(track_run, context, "/api/runs", workflow_id=told, status="failed") == (200, {"runs": []})
    assert made == ["Query"]


def test_should_end_a_page_of_one_status_where_it_has_read_the_steps_of_many(context, aws, unique):
    workflow = unique("w")
    made = [stored_run(f"{workflow}_{n:03}", workflow, f"2026-01-01T00:00:{n % 60:02}.000+00:00") for n in range(150)]
    items.put_many(settings().runs_table, made)
    _, answer = ask(track_run, context, "/api/runs", workflow_id=workflow, status="failed")
    assert (answer["runs"], bool(answer["next"])) == ([], True)
    found = list(pages(track_run, context, "/api/runs", "runs", workflow_id=workflow, status="succeeded", limit="20"))
    assert len({run["run_id"] for page in found for run in page}) == 150 and len(found) == 8


def test_should_list_what_a_person_has_given_up_with_its_run(context, told):
    letter = {"id": "m-1", "queue": "silver", "table": "bronze_0", "run_id": "told_00", "reason": "x", "at": 1.0}
    discards.keep(letter, "nobody wants it")
    listed = {
        run["run_id"]: run for page in pages(track_run, context, "/api/runs", "runs", workflow_id=told) for run in page
    }
    assert [one["id"] for one in listed["told_00"]["discarded"]] == ["m-1"]
    assert listed["told_00"]["discarded"] == runs.read_run("told_00")["discarded"]
    assert not listed["told_01"]["discarded"]


def test_should_show_what_a_version_before_has_told_of_a_run(context, aws, unique):
    """While functions are replaced one after the other, a run may be opened by the new one and told of by the one before."""
    workflow = unique("between")
    runs.open_run(workflow, workflow, "job", "batch", "http", [("bronze_a", "a")])
    key = {"pk": workflow, "sk": "TABLE#bronze_a"}
    items.put(settings().runs_table, key | {"empty": json.dumps({"at": "2026-01-01T00:00:01.000+00:00"})})
    ago = {":at": "2026-01-01T00:00:00.000+00:00"}
    items.update(settings().runs_table, {"pk": workflow, "sk": "RUN"}, "SET accepted_at = :at", ago)
    (run,) = ask(track_run, context, "/api/runs", workflow_id=workflow)[1]["runs"]
    assert (run["status"], run["tables"]) == ("succeeded", [{"table": "bronze_a", "status": "empty"}])


def test_should_show_every_run_of_all_workflows(context, workflow):
    found = [run["run_id"] for page in pages(track_run, context, "/api/runs", "runs", limit="97") for run in page]
    listed = [run_id for run_id in found if run_id.startswith(("run_", "mine_"))]
    assert len(listed) == len(set(listed)) == OTHERS + 7


def test_should_end_a_page_early_where_its_runs_have_many_tables(context, aws, unique):
    workflow, names = unique("wide"), [(f"bronze_{'x' * 100}_{n:05}", f"x_{n}") for n in range(6_000)]
    for n in range(4):
        run = stored_run(f"{workflow}_{n}", workflow, f"2026-01-01T00:00:0{n}.000+00:00")
        parts = [
            {"pk": run["pk"], "sk": f"NAMES#{start:08d}", "names": json.dumps(names[start : start + 2_000])}
            for start in range(0, len(names), 2_000)
        ]
        items.put_many(settings().runs_table, [run, *parts])
    found = list(pages(track_run, context, "/api/runs", "runs", workflow_id=workflow))
    assert len(found) > 1
    assert [run["run_id"] for page in found for run in page] == [f"{workflow}_{n}" for n in (3, 2, 1, 0)]
    assert all(len(run["tables"]) == len(names) for page in found for run in page)


def test_should_show_every_watermark_once(context, unique):
    bronze = [unique("bronze") for _ in range(5)]
    names = {"source_table": "dbo.t", "silver_table": "t"}
    keys = [f"h:1433/d/dbo.t>{name}" for name in bronze]
    registered = [{"pk": TABLES, "sk": k, "bronze_table": b, **names} for k, b in zip(keys, bronze, strict=True)]
    broken = {"pk": keys[0], "sk": "STATE", "generation": "x", "watermarks": 3, "samples": 4}
    items.put_many(settings().watermarks_table, [*registered, broken])
    found = [one for page in pages(watermark, context, "/api/watermarks", "watermarks", limit="2") for one in page]
    assert sorted(one["source_key"] for one in found) == sorted(keys)
    assert [bool(one.get("problem")) for one in found if one["source_key"] == keys[0]] == [True]
    assert ask(watermark, context, "/api/watermarks")[1]["watermarks"] == sorted(
        found, key=lambda one: one["bronze_table"]
    )


def test_should_show_every_saved_connection_once(context, unique):
    fields = {"host": "h", "port": 1433, "database": "d", "username": "u", "trustServerCertificate": False}
    ids = [unique("c") for _ in range(5)]
    items.put_many(settings().connections_table, [{"pk": one, **fields, "driver": "auto"} for one in ids])
    found = [one for page in pages(connections, context, "/api/connections", "connections", limit="2") for one in page]
    assert sorted(one["id"] for one in found) == sorted(ids)
    with read_items() as counts:
        assert len(ask(connections, context, "/api/connections", limit="2")[1]["connections"]) == 2
    assert sum(counts) == 3


def test_should_ask_for_the_batches_of_a_page_of_files_together(context, unique):
    job = unique("job")
    key = str(SourceKey("s3", 0, "lake", "wf", job, f"bronze_{job}"))
    names = {"bronze_table": f"bronze_{job}", "source_table": f"wf.{job}", "silver_table": job}
    items.put(settings().watermarks_table, {"pk": TABLES, "sk": key, **names})
    state = TableState(source_key=key, seq=30, epoch="e", **names)
    items.put(settings().watermarks_table, state.item())
    files = [FileVersion(bucket="b", key=f"landing/wf/{job}/{n:02}.csv", etag=str(n), size=1) for n in range(30)]
    told = {"generation": 1, "claim": "c", "epoch": "e", "run_id": "r", "settled": True, "rows": 1}
    write_entries(key, [FileEntry(seq=n, file=file, at=n + 1, **told) for n, file in enumerate(files)])
    with calls() as made:
        _, answer = ask(watermark, context, "/api/files", table=f"bronze_{job}", limit="20")
    assert [one["file"] for one in answer["files"]] == [file.address for file in reversed(files)][:20]
    assert made.count("BatchGetItem") == 2 and "GetItem" not in made, made


def test_should_show_every_discarded_message_once(context, unique):
    letters = [{"pk": DISCARDED, "sk": f"2026-01-0{n}#{n}", "id": str(n), "at": "now"} for n in range(1, 6)]
    items.put_many(settings().runs_table, letters)
    path = "/api/dead-letters/discarded"
    found = [one["id"] for page in pages(replay, context, path, "discarded", limit="2") for one in page]
    assert [one for one in found if one in "12345"] == ["5", "4", "3", "2", "1"]


@pytest.mark.parametrize(
    ("function", "path"),
    [
        (track_run, "/api/runs"),
        (watermark, "/api/watermarks"),
        (connections, "/api/connections"),
        (replay, "/api/dead-letters/discarded"),
    ],
)
@pytest.mark.parametrize(
    "cursor", ["x", "..", "é", "YQ.YQ.YQ", "Y" * 9_000, base64.b64encode(b"\xed\xa0\x80").decode(), ".", "YQBh"]
)
def test_should_refuse_a_cursor_that_is_none(context, function, path, cursor):
    status, answer = ask(function, context, path, cursor=cursor)
    assert (status, answer["mistakes"][0]["field"]) == (400, "cursor")


def test_should_list_nothing_for_a_workflow_that_no_request_can_name(context):
    assert ask(track_run, context, "/api/runs", workflow_id="w" * 3_000) == (200, {"runs": []})


@pytest.mark.parametrize("query", [{}, {"cursor": "x"}])
def test_should_let_nobody_on_the_way_keep_an_answer(context, query):
    answer = connections.handler(http("GET", "/api/connections", "/api/connections", query=query), context)
    assert answer["headers"]["Cache-Control"] == "no-store"
