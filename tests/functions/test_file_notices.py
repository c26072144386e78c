"""Files below landing/ by their notices: which job each starts, once, and what is told of those that none takes."""

import json
import re

import pytest

from events.envelopes import eventbridge, http, minio, s3_object_created, sqs
from events.facts import IntervalEmpty
from flowforge.bronze.announcements import landed_fact
from flowforge.state import batches, file_jobs, runs
from flowforge.state.run_list import list_runs
from functions.submit_job.handler import handler
from functions.watermark.handler import handler as commit
from tests.helpers.batches import manifest
from tests.helpers.noticed_jobs import NoticedJob, send

pytestmark = pytest.mark.usefixtures("submit_queues")


@pytest.fixture
def job(aws, submit_queues, unique):
    return NoticedJob(aws, unique("wf"))


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
    known = NoticedJob(aws, name)
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
    jobs = [NoticedJob(aws, f"{name}_{n}", f"landing/{name}_0/daily/{part}") for n, part in enumerate(["*.csv", "**"])]
    send(context, jobs[0].drop("1.csv"))
    started = [message["body"]["workflow_id"] for message in aws.messages("IngestQueue")]
    assert sorted(set(started)) == [job.name for job in jobs]


def test_should_keep_the_reason_of_a_kept_request_that_is_not_taken_any_more(job, context):
    file_jobs.keep(job.job, {"workflow_id": job.name})
    send(context, job.drop("1.csv"))
    assert job.begun() == []
    rejected = [run for run in list_runs(50)["runs"] if run["trigger"] == "landing" and run["status"] == "rejected"]
    assert any("source_config" in str(run["mistakes"]) for run in rejected)


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
