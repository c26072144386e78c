"""Requests that come as events: from the bus, and from files dropped under requests/ in the bucket (S3's or MinIO's notice).
Files under landing/, and the sweep's orders, start jobs that are kept (`jobs.landing`); those of the clock, workflows that have a
schedule (`jobs.starts`); those of a load, comparisons of its table's keys (`jobs.comparisons`).

Guarantees: a file starts one run however often its notice comes, and a new run when it is dropped again. Before the run is
started, a file that holds a secret is replaced by a copy without it, older versions included, and one that cannot be read by
a note; so no error on the way leaves a password behind. The copy starts nothing, but lets the run be started by a later delivery.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import unquote_plus

from aws_lambda_powertools import Logger

from events.commands import CompareKeys, LoadFiles, StartWorkflow
from events.dispatch import (
    COMPARE_KEYS,
    JOB_REQUESTED,
    LOAD_FILES,
    OBJECT_CREATED,
    OBJECT_RECORDS,
    START_WORKFLOW,
    TEST_OF_NOTICES,
    UnknownMessage,
    read_message,
    type_of,
    unknown,
)
from events.documents import Unreadable, read_json
from events.request import InvalidRequest, parse_job_request
from events.request.files import LANDING
from flowforge.domain.errors import Fatal, FlowForgeError
from flowforge.domain.run_ids import run_id_of_delivery
from flowforge.jobs import landing
from flowforge.jobs.comparisons import compare_keys
from flowforge.jobs.keeping import kept_request, request_of
from flowforge.jobs.notice import Notice
from flowforge.jobs.request_files import NOT_KEPT, RequestFile, read_request_file, replace
from flowforge.jobs.starts import start_workflow
from flowforge.jobs.submission import submit
from flowforge.state import outbox, runs

logger = Logger(service="flowforge")
PREFIX, SUFFIX = "requests/", ".json"
TAKEN = (JOB_REQUESTED, LOAD_FILES, START_WORKFLOW, COMPARE_KEYS, OBJECT_CREATED, OBJECT_RECORDS, TEST_OF_NOTICES)
UNREADABLE_MESSAGE = "the request could not be taken; see the dead-letter queue for the reason"


def accept(envelope: dict[str, Any], context: object) -> None:
    """Starts the run or runs that an envelope asks for. A request with mistakes is kept as a rejected run.

    Raises UnknownMessage for an envelope that is neither a request nor a notice of a file.
    """
    kind = type_of(envelope)
    if kind == JOB_REQUESTED:
        return _submit(request_of(envelope), run_id_of_event(envelope), "bus")
    if kind == LOAD_FILES:
        return landing.load_job(read_message(envelope, LoadFiles))
    if kind == START_WORKFLOW:
        return start_workflow(read_message(envelope, StartWorkflow))
    if kind == COMPARE_KEYS:
        return compare_keys(read_message(envelope, CompareKeys))
    if kind not in TAKEN:
        raise unknown(kind, *TAKEN)
    for notice in _notices(envelope):
        if notice.key.startswith(LANDING):
            landing.load_by_notice(notice)
        elif (file := read_request_file(notice)) is not None:
            _accept_file(file)
    return None


def give_up(envelope: dict[str, Any]) -> None:
    """Keeps a request that never got through as a rejected run, and takes the secrets out of its files. Raises nothing: the
    message must leave its queue, in which its password is."""
    problem = [{"field": "(run)", "problem": UNREADABLE_MESSAGE}]
    if type_of(envelope) == JOB_REQUESTED:
        _try(lambda: runs.reject(run_id_of_event(envelope), "bus", problem))
    if type_of(envelope) in (START_WORKFLOW, COMPARE_KEYS) and (run_id := envelope.get("new_run_id")):
        _try(lambda: runs.reject(str(run_id), str(envelope.get("trigger") or "schedule"), problem))
    try:
        notices = list(_notices(envelope))
    except UnknownMessage:  # it names no file
        notices = []
    for notice in notices:
        if notice.key.startswith(LANDING):
            _try(lambda notice=notice: landing.give_up_file(notice, UNREADABLE_MESSAGE))
        else:
            _try(lambda notice=notice: _give_up_file(notice, problem))


def run_id_of_event(envelope: dict[str, Any]) -> str:
    """The run of a JobRequested event: the same whenever the event comes."""
    detail = envelope.get("detail")
    return run_id_of_delivery("bus", envelope.get("id") or json.dumps(detail, sort_keys=True))


def _accept_file(file: RequestFile) -> None:
    run_id = file.taken_by or _run_id(file)
    if file.taken_by and runs.is_open(run_id) and not outbox.kept(run_id)[0]:
        return
    document = None
    try:
        document = _read(file)
        request = parse_job_request(document)
    except InvalidRequest as error:
        try:
            runs.reject(run_id, "object", error.mistakes)
        finally:
            _replace(file, document, error.mistakes, run_id)
        logger.warning("request rejected", run_id=run_id, cause=str(error))
        return
    kept = kept_request(document, request)
    if kept != document:
        replace(file, kept, run_id)
    _submit(document, run_id, "object")


def _read(file: RequestFile) -> dict[str, Any]:
    """The file's document; raises InvalidRequest when it is none, or is the note that has taken the place of one."""
    if file.content is None:
        raise InvalidRequest([{"field": "(document)", "problem": f"a file of {file.size:,} bytes is no job request"}])
    try:
        document = read_json(file.content)
    except Unreadable as error:
        raise InvalidRequest([{"field": "(document)", "problem": str(error)}]) from None
    if not isinstance(document, dict):
        raise InvalidRequest([{"field": "(document)", "problem": "expected a JSON object"}])
    if file.taken_by and NOT_KEPT in document:
        raise InvalidRequest(document[NOT_KEPT]["reason"])
    return document


