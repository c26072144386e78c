"""Counts the calls that the embedded AWS answers, by service and operation, and shows them under `/_local/calls`.

A WSGI layer around moto's application: what is counted is what arrived, whichever SDK sent it. Services are read from the
request's signature, operations from its target header; S3 has no such header, so its operation follows from method and query.
`/_local/calls?by=caller` shows them for each caller apart: the function whose application id is in the user agent, or "".
"""

import json
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qs

PATH = "/_local/calls"
NAMES = {"dynamodb": "DynamoDB", "sqs": "SQS", "events": "EventBridge", "secretsmanager": "Secrets Manager", "s3": "S3"}
_SCOPE = re.compile(r"Credential=[^/]+/\d{8}/[^/]+/([^/]+)/aws4_request")
_BY_QUERY = {  # what a query parameter makes of a method; the first that is there counts
    ("GET", "list-type"): "ListObjectsV2",
    ("GET", "versions"): "ListObjectVersions",
    ("POST", "uploads"): "CreateMultipartUpload",
    ("POST", "uploadId"): "CompleteMultipartUpload",
    ("PUT", "uploadId"): "UploadPart",
    ("DELETE", "uploadId"): "AbortMultipartUpload",
    ("POST", "delete"): "DeleteObjects",
}
_BY_METHOD = {"GET": "GetObject", "HEAD": "HeadObject", "PUT": "PutObject", "DELETE": "DeleteObject"}

_CALLER = re.compile(r"\bapp/(\S+)")

Application = Callable[[dict[str, Any], Callable], Iterable[bytes]]


class CountedCalls:
    """The application, counting."""

    def __init__(self, application: Application) -> None:
        self._application, self._lock = application, threading.Lock()
        self._calls: Counter[tuple[str, str]] = Counter()  # (caller, operation)

    def __call__(self, environ: dict[str, Any], start_response: Callable) -> Iterable[bytes]:
        if environ["PATH_INFO"] == PATH:
            body = json.dumps(self._shown("by=caller" in environ.get("QUERY_STRING", ""))).encode()
            start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
            return [body]
        with self._lock:
            self._calls[caller_of(environ), operation_of(environ)] += 1
        return self._application(environ, start_response)

    def _shown(self, by_caller: bool) -> dict[str, Any]:
        with self._lock:
            counted = list(self._calls.items())
        callers: dict[str, Counter[str]] = {}
        for (caller, operation), count in counted:
            callers.setdefault(caller, Counter())[operation] += count
        return callers if by_caller else sum(callers.values(), Counter())


def caller_of(environ: dict[str, Any]) -> str:
    """The application id that a request's user agent names (`AWS_SDK_UA_APP_ID`); empty where it names none."""
    found = _CALLER.search(environ.get("HTTP_USER_AGENT", ""))
    return found[1] if found else ""


def operation_of(environ: dict[str, Any]) -> str:
    """`service operation` of a request, such as `DynamoDB GetItem`."""
    scope = _SCOPE.search(environ.get("HTTP_AUTHORIZATION", ""))
    service = scope[1] if scope else "unsigned"
    target = environ.get("HTTP_X_AMZN_TARGET") or environ.get("HTTP_X_AMZ_TARGET")
    name = target.rpartition(".")[2] if target else _s3_operation(environ)
    return f"{NAMES.get(service, service)} {name}"


def _s3_operation(environ: dict[str, Any]) -> str:
    method, query = str(environ["REQUEST_METHOD"]), parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True)
    named = (name for (of, parameter), name in _BY_QUERY.items() if of == method and parameter in query)
    return next(named, _BY_METHOD.get(method, method))
