"""The HTTP API as the command line sees it: JSON in, JSON out, refusals as `Failure`.

Requests to a loopback address pass no proxy; those to a local stack carry its token. Those to API Gateway are signed, or carry
the token that FLOWFORGE_TOKEN names.
"""

import ipaddress
from typing import Any
from urllib.parse import quote, urlsplit

import httpx

from flowforge.cli import keys
from flowforge.cli.failure import BAD_REQUEST, FAILED, UNREACHABLE, BadRequest, Failure

# API Gateway gives an answer up after 30 s; waiting a little longer shows its own message.
READ_SECONDS = 35.0
CONNECT_SECONDS = 10.0
# Too many requests, and what a gateway answers for a function that is not there at the moment.
_TRANSIENT = frozenset({429, 500, 502, 503, 504})


class Api:
    """A client of one API; a context manager. Every call raises Failure unless the answer is a success."""

    def __init__(self, url: str, sign: bool = False, token: str | None = None):
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise BadRequest(f"not an API address: {url}", "give http://host:port or https://host/stage")
        self.url = url.rstrip("/")
        self.headers: dict[str, httpx.Headers] = {}  # of the last answer of each kind of path
        auth = None
        if sign or (not token and ".execute-api." in parts.hostname and ".amazonaws.com" in parts.hostname):
            from flowforge.cli.signature import Signature

            auth = Signature(parts.hostname)
        timeout = httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS)
        shown = keys.bearer(token) if token and auth is None else {}
        self._client = httpx.Client(auth=auth, headers=shown, timeout=timeout, trust_env=not _loopback(parts.hostname))

    def __enter__(self) -> "Api":
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def get(self, *path: str, **parameters: Any) -> Any:
        """GET the path's parts (each quoted); parameters that are None are left out."""
        return self._ask("GET", path, params=parameters)

    def all_pages(
        self, key: str, /, *path: str, most: int | None = None, body: Any = None, **parameters: Any
    ) -> dict[str, Any]:
        """GET a list page by page, or POST a body to it, at most so many of its entries: an answer that has them all under
        `key`."""
        method = "GET" if body is None else "POST"
        answer = self._ask(method, path, body=body, params=parameters)
        while (place := answer.get("next")) and (most is None or len(answer[key]) < most):
            page = self._ask(method, path, body=body, params={**parameters, "cursor": place})
            answer = {**page, key: answer[key] + page[key]}
        answer.pop("next", None)
        return {**answer, key: answer[key][:most]}

    def post(self, *path: str, body: Any, **parameters: Any) -> Any:
        """POST a document, or bytes as they are."""
        return self._ask("POST", path, body=body, params=parameters)

    def put(self, *path: str, body: Any) -> Any:
        """PUT a document."""
        return self._ask("PUT", path, body=body)

    def delete(self, *path: str, **parameters: Any) -> Any:
        """DELETE; None where the answer has no body."""
        return self._ask("DELETE", path, params=parameters)

    def pass_on(self, method: str, target: str, content_type: str | None, body: bytes) -> httpx.Response:
        """Sends a call as it came, its path and query included; signed, or with the token. Raises httpx.HTTPError."""
        headers = {"content-type": content_type} if content_type else {}
        return self._client.request(method, self.url + target, content=body, headers=headers)

    def _ask(
        self, method: str, path: tuple[str, ...], *, body: Any = None, params: dict[str, Any] | None = None
    ) -> Any:
        url = "/".join([self.url, "api", *(quote(part, safe="") for part in path)])
        sent: dict[str, Any] = {} if body is None else {"json": body}
        if isinstance(body, bytes):
            sent = {"content": body, "headers": {"content-type": "application/json"}}
        known = {name: value for name, value in (params or {}).items() if value is not None}
        try:
            answer = self._client.request(method, url, params=known, **sent)
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise Failure(
                f"no answer from {self.url}: {str(error) or type(error).__name__}",
                "start the local stack with `flowforge up`, or name another API with --api or FLOWFORGE_API_URL",
                error="ApiUnreachable",
                exit_code=UNREACHABLE,
                transient=True,
            ) from error
        self.headers[path[0]] = answer.headers
        if answer.is_success:
            return answer.json() if answer.content else None
        raise _refusal(answer, self.url)


def _refusal(answer: httpx.Response, url: str) -> Failure:
    try:
        said = answer.json()
    except ValueError:
        said = None
    plain = {"message": f"{url} answered {answer.status_code} {answer.reason_phrase}, and not in JSON"}
    told: dict[str, Any] = said if isinstance(said, dict) else plain
    message = told.get("message") or told.get("Message") or f"{url} answered {answer.status_code}"
    remedy = told.get("remedy") or ""
    if answer.status_code in (401, 403) and not remedy:
        remedy = (
            "sign the request (--sign) with AWS credentials that may call this API (execute-api:Invoke); "
            "one that takes tokens wants one that has not expired in FLOWFORGE_TOKEN"
        )
    return Failure(
        message,
        remedy,
        error=told.get("error") or f"HTTP{answer.status_code}",
        exit_code=BAD_REQUEST if answer.status_code == 400 else FAILED,
        mistakes=told.get("mistakes"),
        transient=answer.status_code in _TRANSIENT,
    )


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
