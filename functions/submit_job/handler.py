"""submit_job: takes a job request from the API, from the bus or from a file under requests/ in the lake's bucket."""

from typing import Any
from urllib.parse import unquote

from aws_lambda_powertools.event_handler import Response

from flowforge.aws.message import is_http, process_envelopes
from flowforge.jobs import delivery
from flowforge.jobs.keeping import kept_message
from flowforge.jobs.submission import new_run_id, submit
from flowforge.runtime.entry_point import entry_point
from flowforge.runtime.http import answer, json_body, resolver

app = resolver()


@app.post("/api/workflows/<workflow_id>/run")
def run(workflow_id: str) -> Response:
    """Starts a run; the run exists before the answer."""
    accepted = submit(json_body(app), new_run_id(), "http", unquote(workflow_id))
    body = {
        "run_id": accepted.run_id,
        "workflow_id": accepted.request.workflow_id,
        "job_id": accepted.request.job_id,
        "batch_id": accepted.batch_id,
        "status": "accepted",
        "tables": accepted.tables,
    }
    return answer(202, body)


@entry_point
def handler(event: dict, context: Any) -> dict:
    """The function's entry point: an HTTP call, or queued envelopes of the bus, S3 and MinIO."""
    if is_http(event):
        return app.resolve(event, context)
    return process_envelopes(event, context, "submit", delivery.accept, delivery.give_up, kept_message)
