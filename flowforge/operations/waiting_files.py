"""Files that lie below landing/ and are not loaded: since when, and why.

Reading changes nothing. Files come in the order of their keys; a page looks at so many files of the bucket, and says where it
has ended.
"""

from collections.abc import Iterator
from itertools import islice
from os.path import commonprefix
from typing import Any

from events.request.files import LANDING
from flowforge.aws.stored_files import list_files
from flowforge.domain.alone import each_alone
from flowforge.domain.batch import Batch
from flowforge.domain.errors import NotFound
from flowforge.domain.file_version import FileVersion
from flowforge.jobs.file_names import MARKS, takes
from flowforge.runtime.pages import cursor_of, fitting, place_of
from flowforge.runtime.settings import settings
from flowforge.sources.files.listing import WILD
from flowforge.state import file_jobs, leases
from flowforge.state.batch_records import find_batch
from flowforge.state.file_jobs import FileJob
from flowforge.state.file_ledger import newest_taken
from flowforge.state.file_refusals import Refusal, refusals
from flowforge.state.table import read_state

MOST_LOOKED = 1_000  # files of the bucket, for one page
Report = dict[str, Any]


def list_waiting(limit: int, name: str | None = None, cursor: str | None = None) -> dict[str, Any]:
    """At most `limit` files that wait, of all or of one job (workflow/job, or its bronze table); `next` is there where others may
    follow. Raises NotFound, and InvalidRequest for a cursor that is none."""
    place = place_of(cursor, 1)
    done, failed = each_alone(file_jobs.all_jobs(), file_jobs.job_of)
    jobs = [job for _, job in done]
    own = jobs if name is None else [job for job in jobs if _is_named(job, name)]
    if name is not None and not own:
        known = ", ".join(sorted(job.name for job in jobs)[:20]) or "none yet"
        raise NotFound(f"no job of files {name!r}", f"Jobs whose request was accepted: {known}.")
    bucket = settings().bucket
    starts = [LANDING] if name is None else [start for job in own for start in _starts(job)]
    prefix = commonprefix(starts)  # noqa: RUF071  of keys, which are no paths
    looked = list(islice(list_files(bucket, prefix, place[0] if place else ""), MOST_LOOKED + 1))
    files = looked[:MOST_LOOKED]
    reports = {key: one for job in own for key, one in _of_job(job, [f for f in files if takes(job, f.bucket, f.key)])}
    if name is None and not failed:
        reports |= {
            one.key: _not_taken(one) for one in files if not any(takes(job, one.bucket, one.key) for job in jobs)
        }
    waiting = [reports[one.key] | {"key": one.key} for one in files if one.key in reports]
    shown = fitting(waiting[:limit])
    ended = shown[-1]["key"] if len(shown) < len(waiting) else files[-1].key if len(looked) > MOST_LOOKED else ""
    notes = [f"job {one.thing['sk']} cannot be read: {one.error}" for one in failed]
    told = [{field: value for field, value in one.items() if field != "key"} for one in shown]
    return {"files": told, "notes": notes, **({"next": cursor_of(ended)} if ended else {})}


def _is_named(job: FileJob, name: str) -> bool:
    return name.lower() in (job.name.lower(), f"{job.workflow}.{job.job}".lower(), _table_of(job).lower())


def _table_of(job: FileJob) -> str:
    return job.source_key.rpartition(">")[2]


def _starts(job: FileJob) -> list[str]:
    wild = WILD.search(job.pattern)
    return job.keys or [job.pattern[: wild.start()] if wild else job.pattern]


def _of_job(job: FileJob, files: list[FileVersion]) -> Iterator[tuple[str, Report]]:
    """Those of a job's files that its table has not taken as they are."""
    if not files:
        return
    state = read_state(job.source_key)
    taken = {one.file.place: one.file for one in newest_taken(state, files, [])}
    waiting = [one for one in files if one.place not in taken or not taken[one.place].is_same_content(one)]
    if not waiting:
        return
    active = find_batch(job.source_key, state.generation, state.active) if state.active is not None else None
    held = state.active is not None and (active is None or leases.goes_on(active))
    there = {file.place: file for file in waiting}
    refused = {
        one.file.place: one
        for one in refusals(job.source_key)
        if one.contract in ("", job.contract)
        and (file := there.get(one.file.place))
        and one.file.is_same_content(file)  # of a mended file it holds nothing up any more
    }
    for file in waiting:
        since, why = file.modified, "it is new: the job's next run loads it"
        if not file.size:
            why = "it has no content yet (0 bytes)"
        elif found := refused.get(file.place):
            since, why = found.at, _refused_before(found)
        elif active is not None and any(one.is_same_content(file) for one in active.interval.files):
            why = _of_batch(active, held)
        elif held:
            why = f"batch {state.active} of its table is under way: it is looked for after that"
        elif not job.adds_only and (ahead := next(iter(refused.values()), None)):
            why = f"{ahead.file.address} was refused, and the order counts"
        yield file.key, _report(file, job, since, why)


def _of_batch(batch: Batch, goes_on: bool) -> str:
    run = batch.command.run_id
    if goes_on:
        return f"batch {batch.seq} of run {run} loads it"
    again = f"flowforge replay --run {run} tries again, and so does the job's next run"
    return f"run {run}, which was to load it, was given up: {again}"


def _refused_before(found: Refusal) -> str:
    return f"run {found.run_id} has refused it, and it has not changed since: {found.reason}"


def _not_taken(file: FileVersion) -> Report:
    if file.key.rpartition("/")[2].startswith(MARKS):
        return _report(file, None, file.modified, "no job takes it: names that begin with _ or . are left alone")
    parts = file.key.split("/")
    job = f"job {parts[1]}/{parts[2]}" if len(parts) > 3 else "its job"
    why = f"no job takes it: submit the request of {job} once, with a pattern that fits its name"
    return _report(file, None, file.modified, why)


def _report(file: FileVersion, job: FileJob | None, since: str, why: str) -> Report:
    of = {"job": job.name if job else None, "table": _table_of(job) if job else None}
    told = {"etag": file.etag, "size": file.size, "modified": file.modified, "since": since, "reason": why}
    return {"file": file.address, **of, "state": "waiting", **told}
