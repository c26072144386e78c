"""The template's HTTP API: its routes, payload format 2.0 events, and answers as API Gateway gives them.

The routes are read from the OpenAPI body that SAM generates. IAM authorizers are not enforced here: the stack's token stands
in their place (`own_calls`), and no function sees it. What no route matches, by path or
by method, is a 404 with API Gateway's body.

Only so many calls wait for a function; more are answered 429 at once, as API Gateway's throttling does. A call that is given up,
by its caller or for its time, before its function has begun is never run. So a flood is over when its callers are gone.
"""

import asyncio
import base64
import json
import re
import time
import uuid
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from aiohttp import web

from infra.local.function import Function, NotWanted
from infra.local.runtime_api import InvocationFailed
from infra.local.template import ACCOUNT

ANY_METHOD = "X-AMAZON-APIGATEWAY-ANY-METHOD"
INTEGRATION_LIMIT_SECONDS = 30  # API Gateway's quota for HTTP APIs, not adjustable
WAITING_CALLS = 32  # for one function, beside those that run: its turn comes within seconds
RETRY_AFTER = {"Retry-After": "1"}
BODY_SECONDS = 10  # in which a request's body must have come
PAYLOAD_LIMIT_BYTES = 10 * 2**20  # likewise
# Everything else arrives base64-encoded, form posts included.
TEXT_TYPE = re.compile(r"text/.*|application/(.*\+)?(json|xml|javascript)")


@dataclass(frozen=True)
class Route:
    """One route: `method` may be ANY_METHOD; `path` is as in the template, `$default` matches all."""

    method: str
    path: str
    pattern: re.Pattern[str]
    function: Function


def read_routes(resources: Any, functions: Mapping[str, Function]) -> list[Route]:
    """Return the template's routes, the most specific first; `functions` is by ARN."""
    routes = []
    for api in resources.of_kind("AWS::ApiGatewayV2::Api").values():
        for path, methods in ((api.get("Body") or {}).get("paths") or {}).items():
            for method, operation in methods.items():
                uri = (operation.get("x-amazon-apigateway-integration") or {}).get("uri", "")
                if match := re.search(r"(arn:aws:lambda:[^/]+)/invocations", uri):
                    routes.append(Route(method.upper(), path, _pattern(path), functions[match[1]]))
    # API Gateway: full matches first, then variables, then greedy variables, `$default` last; ANY after a named method.
    return sorted(
        routes, key=lambda r: (r.path == "$default", "+}" in r.path, r.path.count("{"), r.method == ANY_METHOD)
    )


def _pattern(path: str) -> re.Pattern[str]:
    if path == "$default":
        return re.compile(".*")
    parts = (re.fullmatch(r"\{([\w.-]+)(\+?)\}", part) or part for part in path.split("/"))
    return re.compile(
        "/".join(re.escape(part) if isinstance(part, str) else ("(.+)" if part[2] else "([^/]+)") for part in parts)
    )


class HttpApi:
    """Answers requests through the functions that the routes name."""

    def __init__(self, routes: list[Route]) -> None:
        self.routes = routes
        self._inside: Counter[str] = Counter()  # calls that wait or run, by function

    async def handle(self, request: web.Request) -> web.Response:
        """Route one request to its function and return the function's answer."""
        raw_path = request.rel_url.raw_path
        for route in self.routes:
            match = route.pattern.fullmatch(raw_path)
            if match and route.method in (request.method, ANY_METHOD):
                return await self._read(route, match, request)
        return _message(404, "Not Found")

    async def _read(self, route: Route, match: re.Match[str], request: web.Request) -> web.Response:
        """Take the body before the call counts: who sends it slowly, or never, keeps no place of others."""
        try:
            body = await asyncio.wait_for(request.read(), BODY_SECONDS)
        except web.HTTPRequestEntityTooLarge:
            return _message(413, "Request Entity Too Large")
        except TimeoutError:
            return _message(408, "Request Timeout")
        return await self._admit(route, match, request, body)

    async def _admit(self, route: Route, match: re.Match[str], request: web.Request, body: bytes) -> web.Response:
        function = route.function.settings
        if self._inside[function.logical_id] >= function.concurrency + WAITING_CALLS:
            return _message(429, "Too Many Requests", RETRY_AFTER)
        self._inside[function.logical_id] += 1
        try:
            return await self._invoke(route, match, request, body)
        finally:
            self._inside[function.logical_id] -= 1

    async def _invoke(self, route: Route, match: re.Match[str], request: web.Request, body: bytes) -> web.Response:
        given_up = asyncio.Event()

        def wanted() -> bool:
            return not given_up.is_set() and request.transport is not None

        event = request_event(route, match, request, body)
        # As on AWS a function that has begun goes on when the gateway gives up on it.
        invocation = asyncio.ensure_future(route.function.call(event, wanted))
        try:
            answer = await asyncio.wait_for(asyncio.shield(invocation), INTEGRATION_LIMIT_SECONDS)
        except TimeoutError:
            given_up.set()
            invocation.add_done_callback(lambda done: done.cancelled() or done.exception())
            return _message(503, "Service Unavailable", RETRY_AFTER)
        except NotWanted:  # the caller is gone
            return _message(503, "Service Unavailable")
        except InvocationFailed:
            return _message(500, "Internal Server Error")
        return response(answer)


