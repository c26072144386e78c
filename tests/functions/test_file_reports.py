"""Reports of files: what became of each, and which wait, page by page."""

import json
import time
from typing import Any

import pytest

from events.envelopes import http
from flowforge.aws import items
from flowforge.bronze.file_notes import note_skipped
from flowforge.operations.file_sweep import list_older_files
from flowforge.runtime.settings import settings
from flowforge.state import batch_records, batches, corrections, file_ledger
from flowforge.state.file_refusals import Refusal, Reject, note_refusal
from flowforge.state.table import read_state
from functions.watermark.handler import handler as commit
from tests.helpers.aws_proxy import AwsProxy, Call, Fault
from tests.helpers.batches import manifest
from tests.helpers.noticed_jobs import NoticedJob

pytestmark = pytest.mark.usefixtures("submit_queues")


@pytest.fixture
def job(aws, submit_queues, unique):
    return NoticedJob(aws, unique("wf"))


def reports(context, **query: Any) -> list[dict[str, Any]]:
    answer = commit(http("GET", "/api/files", query=query), context)
    assert answer["statusCode"] == 200, answer["body"]
    return json.loads(answer["body"])["files"]


def told(found: list[dict[str, Any]]) -> list[tuple[str, str, int, int]]:
    return [(one["file"].rpartition("/")[2], one["state"], one["records"], one["rows"]) for one in found]


def test_should_list_reports_of_files_page_by_page_each_of_them_once(job, context):
    for number in range(7):
        job.drop(f"{number}.csv", f"a\n{number}\n")
    job.load("run_1", "0.csv", "1.csv", "2.csv")
    job.load("run_2", "3.csv", "4.csv")
    job.load("run_3", "5.csv")
    note_refusal(job.key, Refusal(run_id="run_4", file=job.version("6.csv"), reason="r"))
    found, cursor, pages = [], None, 0
    while pages == 0 or cursor:
        query = {"table": f"bronze_{job.name}", "limit": "2"} | ({"cursor": cursor} if cursor else {})
        answer = json.loads(commit(http("GET", "/api/files", query=query), context)["body"])
        found += [one["file"].rpartition("/")[2] for one in answer["files"]]
        cursor, pages = answer.get("next"), pages + 1
    assert (sorted(found), pages) == ([f"{number}.csv" for number in range(7)], 4)
    assert [name for name in found if name != "6.csv"] == ["5.csv", "4.csv", "3.csv", "2.csv", "1.csv", "0.csv"]
    broken = {"table": f"bronze_{job.name}", "cursor": "x"}
    assert commit(http("GET", "/api/files", query=broken), context)["statusCode"] == 400


def pages(context, job: NoticedJob, limit: int) -> list[str]:
    """The names of a job's files as they are listed, page by page."""
    found: list[str] = []
    cursor, begun = None, False
    while cursor or not begun:
        query = {"table": f"bronze_{job.name}", "limit": str(limit)} | ({"cursor": cursor} if cursor else {})
        answer = json.loads(commit(http("GET", "/api/files", query=query), context)["body"])
        found += [one["file"].rpartition("/")[2] for one in answer["files"]]
        cursor, begun = answer.get("next"), True
    return found


def forget_listing(job: NoticedJob) -> None:
    """What is stored of the job's files becomes what a version before has written."""
    name = settings().watermarks_table
    for partition in (f"FILES#{job.key}", f"REFUSED#{job.key}"):
        for item in items.query(name, "pk = :pk", {":pk": partition}):
            items.put(name, {field: value for field, value in item.items() if field != "listed"})
    items.delete(name, {"pk": "FILES_LISTED", "sk": job.key})


@pytest.mark.parametrize("limit", [1, 3, 100])
def test_should_list_alike_what_a_version_before_has_written_while_the_index_is_made_and_afterwards(
    job, context, limit
):
    names = [f"{number:02}.csv" for number in range(14)]
    for name in names:
        job.drop(name, name)
    job.load("run_1", *names[:12])
    note_refusal(job.key, Refusal(run_id="run_2", file=job.version("12.csv"), reason="r"))
    note_refusal(job.key, Refusal(run_id="run_2", file=job.version("00.csv"), reason="r"))  # it was loaded
    forget_listing(job)
    before = pages(context, job, limit)
    assert sorted(before) == names[:13]
    for budget in (-1, 5):  # without time nothing is left out, either
        assert job.key not in [failure.thing for failure in list_older_files(budget)]
        assert pages(context, job, limit) == before
    job.load("run_3", "13.csv")
    note_refusal(job.key, Refusal(run_id="run_4", file=job.version("12.csv"), reason="again"))
    assert sorted(pages(context, job, limit)) == names


