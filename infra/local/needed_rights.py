"""Which rights each function's calls of the embedded AWS need: in the folder FLOWFORGE_RECORD_RIGHTS, where it is set.

A right is an IAM action on a resource, with what IAM's conditions can ask of it: a listing's prefix, an item's leading key. The
rights of an operation are those of AWS's Service Authorization Reference: a transaction needs those of its parts, a batch of
messages that of one, and an object that is not there the right to list, or S3 answers 403 in place of 404. Calls alike, of other
rows, tables or files, are recorded once. tests/helpers/permissions.py compares them with what the template allows.
"""

import json
import os
import re
import threading
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote

from infra.local.aws_calls import Application, caller_of, operation_of
from infra.local.signatures import body_of
from infra.local.template import ACCOUNT, REGION

FOLDER = "FLOWFORGE_RECORD_RIGHTS"
PREFIX, LEADING_KEYS = "s3:prefix", "dynamodb:LeadingKeys"


class Right(NamedTuple):
    """What one call needs: an action on a resource; `context` holds the condition keys that the call has."""

    action: str
    resource: str
    context: dict[str, str]


class RecordedRights:
    """The application; what its callers need is appended to a file of this process, one JSON object a line."""

    def __init__(self, application: Application, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._application, self._lock = application, threading.Lock()
        self._file, self._known = folder / f"{uuid.uuid4().hex}.jsonl", set[tuple[str, ...]]()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        caller = caller_of(environ)
        if not caller:
            return self._application(environ, start_response)
        needed = list(rights_of(environ))

        def started(status: str, *rest: Any) -> Any:
            if status.startswith("404") and environ["REQUEST_METHOD"] in ("GET", "HEAD"):
                needed.extend(Right("s3:ListBucket", bucket_of(right), {}) for right in needed if is_object(right))
            return start_response(status, *rest)

        answer = self._application(environ, started)
        self._note(caller, needed)
        return answer

    def _note(self, caller: str, needed: list[Right]) -> None:
        with self._lock, self._file.open("a", encoding="utf-8") as lines:
            for right in needed:
                asked = (kind_of(value, 1) for value in right.context.values())
                alike = (caller, right.action, kind_of(right.resource, 2), *asked)
                if alike not in self._known:
                    self._known.add(alike)
                    lines.write(json.dumps({"caller": caller, **right._asdict()}) + "\n")


def recording(application: Application) -> Application:
    """The application, recorded where the environment names a folder."""
    folder = os.environ.get(FOLDER)
    return RecordedRights(application, Path(folder)) if folder else application


def is_object(right: Right) -> bool:
    """Whether a right is one to read an object, or a version of it."""
    return right.action in ("s3:GetObject", "s3:GetObjectVersion")


def bucket_of(right: Right) -> str:
    """The bucket of a right to an object, as a resource."""
    return right.resource.partition("/")[0]


def kind_of(name: str, parts: int) -> str:
    """A resource or key up to so many parts, without what tells tables, runs and secrets apart: what no policy asks for."""
    found = [re.sub(r"[0-9a-f]{8,}|\d+", "N", part) for part in name.partition("#")[0].split("/")]
    return "/".join([*found[:parts], *(part for part in found[parts:] if part in {"index", "_delta_log"})])


def rights_of(environ: dict[str, Any]) -> Iterator[Right]:
    """The rights that a request needs; nothing of what is no call of a service."""
    service, _, operation = operation_of(environ).rpartition(" ")
    if service == "S3":
        yield from _of_objects(environ, operation)
        return
    told = json.loads(body_of(environ) or b"{}") if environ.get("HTTP_X_AMZ_TARGET") else {}
    reader = {"DynamoDB": _of_items, "SQS": _of_messages, "EventBridge": _of_events, "Secrets Manager": _of_secrets}
    if service in reader:
        yield from reader[service](operation, told)


def _of_items(operation: str, told: dict[str, Any]) -> Iterator[Right]:
    if operation in ("TransactWriteItems", "TransactGetItems"):
        parts = {"Put": "PutItem", "Update": "UpdateItem", "Delete": "DeleteItem", "Get": "GetItem"}
        for item in told["TransactItems"]:
            for kind, part in item.items():
                yield from _of_items(parts.get(kind, "ConditionCheckItem"), part)
    elif operation in ("BatchWriteItem", "BatchGetItem"):
        for table in told["RequestItems"]:
            yield Right(f"dynamodb:{operation}", _arn("dynamodb", f"table/{table}"), {})
    else:
        index = f"/index/{told['IndexName']}" if "IndexName" in told else ""
        key = (told.get("Key") or told.get("Item") or {}).get("pk", {}).get("S")
        yield Right(
            f"dynamodb:{operation}",
            _arn("dynamodb", f"table/{told['TableName']}{index}"),
            {} if key is None else {LEADING_KEYS: key},
        )


def _of_messages(operation: str, told: dict[str, Any]) -> Iterator[Right]:
    if "QueueUrl" in told:
        yield Right(f"sqs:{operation.removesuffix('Batch')}", _arn("sqs", told["QueueUrl"].rpartition("/")[2]), {})


def _of_events(operation: str, told: dict[str, Any]) -> Iterator[Right]:
    for entry in told.get("Entries", []):
        bus = entry.get("EventBusName", "default").rpartition("/")[2]
        yield Right(f"events:{operation}", _arn("events", f"event-bus/{bus}"), {})


def _of_secrets(operation: str, told: dict[str, Any]) -> Iterator[Right]:
    name = told.get("SecretId") or told.get("Name") or ""
    yield Right(
        f"secretsmanager:{operation}", name if name.startswith("arn:") else _arn("secretsmanager", f"secret:{name}"), {}
    )


def _of_objects(environ: dict[str, Any], operation: str) -> Iterator[Right]:
    query = {
        name: found[0] for name, found in parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True).items()
    }
    bucket, _, key = unquote(environ["RAW_URI"].partition("?")[0]).lstrip("/").partition("/")
    version = "Version" if "versionId" in query else ""
    if not key and environ["REQUEST_METHOD"] in ("GET", "HEAD"):
        action = "ListBucketVersions" if "versions" in query else "ListBucket"
        yield Right(f"s3:{action}", f"arn:aws:s3:::{bucket}", {PREFIX: query["prefix"]} if "prefix" in query else {})
    elif operation == "DeleteObjects":
        for found in re.findall(rb"<Key>([^<]*)</Key>", body_of(environ)):
            yield Right("s3:DeleteObject", f"arn:aws:s3:::{bucket}/{found.decode()}", {})
    else:
        actions = {"HeadObject": f"GetObject{version}", "GetObject": f"GetObject{version}",
                   "DeleteObject": f"DeleteObject{version}", "AbortMultipartUpload": operation}  # fmt: skip
        if source := environ.get("HTTP_X_AMZ_COPY_SOURCE"):
            yield Right("s3:GetObject", f"arn:aws:s3:::{unquote(source).lstrip('/')}", {})
        yield Right(f"s3:{actions.get(operation, 'PutObject')}", f"arn:aws:s3:::{bucket}/{key}", {})


def _arn(service: str, name: str) -> str:
    return f"arn:aws:{service}:{REGION}:{ACCOUNT}:{name}"
