"""Which job takes a file, by its name alone."""

from flowforge.sources.files.listing import fits
from flowforge.state.file_jobs import FileJob

MARKS = ("_", ".")  # names that tools leave beside files, such as _SUCCESS


def takes(job: FileJob, bucket: str, key: str) -> bool:
    """Whether a file is one of the job's."""
    return job.bucket == bucket and (fits(job.pattern, key) if job.pattern else key in job.keys)