def test_should_read_of_a_long_ledger_what_is_on_a_page(job, context):
    names = [f"{number:03}.csv" for number in range(300)]
    job.drop("one.csv")
    version = job.version("one.csv")
    files = [version.model_copy(update={"key": job.folder(name)}) for name in names]
    batch = job.claim("run_1")
    file_ledger.write_entries(job.key, [file_ledger.entry_of(batch, file, 1) for file in files])
    batches.commit(batches.land(batch, manifest(batch)))
    list_older_files()
    heard: list[bytes] = []

    def hear(call: Call) -> Fault | None:
        return Fault("heard", hear=heard.append) if call.operation.startswith("DynamoDB.") else None

    with AwsProxy(job.aws.endpoint) as proxy, pytest.MonkeyPatch.context() as patched:
        patched.setenv("AWS_ENDPOINT_URL", proxy.url)
        proxy.rule = hear
        found = reports(context, table=f"bronze_{job.name}", limit="5")
    assert [one["file"].rpartition("/")[2] for one in found] == names[:-6:-1]
    assert 5 <= sum(reply.count(b'"first_rejected"') for reply in heard) <= 20  # what each entry has


def waiting(context, job: NoticedJob, **query: str) -> dict[str, str]:
    """Why each file of a job waits."""
    asked = {"state": "waiting", "table": f"{job.name}/daily", **query}
    answer = json.loads(commit(http("GET", "/api/files", query=asked), context)["body"])
    assert all(one["since"] and one["state"] == "waiting" for one in answer["files"])
    return {one["file"].rpartition("/")[2]: one["reason"] for one in answer["files"]}


def test_should_tell_of_files_that_wait_since_when_and_why(job, context):
    job.drop("1.csv")
    job.load("run_1", "1.csv")
    assert waiting(context, job) == {}
    job.drop("2.csv", "a\nx\n")
    read = job.job.contract
    note_refusal(job.key, Refusal(run_id="run_2", file=job.version("2.csv"), reason="no bigint", contract=read))
    job.drop("3.csv", "")
    job.drop("4.csv")
    found = waiting(context, job)
    assert found == {
        "2.csv": "run run_2 has refused it, and it has not changed since: no bigint",
        "3.csv": "it has no content yet (0 bytes)",
        "4.csv": "it is new: the job's next run loads it",
    }
    assert waiting(context, job, limit="1") == {"2.csv": found["2.csv"]}
    batch = job.claim("run_3", "4.csv")
    assert "batch 2 of its table is under way" in waiting(context, job)["4.csv"]
    batches.abandon(batch)


def test_should_not_let_a_file_hold_others_up_that_was_mended(job, context):
    job.document["destination_config"]["silverConfig"] = {"primaryKey": "a"}
    job.ask()
    job.drop("1.csv", "a\nx\n")
    read = job.job.contract
    note_refusal(job.key, Refusal(run_id="run_1", file=job.version("1.csv"), reason="no bigint", contract=read))
    job.drop("2.csv")
    assert waiting(context, job)["2.csv"].endswith("/1.csv was refused, and the order counts")
    job.drop("1.csv", "a\n2\n")
    assert set(waiting(context, job).values()) == {"it is new: the job's next run loads it"}


def test_should_tell_of_files_that_no_job_takes_among_those_that_wait(job, context):
    job.aws.client("s3").put_object(Bucket=job.bucket, Key=f"landing/{job.name}/other/a.csv", Body=b"a\n1\n")
    found, cursor = {}, None
    while not found or cursor:
        query = {"state": "waiting", "limit": "1000"} | ({"cursor": cursor} if cursor else {})
        answer = json.loads(commit(http("GET", "/api/files", query=query), context)["body"])
        found |= {one["file"]: one for one in answer["files"]} or {"": {}}
        cursor = answer.get("next")
    mine = found[f"s3://{job.bucket}/landing/{job.name}/other/a.csv"]
    assert (mine["job"], f"submit the request of job {job.name}/other once" in mine["reason"]) == (None, True)