def _replace(file: RequestFile, document: dict[str, Any] | None, mistakes: list[dict[str, str]], run_id: str) -> None:
    """Leaves a refused file as it is where nothing in it is secret."""
    if document is None and file.taken_by:
        return
    kept = file.note(mistakes) if document is None else kept_request(document, None)
    if kept != document:
        replace(file, kept, run_id)


def _give_up_file(notice: Notice, problem: list[dict[str, str]]) -> None:
    file = read_request_file(notice)
    if file is None or file.taken_by:
        return
    run_id = _run_id(file)
    try:
        runs.reject(run_id, "object", problem)
    finally:
        try:
            document = _read(file)
        except InvalidRequest as error:
            _replace(file, None, error.mistakes, run_id)
        else:
            _replace(file, document, problem, run_id)


def _submit(document: Any, run_id: str, trigger: str) -> None:
    try:
        submit(document, run_id, trigger)
    except (InvalidRequest, Fatal) as error:
        logger.warning("request rejected", run_id=run_id, cause=str(error))


def _try(action: Callable[[], None]) -> None:
    try:
        action()
    except FlowForgeError as error:
        logger.error("giving up a request", cause=str(error))


def _run_id(file: RequestFile) -> str:
    return run_id_of_delivery(file.bucket, file.key, file.version or "", file.etag, file.modified)


def _notices(envelope: dict[str, Any]) -> Iterator[Notice]:
    """The request files, and the files for jobs, that an envelope tells of: EventBridge's form (raw keys), or S3's and MinIO's
    records (quoted keys).

    Raises UnknownMessage for a notice without a bucket or a key."""
    try:
        found = list(_all_notices(envelope))
    except (KeyError, TypeError, AttributeError) as error:
        raise UnknownMessage("a notice of an object that names no bucket or no key is not taken here") from error
    for notice in found:
        is_request = notice.key.startswith(PREFIX) and notice.key.lower().endswith(SUFFIX)
        if is_request or notice.key.startswith(LANDING):
            yield notice
        else:
            logger.info("not a request file", key=notice.key)


def _all_notices(envelope: dict[str, Any]) -> Iterator[Notice]:
    if type_of(envelope) == OBJECT_CREATED:
        bucket, told = envelope["detail"]["bucket"]["name"], envelope["detail"]["object"]
        version = told.get("version-id") or None
        yield Notice(bucket, told["key"], version, told.get("etag"), told.get("size"), told.get("sequencer"))
    for record in envelope["Records"] if type_of(envelope) == OBJECT_RECORDS else ():
        if "ObjectCreated" in record.get("eventName", ""):
            bucket, told = record["s3"]["bucket"]["name"], record["s3"]["object"]
            key, version = unquote_plus(told["key"]), told.get("versionId") or None
            yield Notice(bucket, key, version, told.get("eTag"), told.get("size"), told.get("sequencer"))
