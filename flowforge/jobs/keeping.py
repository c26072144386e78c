"""What is kept of a request: in the bucket, in the dead-letter queue.

Guarantees: a valid inline login goes into the secret store and its id takes its place, so that what is kept can start the
run once more; where that is not to be, or fails, the password is gone. What cannot be read is not kept.
"""

import hashlib
import json
from typing import Any

from aws_lambda_powertools import Logger

from events.dispatch import (
    COMPARE_KEYS,
    JOB_REQUESTED,
    LOAD_FILES,
    OBJECT_CREATED,
    OBJECT_RECORDS,
    START_WORKFLOW,
    type_of,
)
from events.documents import Unreadable, read_json
from events.redaction import redacted
from events.request import DatabaseSource, InvalidRequest, JobRequest, as_today, parse_job_request
from flowforge.domain.errors import FlowForgeError
from flowforge.jobs.request_files import NOT_KEPT
from flowforge.state.connections import to_reference

logger = Logger(service="flowforge")
MOST_CHARACTERS = 200_000  # a message holds 256 KB
ENVELOPE = ("version", "id", "detail-type", "source", "account", "time", "region", "resources")


def kept_request(document: dict[str, Any], request: JobRequest | None) -> dict[str, Any]:
    """A parsed document as it may be kept, in today's form. `request` is what it was read as: its inline login is stored; without
    it, taken out.

    Raises StoreUnavailable when the login cannot be stored.
    """
    kept = redacted(as_today(document)[0], JobRequest, everywhere=request is None)
    source = request.source_config if request else None
    connection = source.connection if isinstance(source, DatabaseSource) else None
    if connection is not None and connection.password is not None:
        reference = to_reference(connection)
        place = kept["source_config"]["connection"]
        del place["username"], place["password"]
        place["secretId"] = reference.secret_id
    return kept


def kept_message(text: str, store_login: bool = True) -> str:
    """A message of the submit queue as it may lie in the dead-letter queue; total, whatever the text is."""
    try:
        envelope = read_json(text)
    except Unreadable as error:
        return _note(text, str(error))
    if not isinstance(envelope, dict):
        return _note(text, "expected an envelope")
    if type_of(envelope) != JOB_REQUESTED:
        return (
            text if holds_no_request(envelope) else _note(text, "expected a JobRequested event, or a notice of a file")
        )
    kept = {name: envelope[name] for name in ENVELOPE if name in envelope}
    kept["detail"] = {"request": _kept_of_bus(request_of(envelope), store_login)}
    kept_text = json.dumps(kept)
    return kept_text if len(kept_text) <= MOST_CHARACTERS else _note(text, "larger than a message may be")


def request_of(envelope: dict[str, Any]) -> Any:
    """The request in a JobRequested event: its detail, or what is under `request` there; an object or JSON text."""
    detail = envelope.get("detail", {})
    return detail["request"] if isinstance(detail, dict) and "request" in detail else detail


def holds_no_request(envelope: dict[str, Any]) -> bool:
    """Whether an envelope tells of a file (EventBridge's form, or S3's and MinIO's records), or names a job
    or workflow that is kept."""
    return type_of(envelope) in (OBJECT_CREATED, OBJECT_RECORDS, LOAD_FILES, START_WORKFLOW, COMPARE_KEYS)


def _kept_of_bus(given: Any, store_login: bool) -> Any:
    try:
        document = read_json(given) if isinstance(given, str) else given
    except Unreadable as error:
        return json.loads(_note(given, str(error)))
    if not isinstance(document, dict):
        return json.loads(_note(json.dumps(document), "expected a JSON object"))
    try:
        request = parse_job_request(document) if store_login else None
        return kept_request(document, request)
    except InvalidRequest:
        pass
    except FlowForgeError as error:
        logger.warning("the login of a request that was given up is not kept", cause=str(error))
    return kept_request(document, None)


def _note(text: str, problem: str) -> str:
    content = text.encode(errors="backslashreplace")
    reason = [{"field": "(message)", "problem": problem}]
    return json.dumps(
        {NOT_KEPT: {"reason": reason, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}}
    )
