"""Jobs of files as they are kept between their requests and their files, and what is kept of refused files."""

from typing import Any

import pytest

from flowforge.aws import items
from flowforge.domain.errors import UnreadableRecord
from flowforge.domain.file_version import FileVersion
from flowforge.runtime.settings import settings
from flowforge.state import file_jobs
from flowforge.state.file_jobs import FileJob
from flowforge.state.file_refusals import Refusal, Reject, note_refusal, refusal_of, refusals

pytestmark = pytest.mark.usefixtures("aws")


def kept(workflow: str, job: str = "daily", **fields: Any) -> FileJob:
    given: dict[str, Any] = {"bucket": "lake", "pattern": f"landing/{workflow}/{job}/*.csv"} | fields
    made = FileJob(workflow=workflow, job=job, source_key=f"s3://lake/{workflow}.{job}>t", **given)
    file_jobs.keep(made, {"workflow_id": workflow, "job_id": job})
    return made


def stored(job: FileJob) -> FileJob:
    found = file_jobs.find(job.workflow, job.job)
    assert found is not None
    return found


def test_should_keep_a_job_as_it_was_last_asked_for_and_what_is_begun_of_it(unique):
    workflow = unique("sales")
    job = kept(workflow)
    assert file_jobs.begin(job, "run_1")
    again = kept(workflow, keys=["landing/a.csv"], pattern="")
    file_jobs.keep(again, {"workflow_id": workflow, "job_id": "daily", "job_name": "Täglich " * 5_000})
    found = stored(job)
    assert (found.keys, found.pattern, found.begun_run) == (["landing/a.csv"], "", "run_1")
    assert file_jobs.request_of(found)["job_name"].startswith("Täglich")


def test_should_never_take_one_job_for_another(unique):
    workflow = unique("a")
    for one in ((workflow, "b/c"), (f"{workflow}/b", "c"), (workflow, "b%2Fc"), (f"{workflow} ", "b")):
        assert file_jobs.find(*one) is None
        kept(*one)
        found = file_jobs.find(*one)
        assert found is not None and (found.workflow, found.job) == one
        assert file_jobs.request_of(found)["workflow_id"] == one[0]


def test_should_begin_one_run_until_it_has_had_its_turn(unique):
    job = kept(unique("sales"))
    file_jobs.make_due(job, 5e9)
    assert file_jobs.begin(job, "run_1")
    assert file_jobs.begin(job, "run_1")  # its message came again
    assert stored(job).due_at == 5e9
    assert not file_jobs.begin(job, "run_2")
    assert stored(job).due_at == 0  # so that the sweep looks for what run_1 did not see
    file_jobs.ended(job)
    assert file_jobs.begin(job, "run_2")


def test_should_not_wait_for_ever_for_a_run_that_never_had_its_turn(unique):
    job = kept(unique("sales"))
    assert file_jobs.begin(job, "run_1")
    key = {"pk": file_jobs.REGISTER, "sk": job.name}
    items.update(settings().watermarks_table, key, "SET begun_at = :long_ago", {":long_ago": 1.0})
    assert file_jobs.begin(job, "run_2")


def test_should_make_no_job_of_one_that_is_not_kept(unique):
    job = FileJob(workflow=unique("w"), job="j", bucket="lake", pattern="*", source_key="k")
    file_jobs.make_due(job)
    file_jobs.ended(job)
    assert not file_jobs.begin(job, "run_1")
    assert file_jobs.find(job.workflow, job.job) is None


def test_should_name_the_remedy_where_a_job_cannot_be_read(unique):
    job = kept(unique("sales"))
    items.update(
        settings().watermarks_table, {"pk": f"JOB#{job.name}", "sk": "REQUEST"}, "SET #v = :v", {":v": 2}, v="version"
    )
    with pytest.raises(UnreadableRecord, match=job.name) as raised:
        file_jobs.request_of(job)
    assert "Submit the job's request again" in raised.value.remedy


def test_should_keep_the_newest_refusal_of_a_file_with_its_first_rejects(unique):
    key = f"s3://lake/{unique('sales')}.daily>t"
    first = FileVersion(bucket="lake", key="landing/a.csv", etag="1", size=9)
    second = first.model_copy(update={"etag": "2"})
    rejects = [Reject(row_number=n, line=n + 1, column="amount", reason="no decimal(9,2)") for n in range(1, 15)]
    note_refusal(
        key, Refusal(run_id="run_1", file=first, reason="14 records", records=100, rejected=14, rejects=rejects)
    )
    note_refusal(key, Refusal(run_id="run_2", file=second, reason="x" * 5_000))
    note_refusal(key, Refusal(run_id="run_1", file=first.model_copy(update={"key": "b"}), reason="r", rejects=rejects))
    newest = refusal_of(key, first)
    assert newest is not None
    assert (newest.run_id, newest.file.etag, len(newest.reason), newest.rejected) == ("run_2", "2", 2_000, None)
    assert sorted((one.file.key, len(one.rejects)) for one in refusals(key)) == [("b", 10), ("landing/a.csv", 0)]
