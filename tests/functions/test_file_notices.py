"""Files below landing/ by their notices, the sweep that finds those of which no notice told, and reports of all."""

import json
import re
from collections import Counter
from typing import Any

import pytest

from events.envelopes import eventbridge, http, minio, s3_object_created, sqs
from events.facts import IntervalEmpty
from events.files import FileContract
from events.targets import FilePlace, SourceFiles
from flowforge.aws import items
from flowforge.bronze.announcements import landed_fact
from flowforge.domain.batch import Batch
from flowforge.domain.file_version import FileVersion
from flowforge.domain.given import given
from flowforge.domain.interval import Interval
from flowforge.domain.source_key import SourceKey
from flowforge.operations.file_sweep import follow_up, list_older_files, sweep_files
from flowforge.runtime.settings import settings
from flowforge.state import batches, claims, corrections, file_jobs, file_ledger, runs
from flowforge.state.file_jobs import FileJob
from flowforge.state.file_refusals import Refusal, Reject, note_refusal
from flowforge.state.run_list import list_runs
from flowforge.state.table import read_state
from functions.submit_job.handler import handler
from functions.watermark.handler import handler as commit
from tests.helpers.aws_proxy import AwsProxy, Call, Fault
from tests.helpers.batches import manifest
from tests.helpers.commands import command
from tests.helpers.function_calls import Context


@pytest.fixture(autouse=True)
def queues(aws, monkeypatch):
    aws.use("SubmitQueue", "SubmitDeadLetters", monkeypatch)


class Job:
    """A job of files that was asked for once, before it had any; its loads are claimed and landed by hand."""

    def __init__(self, aws, name: str, pattern: str = "landing/{}/daily/*.csv", keys: tuple[str, ...] = ()):
        self.aws, self.bucket, self.name = aws, aws.name("Lake"), name
        self.place = FilePlace(bucket=self.bucket)
        self.read = SourceFiles(workflow=name, job="daily", pattern="*", contract=FileContract(format="csv"))
        self.key = str(SourceKey.of(self.place, name, "daily", f"bronze_{name}"))
        files = {"filePath": list(keys)} if keys else {"filePattern": pattern.format(name)}
        self.document: dict[str, Any] = {
            "workflow_id": name,
            "job_id": "daily",
            "source_type": "file",
            "source_config": {"type": "csv", "fileConfig": files},
            "destination_config": {"bronzeConfig": {"tableName": f"bronze_{name}"}},
        }
        post = http("POST", f"/api/workflows/{name}/run", "/api/workflows/{id}/run", self.document)
        assert handler(post, Context())["statusCode"] == 202
        assert len(self.begun()) == 1

    @property
    def job(self) -> FileJob:
        return given(file_jobs.find(self.name, "daily"))

    def folder(self, name: str) -> str:
        return f"landing/{self.name}/daily/{name}"

    def drop(self, name: str, text: str = "a\n1\n") -> dict[str, Any]:
        """Puts a file and returns its notice."""
        put = self.aws.client("s3").put_object(Bucket=self.bucket, Key=self.folder(name), Body=text.encode())
        notice = s3_object_created(self.bucket, self.folder(name), len(text))
        notice["detail"]["object"]["etag"] = put["ETag"].strip('"')
        return notice

    def version(self, name: str) -> FileVersion:
        found = self.aws.client("s3").head_object(Bucket=self.bucket, Key=self.folder(name))
        etag, size = found["ETag"].strip('"'), found["ContentLength"]
        return FileVersion(bucket=self.bucket, key=self.folder(name), etag=etag, size=size)

    def claim(self, run_id: str, *names: str) -> Batch:
        files = {"connection": self.place, "source": self.read}
        wanted = command(self.name, run_id, run_id).model_copy(update=files)
        batch = claims.claim(read_state(self.key), wanted, f"{self.name}.daily", Interval(), {}, [])
        file_ledger.write_entries(self.key, [file_ledger.entry_of(batch, self.version(name), 1) for name in names])
        return batch

    def load(self, run_id: str, *names: str) -> None:
        batch = self.claim(run_id, *names)
        batches.commit(batches.land(batch, manifest(batch)))
        file_jobs.ended(self.job)

    def begun(self) -> list[str]:
        """The runs that were queued meanwhile."""
        found = [message["body"] for message in self.aws.messages("IngestQueue")]
        return [body["run_id"] for body in found if body["workflow_id"] == self.name]

    def asked(self) -> list[dict[str, Any]]:
        """What the sweep has asked for meanwhile."""
        found = [message["body"] for message in self.aws.messages("SubmitQueue")]
        return [body for body in found if body.get("workflow_id") == self.name]


