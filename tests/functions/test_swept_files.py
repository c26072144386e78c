"""The sweep that finds files below landing/ of which no notice told."""

from collections import Counter

import pytest

from events.commands import IngestTable
from events.envelopes import sqs
from flowforge.bronze.ingest_slice import give_up_slice
from flowforge.operations.file_sweep import follow_up, sweep_files
from flowforge.runtime.settings import settings
from flowforge.state import corrections, file_jobs, file_ledger, leases, outbox
from flowforge.state.file_jobs import FileJob
from flowforge.state.file_refusals import Refusal, note_refusal
from flowforge.state.table import read_state
from functions.ingest_table.handler import handler as ingest_table
from tests.helpers.noticed_jobs import NoticedJob, send

pytestmark = pytest.mark.usefixtures("submit_queues")


@pytest.fixture
def job(aws, submit_queues, unique):
    return NoticedJob(aws, unique("wf"))


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


def test_should_start_the_next_run_though_what_asked_for_one_comes_again_after_its_turn(job, context):
    job.drop("1.csv")
    (wanted,) = job.swept()
    send(context, wanted)
    (message,) = job.queued()
    outbox.keep(message["run_id"], [IngestTable.model_validate(message)])  # its worker died before it forgot them
    job.load(message["run_id"], "1.csv")
    send(context, wanted)
    assert job.begun() == [message["run_id"]]
    send(context, job.drop("2.csv", "a\n2\n"))
    (second,) = job.begun()
    assert second != message["run_id"]


def test_should_ask_again_for_content_that_was_gone_when_its_run_looked_for_it(job, context):
    job.drop("1.csv")
    first = job.swept()
    send(context, *first)
    came = job.delete("1.csv")
    file_jobs.ended(job.job)  # the run has found nothing
    job.drop("1.csv")
    while job.put_at("1.csv") == came:  # S3 tells the second
        job.drop("1.csv")
    (second,) = job.swept()
    assert [second] != first
    send(context, second)
    assert second["new_run_id"] in job.begun()


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
    named = NoticedJob(aws, name, keys=(here, gone))
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


def use_up(batch) -> None:
    """Lets a batch cost as many workers as it may."""
    for _ in range(settings().max_attempts - 1):
        leases.release(batch)
        batch = leases.take_over(batch.model_copy(update={"lease_until": 0}))
    leases.release(batch)


def test_should_not_wait_for_a_batch_that_nobody_goes_on_with(job, context):
    job.drop("1.csv")
    (wanted,) = job.swept()
    send(context, wanted)
    (run_id,) = job.begun()
    batch = job.claim(run_id, "1.csv")
    file_jobs.ended(job.job)
    late = job.drop("2.csv", "a\n2\n")
    send(context, late)
    assert (job.swept(), job.begun()) == ([], [])
    use_up(batch)
    assert len(job.swept()) == 1
    send(context, late)
    assert len(job.begun()) == 1


def test_should_not_wait_for_a_batch_one_of_whose_slices_was_given_up(job, context):
    job.drop("1.csv")
    batch = job.claim("run_1", "1.csv")
    about = {"run_id": "run_1", "bronze_table": f"bronze_{job.name}", "source_key": job.key}
    assert job.swept() == []
    give_up_slice({"type": "IngestSlice", **about, "generation": batch.generation, "seq": batch.seq, "index": 0})
    assert len(job.swept()) == 1


def test_should_look_for_the_next_files_of_a_job_whose_load_was_given_up(aws, job, context, monkeypatch):
    job.drop("1.csv")
    (wanted,) = job.swept()
    send(context, wanted)
    (message,) = job.queued()
    late = job.drop("2.csv", "a\n2\n")
    aws.use("IngestQueue", "IngestDeadLetters", monkeypatch)
    assert ingest_table(sqs(message, attempt=settings().max_attempts + 1), context) == {"batchItemFailures": []}
    aws.use("SubmitQueue", "SubmitDeadLetters", monkeypatch)
    send(context, late)
    (second,) = job.begun()
    assert second != message["run_id"]
