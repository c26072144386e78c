"""submit_job: takes a job request from the API, from the bus or from a file under requests/ in the lake's
bucket; and starts the job that takes a file under landing/; keeps and runs templates; puts small files for jobs."""

from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body, Query

from events.api.base import Cursor
from events.api.files import StoredFile, Upload
from events.api.runs import AcceptedRun, JobDocument
from events.api.templates import (
    MOST_TEMPLATES,
    NewTemplate,
    ShownTemplate,
    TemplateInShort,
    TemplateLimit,
    TemplateRun,
    Templates,
)
from flowforge.aws.message import is_http, process_envelopes
from flowforge.domain.run_ids import new_run_id
from flowforge.jobs import delivery, templates, uploads
from flowforge.jobs.keeping import kept_message
from flowforge.jobs.submission import submit
from flowforge.runtime.entry_point import entry_point
from flowforge.runtime.http import Name, resolver, told

app = resolver()


@app.post("/api/workflows/<id>/run", status_code=202)
def run(id: Name, body: Annotated[JobDocument, Body()]) -> AcceptedRun:
    """Starts a run; the run exists before the answer."""
    return _started(body, id)


@app.get("/api/templates")
def list_templates(
    limit: Annotated[TemplateLimit, Query()] = MOST_TEMPLATES, cursor: Annotated[Cursor, Query()] = None
) -> Templates:
    """A page of the workflows that are shipped as files or saved by people."""
    return told(templates.list_templates(limit, cursor))


@app.get("/api/templates/<name>")
def get_template(name: Name) -> ShownTemplate:
    """One of them, with its job request, whose connection is left open."""
    return told(templates.show_template(name))


@app.put("/api/templates/<name>")
def put_template(name: Name, body: Annotated[NewTemplate, Body()]) -> TemplateInShort:
    """Saves a job request as a template, in place of the one of that name."""
    return told(templates.save(name, body))


@app.delete("/api/templates/<name>", status_code=204)
def delete_template(name: Name) -> Response[str]:
    """Removes a template that was saved; one that is shipped stays."""
    templates.remove(name)
    return Response(204, content_type="application/json", body="")


@app.post("/api/templates/<name>/run", status_code=202)
def run_template(name: Name, body: Annotated[TemplateRun, Body()]) -> AcceptedRun:
    """Starts a run of one with a saved connection."""
    return _started(templates.filled(name, body.connectionId))


def _started(document: dict[str, Any], workflow: str | None = None) -> AcceptedRun:
    accepted = submit(document, new_run_id(), "http", workflow)
    return AcceptedRun(
        run_id=accepted.run_id,
        workflow_id=accepted.request.workflow_id,
        job_id=accepted.request.job_id,
        batch_id=accepted.batch_id,
        status="accepted",
        tables=accepted.tables,
    )


@app.post("/api/files", status_code=201)
def put_file(body: Annotated[Upload, Body()]) -> StoredFile:
    """Puts a small file where its job finds it."""
    return told(uploads.put(body))


@entry_point
def handler(event: dict, context: Any) -> dict:
    """The function's entry point: an HTTP call, or queued envelopes of the bus, S3 and MinIO."""
    if is_http(event):
        return app.resolve(event, context)
    return process_envelopes(event, context, "submit", delivery.accept, delivery.give_up, kept_message)