@pytest.fixture
def job(aws, unique):
    return Job(aws, unique("wf"))


def send(context, *notices) -> None:
    assert handler(sqs(*notices), context) == {"batchItemFailures": []}


def refused(folder: str) -> list[dict[str, str]]:
    found = [run for run in list_runs(50)["runs"] if run["status"] == "rejected" and run["trigger"] == "landing"]
    return [mistake for run in found for mistake in run["mistakes"] if mistake["field"].startswith(folder)]


def test_should_start_the_job_of_a_file_once_however_often_its_notice_comes(job, context):
    notice = job.drop("1.csv")
    send(context, notice, notice)
    (run_id,) = job.begun()
    run = runs.read_run(run_id)
    assert (run["workflow_id"], run["job_id"], run["trigger"], run["status"]) == (
        job.name,
        "daily",
        "landing",
        "accepted",
    )
    job.load(run_id, "1.csv")
    send(context, notice)
    assert job.begun() == []


def test_should_start_one_run_for_many_files_and_leave_the_rest_to_the_end_of_its_batch(job, context):
    notices = [job.drop(f"{n}.csv", f"a\n{n}\n") for n in range(12)]
    send(context, *notices[:10])
    (run_id,) = job.begun()
    batch = job.claim(run_id, *(f"{n}.csv" for n in range(8)))
    send(context, *notices[10:])
    assert job.begun() == []
    fact = landed_fact(batches.land(batch, manifest(batch)))
    body = eventbridge("BronzeLanded", json.loads(fact.model_dump_json()))
    assert commit(sqs(body), context) == {"batchItemFailures": []}
    (wanted,) = job.asked()
    send(context, wanted, wanted)
    (second,) = job.begun()
    assert second != run_id and runs.read_run(second)["trigger"] == "sweep"


def test_should_look_for_the_files_that_came_while_a_run_that_found_nothing_was_queued(job, context):
    send(context, job.drop("1.csv"))
    (run_id,) = job.begun()
    job.load("run_of_a_request", "1.csv")
    assert file_jobs.begin(job.job, run_id)
    send(context, job.drop("2.csv", "a\n2\n"))
    assert job.begun() == []
    about = {"run_id": run_id, "bronze_table": f"bronze_{job.name}", "source_key": job.key, "generation": 0, "seq": 1}
    empty = IntervalEmpty(**about, source_table=f"{job.name}.daily", reason="no new file", claimed=False)
    body = eventbridge("IntervalEmpty", json.loads(empty.model_dump_json()))
    assert commit(sqs(body, body), context) == {"batchItemFailures": []}
    wanted, again = job.asked()
    assert wanted == again
    send(context, wanted, again)
    (second,) = job.begun()
    assert second != run_id


def test_should_load_content_that_is_new_under_an_old_name_and_that_comes_back(job, context):
    for n, text in enumerate(["a\n1\n", "a\n2\n", "a\n1\n"]):
        notice = job.drop("1.csv", text)
        notice["detail"]["object"]["sequencer"] = f"{n}"
        send(context, notice)
        (run_id,) = job.begun()
        job.load(run_id, "1.csv")
        send(context, notice)
        assert job.begun() == []


def test_should_wait_for_the_content_of_an_empty_file(job, context):
    send(context, job.drop("1.csv", ""), s3_object_created(job.bucket, job.folder(""), 0))
    assert (job.begun(), refused(job.folder(""))) == ([], [])
    send(context, job.drop("1.csv"))
    assert len(job.begun()) == 1


