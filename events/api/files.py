"""What became of files; files that are put, or looked into."""

from typing import Annotated, Any, Literal

from pydantic import Field

from events.api.base import Answer, Page, unless_empty
from events.model import Request

MOST_UPLOAD_BYTES = 3_000_000  # in base64 it fits into a body
MOST_INSPECTED_BYTES = 16 * 2**20  # is looked through while the caller waits
PART = r"^[^/\x00-\x1f\x7f]+$"  # of a key

FileState = Annotated[
    Literal["waiting"] | None,
    Field(description="waiting: files below landing/ that are not loaded, in the order of their keys"),
    unless_empty(None),
]
FileLimit = Annotated[int, Field(ge=0, le=1000), unless_empty(50)]


class FileReport(Answer):
    """A version of a file and what became of it."""

    file: str
    table: str | None
    run_id: str | None
    state: str
    at: str | None
    rows: int
    rejected: int | None
    records: int | None
    first_rejected: Any
    reason: str | None = None
    rejects: list[dict[str, Any]] = Field(default=[], description="the first records that did not fit")
    rejects_at: str | None = Field(
        default=None,
        description="key, without .parquet, of the object with all records that did not fit, or of the folder of such objects",
    )
    protects: bool = Field(default=False, description="the table protects columns: no text of a record is to be shown")


class WaitingFile(Answer):
    """A file below landing/ that is not loaded, since when (ISO 8601), and why."""

    file: str
    job: str | None = Field(description="workflow/job; none where no job takes it")
    table: str | None
    state: Literal["waiting"]
    since: str
    reason: str
    etag: str
    size: int
    modified: str


class FileReports(Page):
    """Reports of files, newest first, or files that wait."""

    files: list[FileReport | WaitingFile]
    notes: list[str]


class Upload(Request):
    """A small file for a job: it starts by itself, as for a file that comes in any other way."""

    workflow_id: str = Field(max_length=200, pattern=PART)
    job_id: str = Field(max_length=200, pattern=PART)
    name: str = Field(max_length=255, pattern=PART)
    content: str = Field(description=f"its bytes in base64; {MOST_UPLOAD_BYTES:,} at most")


class StoredFile(Answer):
    """Where the file is now."""

    bucket: str
    key: str
    bytes: int


class InspectedFile(Answer):
    """What a file is, proposed from all of it, with the reasons; `source_config` is what a request says to read it so."""

    name: str
    size: int
    form: str
    found: list[dict[str, Any]]
    records: int
    columns: list[dict[str, Any]]
    rows: list[list[str | None]]
    irregular: int
    first_irregular: list[dict[str, Any]]
    notes: list[str]
    source_config: dict[str, Any]