def test_should_report_each_file_with_its_records_run_and_state(job, context):
    job.drop("1.csv")
    job.drop("2.csv", "a\n2\n")
    job.load("run_1", "1.csv")
    batch = job.claim("run_2", "2.csv")
    for name in (f"bronze_{job.name}", f"{job.name}/daily", f"{job.name}.daily"):
        assert told(reports(context, table=name)) == [("2.csv", "loading", 1, 1), ("1.csv", "loaded", 1, 1)]
    batches.abandon(batch)
    newest, oldest = reports(context, table=f"bronze_{job.name}")
    assert (newest["state"], oldest["run_id"], oldest["etag"]) == ("given up", "run_1", job.version("1.csv").etag)
    assert told(reports(context, table=f"bronze_{job.name}", limit="1")) == [("2.csv", "given up", 1, 1)]
    corrections.reset_watermarks(read_state(job.key), "anew")
    assert {one["state"] for one in reports(context, table=f"bronze_{job.name}")} == {"forgotten"}


def test_should_report_a_refused_file_with_its_first_rejects_until_it_is_mended(job, context):
    job.drop("1.csv", "a\nx\n")
    job.load("run_0")
    bad = job.version("1.csv")
    rejects = [Reject(row_number=n, line=n + 1, column="a", reason="no bigint") for n in range(1, 13)]
    note_refusal(
        job.key, Refusal(run_id="run_1", file=bad, reason="12 do not fit", records=40, rejected=12, rejects=rejects)
    )
    (refused,) = reports(context, table=f"bronze_{job.name}")
    assert (refused["state"], refused["records"], refused["rejected"], refused["run_id"]) == (
        "refused",
        40,
        12,
        "run_1",
    )
    assert refused["first_rejected"] == "line 2, column a: no bigint"
    assert len(refused["rejects"]) == 10
    job.load("run_2", "1.csv")  # another contract takes it
    assert told(reports(context, table=f"bronze_{job.name}")) == [("1.csv", "loaded", 1, 1)]
    of_file = reports(context, key=bad.key)
    assert sorted(one["state"] for one in of_file) == ["loaded", "mended"]
    assert [one["file"] for one in reports(context, key=bad.address)] == [bad.address] * 2


def test_should_not_take_a_refused_file_for_mended_since_an_earlier_batch_was_noted_again(job, context):
    job.drop("1.csv")
    job.load("run_1", "1.csv")
    (before,) = reports(context, table=f"bronze_{job.name}")
    job.drop("1.csv", "a\nx\n")
    note_refusal(job.key, Refusal(run_id="run_2", file=job.version("1.csv"), reason="no bigint"))
    (batch,) = batch_records.history(job.key)
    later = {":later": time.time() + 60}  # as a release that comes a minute later notes it
    items.update(settings().watermarks_table, batch_records.key_of(batch), "SET updated_at = :later", later)
    refused, loaded = reports(context, table=f"bronze_{job.name}")
    assert (refused["state"], loaded["state"], loaded["at"]) == ("refused", "loaded", before["at"])
    assert [one["state"] for one in reports(context, key=job.version("1.csv").key)] == ["refused", "loaded"]
    job.drop("1.csv", "a\n2\n")
    job.load("run_3", "1.csv")
    assert [one["state"] for one in reports(context, table=f"bronze_{job.name}")] == ["loaded", "loaded"]


def test_should_report_when_a_snapshot_was_skipped(job, context):
    job.drop("2.csv")
    job.load("run_1", "2.csv")
    job.drop("1.csv")
    note_skipped(read_state(job.key), "run_2", [job.version("1.csv")])
    skipped, loaded = reports(context, table=f"bronze_{job.name}")
    assert (skipped["state"], skipped["run_id"], skipped["at"] >= loaded["at"]) == ("skipped", "run_2", True)


@pytest.mark.parametrize(
    ("query", "told"), [({"table": "none"}, "no table of files"), ({"key": "none"}, "nothing is known")]
)
def test_should_say_that_nothing_is_known_of_a_table_or_file(job, context, query, told):
    answer = commit(http("GET", "/api/files", query=query), context)
    assert answer["statusCode"] == 404
    assert told in json.loads(answer["body"])["message"]
