"""A job of files that was asked for once, whose files come with notices; its loads are claimed and landed by hand."""

from datetime import datetime
from typing import Any

import pytest

from events.envelopes import http, s3_object_created, sqs
from events.files import FileContract
from events.targets import FilePlace, SourceFiles
from flowforge.domain.batch import Batch
from flowforge.domain.file_version import FileVersion
from flowforge.domain.given import given
from flowforge.domain.interval import Interval
from flowforge.domain.source_key import SourceKey
from flowforge.operations.file_sweep import sweep_files
from flowforge.state import batches, claims, file_jobs, file_ledger
from flowforge.state.file_jobs import FileJob
from flowforge.state.table import read_state
from functions.submit_job.handler import handler
from tests.helpers.batches import manifest
from tests.helpers.commands import command
from tests.helpers.function_calls import Context


@pytest.fixture
def submit_queues(aws, monkeypatch):
    """This process has the queues of submit_job."""
    aws.use("SubmitQueue", "SubmitDeadLetters", monkeypatch)


class NoticedJob:
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
        self.ask()

    def ask(self) -> None:
        """Submits the request, as it is now."""
        post = http("POST", f"/api/workflows/{self.name}/run", "/api/workflows/{id}/run", self.document)
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

    def put_at(self, name: str) -> datetime | None:
        """Last-Modified of a file; None for one that is not there."""
        pages = self.aws.client("s3").list_objects_v2(Bucket=self.bucket, Prefix=self.folder(name))
        return next((found["LastModified"] for found in pages.get("Contents", [])), None)

    def delete(self, name: str) -> datetime | None:
        """Deletes a file and returns its Last-Modified."""
        before = self.put_at(name)
        self.aws.client("s3").delete_object(Bucket=self.bucket, Key=self.folder(name))
        return before

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

    def queued(self) -> list[dict[str, Any]]:
        """The commands that were queued meanwhile."""
        found = [message["body"] for message in self.aws.messages("IngestQueue")]
        return [body for body in found if body["workflow_id"] == self.name]

    def begun(self) -> list[str]:
        """The runs that were queued meanwhile."""
        return [command["run_id"] for command in self.queued()]

    def asked(self) -> list[dict[str, Any]]:
        """What the sweep has asked for meanwhile."""
        found = [message["body"] for message in self.aws.messages("SubmitQueue")]
        return [body for body in found if body.get("workflow_id") == self.name]

    def swept(self) -> list[dict[str, Any]]:
        """What the sweep asks for, now that the job's time has come."""
        file_jobs.make_due(self.job)
        _, failures = sweep_files()
        assert [failure.error for failure in failures if self.name in failure.thing] == []
        return self.asked()


def send(context, *notices) -> None:
    """Hands notices, or what the sweep asked for, to submit_job."""
    assert handler(sqs(*notices), context) == {"batchItemFailures": []}
