"""Files that arrive below landing/ in the lake's bucket, and what else starts the job that takes them.

A notice says only that it is time to look: which files are new is found by the load itself, which lists them.

Guarantees: a notice that comes again starts no second run, nor does one of content that the job has taken. A file that comes
while a batch of its job is under way, or a run is about to begin, starts none: it is looked for when that has ended
(`operations.file_sweep`). One that no job takes stays where it is, and a rejected run names it and what to do.
"""

from datetime import UTC, datetime

from aws_lambda_powertools import Logger

from events.commands import LoadFiles
from events.request import InvalidRequest
from flowforge.domain.alone import each_alone
from flowforge.domain.errors import Fatal
from flowforge.domain.file_version import FileVersion
from flowforge.domain.run_ids import run_id_of_delivery
from flowforge.jobs.file_names import MARKS, takes
from flowforge.jobs.notice import Notice
from flowforge.jobs.submission import LANDING, SWEEP, submit
from flowforge.state import file_jobs, leases, outbox, runs
from flowforge.state.file_jobs import FileJob
from flowforge.state.file_ledger import taken_version
from flowforge.state.table import read_state

logger = Logger(service="flowforge")


def load_by_notice(notice: Notice) -> None:
    """Starts each job that takes the file, where its content is new."""
    if notice.size == 0 or (notice.size is None and notice.key.endswith("/")):  # the latter: a folder of a console
        logger.info("not loaded before it has content", key=notice.key)
        return
    takers = _takers(notice)
    if not takers:
        _refuse(notice)
    for job in takers:
        _load(job, notice)


def load_job(wanted: LoadFiles) -> None:
    """Starts the job whose new files were found. A job that is gone meanwhile is none."""
    job = file_jobs.find(wanted.workflow_id, wanted.job_id)
    if job is not None:
        _start(job, wanted.new_run_id, SWEEP)


def give_up_file(notice: Notice, problem: str) -> None:
    """Tells that a file's notice came to nothing; the sweep looks for the file."""
    runs.reject(_refused_id(notice), LANDING, [{"field": notice.key, "problem": problem}])


def _takers(notice: Notice) -> list[FileJob]:
    done, failed = each_alone(file_jobs.all_jobs(), file_jobs.job_of)
    takers = [job for _, job in done if takes(job, notice.bucket, notice.key)]
    if failed and not takers:  # it may be one of those
        raise failed[0].error
    return takers


def _load(job: FileJob, notice: Notice) -> None:
    state = read_state(job.source_key)
    if leases.holds_up(state):
        file_jobs.make_due(job)
        logger.info("a batch is under way; looked for after it", job=job.name, key=notice.key)
        return
    file = FileVersion(bucket=notice.bucket, key=notice.key, etag=notice.etag or "", size=notice.size or 0)
    before = taken_version(state, file)
    if before is not None and before.file.is_same_content(file):
        logger.info("loaded already", job=job.name, key=notice.key, run_id=before.run_id)
        return
    identity = (notice.bucket, notice.key, notice.version or "", notice.etag or "", notice.sequencer or "")
    run_id = run_id_of_delivery("landing", job.source_key, str(state.generation), *identity)
    _start(job, run_id, LANDING)


def _start(job: FileJob, run_id: str, trigger: str) -> None:
    is_open = runs.is_open(run_id)
    if is_open and not outbox.kept(run_id)[0]:
        return
    # A run that is open had begun; it may have had its turn, too, and one that began again would hold the next ones up.
    if not is_open and not file_jobs.begin(job, run_id):
        logger.info("another run of the job begins; looked for after it", job=job.name, run_id=run_id)
        return
    try:
        submit(file_jobs.request_of(job), run_id, trigger)
    except (InvalidRequest, Fatal) as error:
        file_jobs.ended(job)
        logger.warning("request rejected", run_id=run_id, cause=str(error))


def _refuse(notice: Notice) -> None:
    name = notice.key.rpartition("/")[2]
    if name.startswith(MARKS):
        logger.info("no job takes it", key=notice.key)
        return
    runs.reject(_refused_id(notice), LANDING, [{"field": notice.key, "problem": _why_not(notice)}])
    logger.warning("no job takes it", key=notice.key)


def _why_not(notice: Notice) -> str:
    parts = notice.key.split("/")
    workflow, job = (*parts[1:3], "", "")[:2] if len(parts) > 3 else ("", "")
    known = file_jobs.find(workflow, job) if workflow and job else None
    if known is not None:
        what = known.pattern or ", ".join(known.keys[:3])
        problem = f"job {known.name} takes {what} of bucket {known.bucket}, not this name"
        remedy = "Name the file so, or submit the job's request with a pattern that fits."
    else:
        where = f"job {workflow}/{job}" if job else "its job"
        problem = f"no job takes it: {where} is not known here"
        remedy = "Submit the job's request once (flowforge submit FILE): it then takes this file and those that follow."
    return f"s3://{notice.bucket}/{notice.key} was not loaded: {problem}. It stays where it is. {remedy}"


def _refused_id(notice: Notice) -> str:
    """One rejected run a day for the files of one folder: thousands may come before somebody looks."""
    folder = notice.key.rpartition("/")[0]
    return run_id_of_delivery("not taken", notice.bucket, folder, f"{datetime.now(UTC):%Y-%m-%d}")
