"""Counts the calls that the embedded AWS answers, by service and operation, and shows them under `/_local/calls`.

A WSGI layer around moto's application: what is counted is what arrived, whichever SDK sent it. Services are read from the
request's signature, operations from its target header; S3 has no such header, so its operation follows from method and query.
`/_local/calls?by=caller` shows them for each caller apart: the function whose application id is in the user agent, or "". It is
asked as any service is, by who has the server's keys (`ask_for_calls`).
"""

import json
import re
import threading
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qs

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

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


def ask_for_calls(url: str, access_key_id: str, secret_access_key: str, *, by_caller: bool = False) -> dict[str, Any]:
    """What the embedded AWS at this address has counted so far."""
    address = f"{url}{PATH}{'?by=caller' * by_caller}"
    asked = AWSRequest("GET", address)
    SigV4Auth(Credentials(access_key_id, secret_access_key), "local", "local").add_auth(asked)
    request = urllib.request.Request(address, headers=dict(asked.headers))  # noqa: S310  loopback
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
        return json.load(answer)


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