def request_event(route: Route, match: re.Match[str], request: web.Request, body: bytes) -> dict[str, Any]:
    """Return a request as a payload format 2.0 event (API Gateway, "Lambda proxy integrations for HTTP APIs")."""
    key = route.path if route.path == "$default" else f"{_method(route, request)} {route.path}"
    names = re.findall(r"\{([\w.-]+)\+?\}", route.path)
    headers: dict[str, str] = {}
    for name, value in request.headers.items():
        headers[name.lower()] = f"{headers[name.lower()]},{value}" if name.lower() in headers else value
    cookies = headers.pop("cookie", "")
    headers.pop("authorization", None)
    is_text = not body or bool(TEXT_TYPE.fullmatch(request.content_type)) or "content-type" not in headers
    event = {
        "version": "2.0", "routeKey": key, "rawPath": request.path, "rawQueryString": request.rel_url.raw_query_string,
        "cookies": [cookie.strip() for cookie in cookies.split(";") if cookie.strip()], "headers": headers,
        "queryStringParameters": {name: ",".join(request.query.getall(name)) for name in request.query},
        "pathParameters": {name: unquote(value) for name, value in zip(names, match.groups(), strict=True)},
        "requestContext": {
            "accountId": ACCOUNT, "apiId": "local", "domainName": request.host, "domainPrefix": "local",
            "requestId": str(uuid.uuid4()), "routeKey": key, "stage": "$default",
            "time": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime()), "timeEpoch": int(time.time() * 1000),
            "http": {
                "method": request.method, "path": request.path, "protocol": "HTTP/1.1",
                "sourceIp": request.remote, "userAgent": request.headers.get("User-Agent", ""),
            },
        },
        "body": body.decode(errors="replace") if is_text else base64.b64encode(body).decode(),
        "isBase64Encoded": not is_text,
    }  # fmt: skip
    optional = ("cookies", "queryStringParameters", "pathParameters", "body")
    return {name: value for name, value in event.items() if value or name not in optional}


def _method(route: Route, request: web.Request) -> str:
    return "ANY" if route.method == ANY_METHOD else request.method


def response(answer: Any) -> web.Response:
    """Return a function's answer as an HTTP response; without a `statusCode` the answer itself is the body."""
    if not (isinstance(answer, dict) and "statusCode" in answer):
        text = answer if isinstance(answer, str) else json.dumps(answer)
        return web.Response(text=text, content_type="application/json")
    body = answer.get("body") or ""
    content = base64.b64decode(body) if answer.get("isBase64Encoded") else str(body).encode()
    headers = {name.lower(): str(value) for name, value in (answer.get("headers") or {}).items()}
    headers.pop("content-length", None)
    headers.setdefault("content-type", "text/plain; charset=utf-8")
    made = web.Response(status=int(answer["statusCode"]), body=content, headers=headers)
    for cookie in answer.get("cookies") or []:
        made.headers.add("Set-Cookie", cookie)
    return made


def _message(status: int, text: str, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.json_response({"message": text}, status=status, headers=headers)
