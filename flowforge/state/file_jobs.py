"""The jobs that load files, each as it was last asked for: by what is kept here a file that arrives, or the sweep, starts them.

A job is one item of the register, which is small and read as a whole by the sweep, and its request, an item of its own. A
request for files holds no secret; it is kept as `jobs.keeping` has it.

Guarantees: of a job's runs that nobody asked for by hand one is begun at a time, until it has had its turn (`ended`) or
`BEGUN_SECONDS` have passed; what came meanwhile makes the job due, so that it is looked at again.
"""

import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from pydantic import BaseModel, Field

from flowforge.aws import items
from flowforge.aws.compact import pack, unpack
from flowforge.domain.errors import UnreadableRecord, unreadable
from flowforge.runtime.settings import settings

REGISTER = "FILE_JOBS"  # partition: one item for each job
REQUEST = "REQUEST"
VERSION = 1  # of the items; a reader takes those up to its own
BEGUN_SECONDS = 60  # a queued run lists its files within, mostly
_IS_THERE = "attribute_exists(pk)"


class FileJob(BaseModel):
    """Where a job's files are and what they become. Exactly one of `keys` and `pattern` is given; `contract` is a digest of how
    they are read, `adds_only` tells that no row replaces another; `due_at` is when the sweep
    looks for new ones, `begun_at` when a run was begun that has not had its turn yet, in seconds of the epoch; `seen` is a
    digest of files among which nothing was new."""

    version: int = VERSION
    workflow: str
    job: str
    bucket: str
    keys: list[str] = Field(default_factory=list)
    pattern: str = ""
    source_key: str
    contract: str = ""
    adds_only: bool = False
    due_at: float = 0
    begun_at: float = 0
    begun_run: str = ""
    seen: str = ""

    @property
    def name(self) -> str:
        """Workflow and job, as people write them."""
        return f"{self.workflow}/{self.job}"


def keep(job: FileJob, document: dict[str, Any]) -> None:
    """Keeps a job's request in place of the one before. Raises StoreUnavailable, and TooLarge for one that no item holds."""
    table, fields = settings().watermarks_table, job.model_dump(exclude={"due_at", "begun_at", "begun_run", "seen"})
    kept = {**_request_key(job.workflow, job.job), "version": VERSION, "document": pack(document)}
    items.put(table, kept)
    expression = ", ".join(f"#{name} = :{name}" for name in fields)
    values = {f":{name}": value for name, value in fields.items()}
    names = {name: name for name in fields}
    items.update(table, _key(job.workflow, job.job), f"SET {expression}", values, None, **names)


def find(workflow: str, job: str) -> FileJob | None:
    """The job of this name; None where none was accepted. Raises UnreadableRecord."""
    found = items.get(settings().watermarks_table, _key(workflow, job))
    return job_of(found) if found else None


def all_jobs() -> Iterator[items.Item]:
    """Every job as it is stored, in the order of their names."""
    return items.query(settings().watermarks_table, "pk = :pk", {":pk": REGISTER})


def job_of(item: items.Item) -> FileJob:
    """A job from its stored form. Raises UnreadableRecord."""
    try:
        if item["version"] > VERSION:
            raise ValueError(f"it is of version {item['version']}")
        return FileJob.model_validate(item)
    except (ValueError, TypeError, KeyError) as error:
        raise _unreadable(f"job {item.get('sk')} of files", error) from error


def request_of(job: FileJob) -> dict[str, Any]:
    """The request that the job was last asked for with. Raises UnreadableRecord."""
    found = items.get(settings().watermarks_table, _request_key(job.workflow, job.job))
    try:
        if found is None or found["version"] > VERSION:
            raise ValueError("there is none" if found is None else f"it is of version {found['version']}")
        return unpack(found["document"])
    except (ValueError, TypeError, KeyError) as error:
        raise _unreadable(f"the request of job {job.name}", error) from error


def make_due(job: FileJob, at: float = 0) -> None:
    """Has the sweep look at the job from then on, at once where no time is given."""
    items.update(settings().watermarks_table, _key(job.workflow, job.job), "SET due_at = :at", {":at": at}, _IS_THERE)


def note_seen(job: FileJob, digest: str) -> None:
    """Remembers files among which nothing was new by a digest of them, and of what they were held against."""
    key = _key(job.workflow, job.job)
    items.update(settings().watermarks_table, key, "SET seen = :seen", {":seen": digest}, _IS_THERE)


def begin(job: FileJob, run_id: str) -> bool:
    """Begins a run of the job; False where another one has not had its turn yet: the job is then due."""
    now = time.time()
    free = "attribute_not_exists(begun_at) OR begun_at < :before OR begun_run = :run"
    values = {":now": now, ":before": now - BEGUN_SECONDS, ":run": run_id}
    key, expression = _key(job.workflow, job.job), "SET begun_at = :now, begun_run = :run"
    if items.update(settings().watermarks_table, key, expression, values, f"{_IS_THERE} AND ({free})"):
        return True
    make_due(job)
    return False


def ended(job: FileJob) -> None:
    """Lets the next run begin: what was begun has had its turn, or what it has not seen is about to be looked for."""
    key = _key(job.workflow, job.job)
    items.update(settings().watermarks_table, key, "REMOVE begun_at, begun_run", {}, _IS_THERE)


def _unreadable(what: str, error: Exception) -> UnreadableRecord:
    remedy = "Submit the job's request again, which writes it anew; or deploy the newer version that wrote it."
    return unreadable(what, error, remedy)


def _key(workflow: str, job: str) -> items.Item:
    return {"pk": REGISTER, "sk": _name(workflow, job)}


def _request_key(workflow: str, job: str) -> items.Item:
    return {"pk": f"JOB#{_name(workflow, job)}", "sk": REQUEST}


def _name(workflow: str, job: str) -> str:
    """Both names, so that no two jobs share it: a slash of theirs is escaped."""
    return f"{quote(workflow, safe=' ')}/{quote(job, safe=' ')}"
