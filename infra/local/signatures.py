"""Calls of the embedded AWS that carry the stack's own signature, told apart from all others.

Guarantees: a request, or a presigned URL that is still valid, is answered if it is signed (Signature Version 4) with the key id
and secret that the server was started with; every other one gets 403 with AWS's own error code. The signature is computed anew by
botocore from what arrived. What is not looked at: the hash of an object's bytes, which S3 requests name themselves, and the age
of a request, as whoever could see one to send it again could read the keys as well.
"""

import hmac
import io
import json
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

ALGORITHM = "AWS4-HMAC-SHA256"
TIME = "%Y%m%dT%H%M%SZ"
# What is wrong -> AWS's code for it: S3's, the other services'.
CODES = {
    "unsigned": ("AccessDenied", "MissingAuthenticationTokenException"),
    "key": ("InvalidAccessKeyId", "UnrecognizedClientException"),
    "signature": ("SignatureDoesNotMatch", "InvalidSignatureException"),
    "expired": ("AccessDenied", "InvalidSignatureException"),
}
DRAINED_BYTES = 2**26
REMEDY = (
    "only requests that are signed with the stack's own keys are answered; they are in stack.json of its state folder"
)

Application = Callable[[dict[str, Any], Callable], Iterable[bytes]]


class Claim(NamedTuple):
    """What a request says of its signature. `expires` is the end of a presigned URL, else None."""

    key_id: str
    region: str
    service: str
    time: str
    signed: list[str]
    signature: str
    query: list[tuple[str, str]]
    expires: datetime | None


class SignedCallsOnly:
    """A WSGI application that answers who signs with these keys."""

    def __init__(self, application: Application, key_id: str, secret: str) -> None:
        self._application, self._credentials = application, Credentials(key_id, secret)

    def __call__(self, environ: dict[str, Any], start_response: Callable) -> Iterable[bytes]:
        claim = claimed(environ)
        problem = self._problem(environ, claim)
        return (
            self._application(environ, start_response) if problem is None else refuse(problem, environ, start_response)
        )

    def _problem(self, environ: dict[str, Any], claim: Claim | None) -> str | None:
        if claim is None:
            return "unsigned"
        if not _same(claim.key_id, self._credentials.access_key):
            return "key"
        if not _same(claim.signature, signature_of(environ, claim, self._credentials)):
            return "signature"
        return "expired" if claim.expires is not None and claim.expires < datetime.now(UTC) else None


def signature_of(environ: dict[str, Any], claim: Claim, credentials: Credentials) -> str:
    """The signature that a request should have."""
    for_s3 = S3SigV4Auth if claim.expires is None else S3SigV4QueryAuth  # the latter has no hash of the body
    signer = (for_s3 if claim.service == "s3" else SigV4Auth)(credentials, claim.service, claim.region)
    headers = {name: _header(environ, name) for name in claim.signed}
    url = f"http://{environ.get('HTTP_HOST', '')}{environ['RAW_URI'].partition('?')[0]}"
    request = AWSRequest(environ["REQUEST_METHOD"], url, headers, params=claim.query)
    request.context["timestamp"] = claim.time
    if "x-amz-content-sha256" not in request.headers and not isinstance(signer, S3SigV4QueryAuth):
        request.data = body_of(environ)
    canonical = signer.canonical_request(request)
    return str(signer.signature(signer.string_to_sign(request, canonical), request))


def claimed(environ: Mapping[str, Any]) -> Claim | None:
    """What a request's header, or its address, says of its signature; None where it is not signed by Version 4."""
    query = parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True)
    algorithm, _, rest = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    if algorithm == ALGORITHM:
        told = dict(part.strip().partition("=")[::2] for part in rest.split(","))
        time, expires = environ.get("HTTP_X_AMZ_DATE", ""), None
    else:
        told = {name.removeprefix("X-Amz-"): value for name, value in query if name.startswith("X-Amz-")}
        if told.get("Algorithm") != ALGORITHM:
            return None
        time, query = told.get("Date", ""), [pair for pair in query if pair[0] != "X-Amz-Signature"]
        expires = _end(time, told.get("Expires", ""))
        if expires is None:
            return None
    scope = told.get("Credential", "").split("/")
    if len(scope) != 5 or scope[1] != time[:8] or not told.get("SignedHeaders") or not told.get("Signature"):
        return None
    key_id, _, region, service, _ = scope
    return Claim(key_id, region, service, time, told["SignedHeaders"].split(";"), told["Signature"], query, expires)


def _end(begin: str, seconds: str) -> datetime | None:
    try:
        return datetime.strptime(begin, TIME).replace(tzinfo=UTC) + timedelta(seconds=int(seconds))
    except (ValueError, OverflowError):
        return None


def _header(environ: Mapping[str, Any], name: str) -> str:
    plain = name.upper().replace("-", "_")
    return environ.get(plain if plain in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{plain}", "")


def body_of(environ: dict[str, Any]) -> bytes:
    """The body, which the application reads again."""
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    environ["wsgi.input"] = io.BytesIO(body)
    return body


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(errors="replace"), other.encode())


def refuse(problem: str, environ: Mapping[str, Any], start_response: Callable) -> list[bytes]:
    """403 as S3 tells it, or as services that speak JSON do."""
    for_s3, for_others = CODES[problem]
    if environ.get("HTTP_X_AMZ_TARGET"):
        kind, text = "application/x-amz-json-1.0", json.dumps({"__type": for_others, "message": REMEDY})
    else:
        kind, text = "application/xml", f"<Error><Code>{for_s3}</Code><Message>{escape(REMEDY)}</Message></Error>"
    body = b"" if environ["REQUEST_METHOD"] == "HEAD" else text.encode()
    environ["wsgi.input"].read(
        min(int(environ.get("CONTENT_LENGTH") or 0), DRAINED_BYTES)
    )  # or the caller hears of no answer
    start_response(
        "403 Forbidden", [("Content-Type", kind), ("Content-Length", str(len(body))), ("Connection", "close")]
    )
    return [body]
