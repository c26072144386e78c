"""Requests that come as events: from the bus, and from files dropped under requests/ in the bucket (S3's or MinIO's notice).

Guarantees: a file starts one run however often its event comes, and a new run when it is dropped again; a file that holds a
password is replaced by a copy without it, older versions included; the copy starts nothing.
"""

import copy
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote_plus

from aws_lambda_powertools import Logger

from events.request import Connection, InvalidRequest
from flowforge.errors import Fatal, Wait
from flowforge.jobs.files import RequestFile, read_request_file, replace_by_redacted
from flowforge.jobs.submission import run_id_of_delivery, submit
from flowforge.state import runs
from flowforge.state.connections import to_reference

logger = Logger(service="flowforge")
PREFIX, SUFFIX = "requests/", ".json"


def accept(envelope: dict[str, Any], context: object) -> None:
    """Starts the run or runs that an envelope asks for. A request with mistakes is kept as a rejected run."""
    for where in _objects(envelope):
        file = read_request_file(**where)
        if file is not None:
            _accept_file(file)
    if envelope.get("detail-type") == "JobRequested":
        _submit(_request_of(envelope), _run_id(envelope), "bus")


def give_up(envelope: dict[str, Any]) -> str | None:
    """Keeps a request that never got through as a rejected run; returns the envelope without a password."""
    problem = [
        {"field": "(run)", "problem": "the request could not be taken; see the dead-letter queue for the reason"}
    ]
    if envelope.get("detail-type") != "JobRequested":
        return None
    runs.reject(_run_id(envelope), "bus", problem)
    redacted = copy.deepcopy(envelope)
    redact(_request_of(redacted))
    return json.dumps(redacted)


def redact(document: Any) -> None:
    """Takes the password out of a request, in place; a secret's id takes its place where the login can be stored."""
    try:
        connection = document["source_config"]["connection"]
        password = connection.pop("password", None)
    except (TypeError, KeyError, AttributeError):
        return
    if password is None:
        return
    try:
        reference = to_reference(Connection.model_validate({**connection, "password": password}))
    except ValueError:
        connection["password"] = "***"  # noqa: S105
    else:
        connection.pop("username", None)
        connection["secretId"] = reference.secret_id


def _accept_file(file: RequestFile) -> None:
    identity = (file.bucket, file.key, file.version or "", file.etag, file.modified)
    run_id = run_id_of_delivery(*identity)
    _submit(file.text, run_id, "object")
    replace_by_redacted(file, run_id, redact)


def _submit(document: Any, run_id: str, trigger: str) -> None:
    try:
        submit(document, run_id, trigger)
    except Wait:
        raise
    except (InvalidRequest, Fatal) as error:
        logger.warning("request rejected", run_id=run_id, cause=str(error))


def _run_id(envelope: dict[str, Any]) -> str:
    return run_id_of_delivery("bus", envelope.get("id") or json.dumps(envelope.get("detail"), sort_keys=True))


def _request_of(envelope: dict[str, Any]) -> Any:
    detail = envelope.get("detail", {})
    return detail["request"] if isinstance(detail, dict) and "request" in detail else detail


def _objects(envelope: dict[str, Any]) -> Iterator[dict[str, str | None]]:
    """The request files that an envelope tells of: EventBridge's form (raw keys), or S3's and MinIO's records (quoted keys)."""
    found = []
    if envelope.get("detail-type") == "Object Created":
        detail = envelope["detail"]
        found.append((detail["bucket"]["name"], detail["object"]["key"], detail["object"].get("version-id")))
    for record in envelope.get("Records", []):
        if "ObjectCreated" in record.get("eventName", ""):
            s3 = record["s3"]
            found.append((s3["bucket"]["name"], unquote_plus(s3["object"]["key"]), s3["object"].get("versionId")))
    for bucket, key, version in found:
        if key.startswith(PREFIX) and key.endswith(SUFFIX):
            yield {"bucket": bucket, "key": key, "version": version or None}
        else:
            logger.info("not a request file", key=key)