def test_should_tell_once_of_files_that_no_job_takes_and_start_it_once_it_is_known(aws, context, unique):
    bucket, name = aws.name("Lake"), unique("wf")
    folder = f"landing/{name}/daily/"
    send(context, *(s3_object_created(bucket, f"{folder}{n}.csv") for n in range(3)))
    (mistake,) = refused(folder)
    assert mistake["field"] == f"{folder}0.csv"
    assert f"job {name}/daily is not known" in mistake["problem"]
    assert "Submit the job's request once" in mistake["problem"]
    assert aws.messages("SubmitDeadLetters") == []
    known = Job(aws, name)
    send(context, s3_object_created(bucket, f"{folder}0.csv"))
    assert len(known.begun()) == 1


def test_should_tell_of_a_file_whose_name_its_job_does_not_take(job, context):
    marker, other = job.drop("_SUCCESS"), job.drop("readme.txt")
    send(context, marker)
    assert refused(job.folder("")) == []
    send(context, other)
    (mistake,) = refused(job.folder(""))
    assert re.search(r"takes landing/\w+/daily/\*\.csv of bucket .*, not this name", mistake["problem"])
    assert job.begun() == []


def test_should_start_every_job_whose_pattern_has_the_file(aws, context, unique):
    name = unique("wf")
    jobs = [Job(aws, f"{name}_{n}", f"landing/{name}_0/daily/{part}") for n, part in enumerate(["*.csv", "**"])]
    send(context, jobs[0].drop("1.csv"))
    started = [message["body"]["workflow_id"] for message in aws.messages("IngestQueue")]
    assert sorted(set(started)) == [job.name for job in jobs]


def test_should_find_by_the_sweep_what_no_event_told_and_ask_for_one_run(job, context):
    job.drop("1.csv")
    job.drop("2.csv", "a\n2\n")
    for _ in range(2):
        file_jobs.make_due(job.job)
        sweep_files()
    first, second = job.asked()
    assert first == second
    send(context, first, second)
    (run_id,) = job.begun()
    for _ in range(2):  # that run has not ended, nor has it taken anything
        file_jobs.ended(job.job)
        file_jobs.make_due(job.job)
        sweep_files()
    assert job.asked() == []
    job.drop("3.csv", "a\n3\n")
    file_jobs.make_due(job.job)
    sweep_files()
    (third,) = job.asked()
    assert third["new_run_id"] != run_id


def test_should_not_look_at_a_job_again_before_it_is_due(job):
    file_jobs.make_due(job.job)
    sweep_files()
    job.drop("1.csv")
    sweep_files()
    assert job.asked() == []


def test_should_ask_for_nothing_where_all_is_loaded_and_for_all_of_it_after_a_reset(job):
    job.drop("1.csv")
    job.load("run_1", "1.csv")
    file_jobs.make_due(job.job)
    sweep_files()
    assert job.asked() == []
    corrections.reset_watermarks(read_state(job.key), "anew")
    file_jobs.make_due(job.job)
    sweep_files()
    assert len(job.asked()) == 1


def test_should_ask_for_no_run_of_what_was_refused_until_it_changes(job):
    job.drop("1.csv")
    job.load("run_0")
    refusal = Refusal(run_id="run_1", file=job.version("1.csv"), reason="no", contract=job.job.contract)
    note_refusal(job.key, refusal)
    file_jobs.make_due(job.job)
    sweep_files()
    assert job.asked() == []
    job.drop("1.csv", "a\n2\n")
    file_jobs.make_due(job.job)
    sweep_files()
    assert len(job.asked()) == 1


def test_should_sweep_the_files_that_a_request_names(aws, unique):
    name = unique("wf")
    here, gone = (f"landing/{name}/daily/{n}.csv" for n in ("here", "gone"))
    named = Job(aws, name, keys=(here, gone))
    named.drop("here.csv")
    named.drop("other.csv")
    file_jobs.make_due(named.job)
    sweep_files()
    assert len(named.asked()) == 1
    named.load("run_1", "here.csv")
    file_jobs.make_due(named.job)
    sweep_files()
    assert named.asked() == []


