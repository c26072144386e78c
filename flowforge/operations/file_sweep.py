"""Looks for files that no event told of, and for those that a batch has left for the next one.

A look at files among which nothing was new leaves their digest with the job: as long as neither they nor the batches change, the
next look lists them and asks for no entry of the ledger.

Guarantees: what is new decides the run that is asked for, so two sweeps ask for one, and files that were refused are not loaded
again before something of them changes. A job is put behind the others before it is looked at; one that fails stops no other. A
table whose batch is under way is left to the moment at which that is committed; one whose batch was given up is not.
"""

import hashlib
import json
import time
from collections.abc import Iterable, Iterator

from events.commands import LoadFiles
from flowforge.aws.clients import aws_errors, client
from flowforge.aws.message import logger
from flowforge.aws.stored_files import find_file
from flowforge.domain.alone import Failure, each_alone
from flowforge.domain.errors import FlowForgeError
from flowforge.domain.file_version import FileVersion
from flowforge.domain.run_ids import run_id_of_delivery
from flowforge.domain.source_key import SourceKey
from flowforge.runtime.settings import settings
from flowforge.sources.files.listing import find_new, matching_files, was_refused
from flowforge.state import file_jobs, leases, runs
from flowforge.state.file_jobs import FileJob
from flowforge.state.file_ledger import newest_taken, taken_files
from flowforge.state.file_listing import list_older, listed_sources
from flowforge.state.file_refusals import refused_versions
from flowforge.state.table import TableState, list_tables, read_state

LOOK_SECONDS = 300  # between two looks at a job of which no event told
LISTING_SECONDS = 5
SWEEP_SECONDS = 10  # the function that sweeps has 29, for all that it sweeps


def sweep_files(budget_seconds: float = SWEEP_SECONDS) -> tuple[int, list[Failure[str]]]:
    """Asks for a run of each job that is due and has new files, those first that wait longest; returns how many were asked for,
    and the jobs at which that failed."""
    end, asked = time.monotonic() + budget_seconds, 0
    failures: list[Failure[str]] = []
    for job in _due(failures):
        try:
            file_jobs.make_due(job, time.time() + LOOK_SECONDS)
            asked += _look(job)
        except Exception as error:
            failures.append(Failure(f"files of job {job.name}", error))
        if time.monotonic() > end:
            break
    return asked, failures


def list_older_files(budget_seconds: float = LISTING_SECONDS) -> list[Failure[str]]:
    """Brings files that a version before has taken or refused into the index by which they are listed, some at a time."""
    end, listed = time.monotonic() + budget_seconds, listed_sources()
    left = [item["sk"] for item in list_tables() if item["sk"].startswith("s3://") and item["sk"] not in listed]
    _, failures = each_alone(left, lambda source_key: list_older(source_key, end))
    return failures


def follow_up(source_key: str) -> None:
    """Once a batch is committed, or a run has found nothing: asks for a run where its job has left files, or has got some
    meanwhile. Raises nothing that is ours: what fails here is for the sweep."""
    key = SourceKey.parse(source_key)
    if not key.is_files:
        return
    job = None
    try:
        job = file_jobs.find(key.schema, key.table)
        if job is not None and job.source_key == source_key:
            file_jobs.ended(job)
            _look(job.model_copy(update={"begun_at": 0}))
    except FlowForgeError as error:
        if job is not None:
            file_jobs.make_due(job)
        logger.warning("files are looked for by the next sweep", source_key=source_key, cause=str(error))


def _due(failures: list[Failure[str]]) -> list[FileJob]:
    jobs, now = [], time.time()
    for item in file_jobs.all_jobs():
        try:
            jobs.append(file_jobs.job_of(item))
        except FlowForgeError as error:
            failures.append(Failure(f"files of job {item['sk']}", error))
    return sorted((job for job in jobs if job.due_at <= now), key=lambda job: (job.due_at, job.name))


def _look(job: FileJob) -> bool:
    """Asks for a run of the job if it has new files, and the run was not there before."""
    state = read_state(job.source_key)
    if leases.holds_up(state) or job.begun_at > time.time() - file_jobs.BEGUN_SECONDS:
        file_jobs.make_due(job)
        return False
    found = list(_files_of(job))
    seen = _seen(job, state, found)
    if seen == job.seen:
        return False
    of_ledger = taken_files(state, found) if state.active is None else newest_taken(state, found, [])
    taken = {entry.file.place: entry for entry in of_ledger}
    new = find_new(found, {place: entry.file for place, entry in taken.items()}).files
    if job.adds_only:  # elsewhere the order counts: the load says which file holds the others up
        refused = refused_versions(job.source_key, job.contract)
        new = [one for one in new if not was_refused(one.file, refused)]
    if not new:
        file_jobs.note_seen(job, seen)
        return False
    told = (_identity(one.file, taken[one.file.place].order if one.before else 0) for one in new)
    run_id = run_id_of_delivery("new files", job.source_key, str(state.generation), *told)
    if runs.is_open(run_id):
        return False
    wanted = LoadFiles(new_run_id=run_id, workflow_id=job.workflow, job_id=job.job)
    with aws_errors("SQS"):
        client("sqs").send_message(QueueUrl=settings().submit_queue_url, MessageBody=wanted.model_dump_json())
    return True


def _seen(job: FileJob, state: TableState, found: Iterable[FileVersion]) -> str:
    """A digest of all that decides whether a file is new: the files, and which batches the ledger can have taken."""
    digest = hashlib.sha256(
        json.dumps([state.epoch, state.generation, state.seq, job.contract, job.adds_only]).encode()
    )
    for one in found:
        digest.update(json.dumps([one.bucket, one.key, one.etag, one.size]).encode())
    return digest.hexdigest()


def _files_of(job: FileJob) -> Iterable[FileVersion]:
    return matching_files(job.bucket, job.pattern) if job.pattern else _named(job)


def _named(job: FileJob) -> Iterator[FileVersion]:
    """Those of a job's keys that are there; the load tells of one that is not."""
    for key in dict.fromkeys(job.keys):
        found = find_file(job.bucket, key)
        if found is not None:
            yield found


def _identity(file: FileVersion, before: int) -> str:
    """Content that was gone when its run looked for it, and is there again, asks for another run: by its Last-Modified."""
    return f"{file.address}\n{file.etag}\n{file.size}\n{file.modified}\n{before}"