def test_should_sweep_the_other_jobs_though_one_fails(aws, job, unique):
    lost = FileJob(
        workflow=unique("wf"), job="daily", bucket=unique("no-bucket"), pattern="landing/*", source_key=job.key
    )
    file_jobs.keep(lost, {})
    job.drop("1.csv")
    file_jobs.make_due(job.job)
    _, failures = sweep_files()
    assert [failure.thing for failure in failures if lost.workflow in failure.thing] == [f"files of job {lost.name}"]
    assert len(job.asked()) == 1


def test_should_keep_the_reason_of_a_kept_request_that_is_not_taken_any_more(job, context):
    file_jobs.keep(job.job, {"workflow_id": job.name})
    send(context, job.drop("1.csv"))
    assert job.begun() == []
    rejected = [run for run in list_runs(50)["runs"] if run["trigger"] == "landing" and run["status"] == "rejected"]
    assert any("source_config" in str(run["mistakes"]) for run in rejected)


def reports(context, **query: Any) -> list[dict[str, Any]]:
    answer = commit(http("GET", "/api/files", query=query), context)
    assert answer["statusCode"] == 200, answer["body"]
    return json.loads(answer["body"])["files"]


def told(found: list[dict[str, Any]]) -> list[tuple[str, str, int, int]]:
    return [(one["file"].rpartition("/")[2], one["state"], one["records"], one["rows"]) for one in found]


def test_should_ask_the_ledger_of_nothing_where_neither_files_nor_batches_have_changed(job):
    names = [f"{number:03}.csv" for number in range(file_ledger.ASKED_ALONE + 5)]
    for name in names:
        job.drop(name)
    job.load("run_1", *names)

    def queries() -> int:
        before = Counter(job.aws.calls())
        follow_up(job.key)
        return (Counter(job.aws.calls()) - before)["DynamoDB Query"]

    assert (queries() > 0, queries()) == (True, 0)
    job.drop("000.csv", "a\n2\n")
    assert queries() > 0
    assert len(job.asked()) == 1
    job.load("run_2", "000.csv")
    assert (queries() > 0, queries()) == (True, 0)
    corrections.reset_watermarks(read_state(job.key), "anew")
    assert queries() > 0
    assert len(job.asked()) == 1


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


def pages(context, job: Job, limit: int) -> list[str]:
    """The names of a job's files as they are listed, page by page."""
    found: list[str] = []
    cursor, begun = None, False
    while cursor or not begun:
        query = {"table": f"bronze_{job.name}", "limit": str(limit)} | ({"cursor": cursor} if cursor else {})
        answer = json.loads(commit(http("GET", "/api/files", query=query), context)["body"])
        found += [one["file"].rpartition("/")[2] for one in answer["files"]]
        cursor, begun = answer.get("next"), True
    return found


def forget_listing(job: Job) -> None:
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


def waiting(context, job: Job, **query: str) -> dict[str, str]:
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


@pytest.mark.parametrize(
    ("query", "told"), [({"table": "none"}, "no table of files"), ({"key": "none"}, "nothing is known")]
)
def test_should_say_that_nothing_is_known_of_a_table_or_file(job, context, query, told):
    answer = commit(http("GET", "/api/files", query=query), context)
    assert answer["statusCode"] == 404
    assert told in json.loads(answer["body"])["message"]


def test_should_start_a_job_that_was_asked_for_in_the_form_of_before(aws, context, unique):
    name = unique("wf")
    key = f"landing/old/{name}/customers.csv"  # not in a folder of the job's own
    document = {
        "workflow_id": name,
        "job_id": "daily",
        "workflow_name": "old",
        "job_name": "old",
        "source_type": "file",
        "landing_key": key,
        "file_format": "csv",
        "has_header": True,
    }
    post = http("POST", f"/api/workflows/{name}/run", "/api/workflows/{id}/run", document)
    assert handler(post, context)["statusCode"] == 202
    bucket = aws.name("Lake")
    aws.client("s3").put_object(Bucket=bucket, Key=key, Body=b"a\n1\n")
    aws.messages("IngestQueue")
    handler(minio(bucket, key), context)  # as MinIO tells of it, past the bus
    (message,) = aws.messages("IngestQueue")
    assert message["body"]["source"]["keys"] == [key]
    assert message["body"]["workflow_id"] == name
