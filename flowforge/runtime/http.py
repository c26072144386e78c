"""The HTTP face of functions: one resolver, one form of error.

What a route takes and answers stands in its handler's signature as models of `events.api`; Powertools checks both. Every error
answers `{"error", "message", "remedy"}` (and "mistakes" for a bad request); its class decides the status. An error that is not
ours answers 500 without its text, which may hold anything; the log has it. An answer that is not as its model says is given as it
is, and the log tells: what is stored may be of any version.
"""

import base64
import gzip
import json
import re
from typing import Annotated, Any
from urllib.parse import quote, unquote

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.exceptions import ServiceError
from aws_lambda_powertools.event_handler.openapi.exceptions import RequestValidationError, ResponseValidationError
from aws_lambda_powertools.event_handler.openapi.params import Path
from pydantic import AfterValidator

from events.documents import Unreadable, read_json
from events.request import InvalidRequest, mistakes_among
from flowforge.domain import errors
from flowforge.domain.errors import FlowForgeError
from flowforge.domain.version import HEADER, VERSION
from flowforge.runtime.disk_space import no_space

logger = Logger(service="flowforge")

STATUS = {
    errors.NotFound: 404,
    errors.UnknownTable: 404,
    errors.ConflictingTarget: 409,
    errors.SourceChanged: 409,
    errors.ChangesLost: 409,
    errors.Wait: 409,
    errors.SourceUnavailable: 502,
    errors.StoreUnavailable: 503,
    errors.Fatal: 422,
    errors.Retriable: 503,
}


def answer(status: int, body: Any) -> Response:
    """A JSON response."""
    return Response(status, content_type="application/json", body=json.dumps(body, default=str))


def told(result: Any) -> Any:
    """What a use case tells, as the answer of a route: its model checks it on the way out."""
    return result


def error_body(error: FlowForgeError) -> dict[str, Any]:
    """What a caller reads of an error."""
    line = getattr(error, "line", None)
    told = {"error": type(error).__name__, "message": str(error), "remedy": error.remedy}
    return told if line is None else {**told, "line": line}


AN_OBJECT = "expected a JSON object"
NO_BODY = {"field": "body", "problem": "missing; it is required"}
LONG_ANSWER = 1_000_000  # characters: a run of 500 tables
# What a function may return, as JSON: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
MOST_ANSWERED = 6 * 2**20
GZIP_LEVEL = 1  # a twelfth of a run's JSON
OLDER = {"connection_id": "connectionId"}  # parameters in the address, as they were spelled before
Name = Annotated[str, Path(), AfterValidator(unquote)]  # a part of the address, as `_by_its_route` quotes it


class Resolver(APIGatewayHttpResolver):
    """Powertools' resolver, for bodies as `events.documents` reads them, whatever a caller calls their type."""

    def resolve(self, event: dict[str, Any], context: Any) -> dict[str, Any]:
        """The answer to a call; a body that cannot be read is refused before its route is looked for."""
        try:
            answered = super().resolve(_by_its_route(_as_today(_with_json(event))), context)
        except InvalidRequest as error:
            refused = {"statusCode": 400, "body": json.dumps(_refused(error)), "isBase64Encoded": False}
            answered = refused | {"headers": {"Content-Type": "application/json"}, "cookies": []}
        told = {HEADER: VERSION, "Cache-Control": "no-store"}
        return _within_limits(answered | {"headers": answered["headers"] | told}, event)


def resolver() -> Resolver:
    """A resolver for HTTP API events (payload 2.0) that answers errors in the form above."""
    app = Resolver(enable_validation=True, response_validation_error_http_code=500)

    @app.exception_handler(RequestValidationError)
    def _not_as_asked(error: RequestValidationError) -> Response:
        return _invalid(InvalidRequest([_placed(one) for one in mistakes_among(error.errors())]))

    @app.exception_handler(ResponseValidationError)
    def _not_as_told(error: ResponseValidationError) -> Response:
        places = sorted({".".join(map(str, one["loc"])) for one in error.errors()})
        logger.error("an answer is not as its contract says", fields=places[:20])
        return answer(200, error.body)

    @app.exception_handler(InvalidRequest)
    def _invalid(error: InvalidRequest) -> Response:
        return answer(400, _refused(error))

    @app.exception_handler(FlowForgeError)
    def _ours(error: FlowForgeError) -> Response:
        status = next((STATUS[c] for c in type(error).__mro__ if c in STATUS), 500)
        logger.warning("request refused", error=type(error).__name__, cause=str(error), status=status)
        return answer(status, error_body(error))

    @app.exception_handler(ServiceError)
    def _powertools_own(error: ServiceError) -> Response:
        remedy = "GET /api/openapi.json tells what there is to call."
        return answer(
            int(error.status_code), {"error": type(error).__name__, "message": str(error.msg), "remedy": remedy}
        )

    @app.exception_handler(Exception)
    def _unexpected(error: Exception) -> Response:
        if full := no_space(error):
            return _ours(full)
        logger.exception("unexpected error")
        text = f"unexpected {type(error).__name__}; the function's log has its trace"
        return answer(
            500, {"error": "InternalError", "message": text, "remedy": "Try again; report it if it persists."}
        )

    return app


def _within_limits(answered: dict[str, Any], event: dict[str, Any]) -> dict[str, Any]:
    """An answer that Lambda takes: a long one as gzip where the caller accepts that; one that is still too long says so."""
    body = answered.get("body") or ""
    if len(body) <= LONG_ANSWER or answered.get("isBase64Encoded"):
        return answered
    accepted = next((v for k, v in (event.get("headers") or {}).items() if k.lower() == "accept-encoding"), "")
    if _takes_gzip(accepted):
        packed = base64.b64encode(gzip.compress(body.encode(), GZIP_LEVEL)).decode()
        headers = answered["headers"] | {"Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
        answered = answered | {"body": packed, "isBase64Encoded": True, "headers": headers}
    if len(json.dumps(answered)) <= MOST_ANSWERED:
        return answered
    large = errors.TooLarge(
        f"the answer has {len(body):,} characters, more than a function can return",
        "ask for less" if answered["isBase64Encoded"] else "send Accept-Encoding: gzip",
    )
    headers = {k: v for k, v in answered["headers"].items() if k != "Content-Encoding"}
    told = {"statusCode": STATUS[errors.Fatal], "body": json.dumps(error_body(large)), "isBase64Encoded": False}
    return answered | told | {"headers": headers}


def _takes_gzip(accepted: str) -> bool:
    """By an Accept-Encoding, in which a weight of 0 says no (RFC 9110, 12.5.3)."""
    codings = [one.partition(";q=") for one in accepted.lower().replace(" ", "").split(",")]
    return any(name == "gzip" and (not weight or weight.strip("0.") != "") for name, _, weight in codings)


def _refused(error: InvalidRequest) -> dict[str, Any]:
    message = f"{len(error.mistakes)} mistake(s) in the request"
    return {"error": "InvalidRequest", "message": message, "mistakes": error.mistakes}


def _placed(mistake: dict[str, str]) -> dict[str, str]:
    """A mistake by the caller's name of its place: without the part of the call that it stands in."""
    if mistake == NO_BODY:
        return {"field": "(body)", "problem": AN_OBJECT}
    return {**mistake, "field": mistake["field"].partition(".")[2] or "(body)"}


def _as_today(event: dict[str, Any]) -> dict[str, Any]:
    given = event.get("queryStringParameters") or {}
    if not given.keys() & OLDER.keys():
        return event
    today = {OLDER[name]: value for name, value in given.items() if name in OLDER}
    return event | {"queryStringParameters": today | {n: value for n, value in given.items() if n not in OLDER}}


def _by_its_route(event: dict[str, Any]) -> dict[str, Any]:
    """The event with the path of the route that the gateway has chosen, its parameters quoted: Powertools looks for a route by
    a pattern of its own, which no emoji, control character or slash in a name fits."""
    given, context = event.get("pathParameters"), event.get("requestContext") or {}
    if not given:
        return event
    route = str(event.get("routeKey", "")).partition(" ")[2]
    path = re.sub(r"{(\w+)}", lambda name: quote(given.get(name[1], ""), safe="", errors="replace"), route)
    stage = context.get("stage", "$default")
    return event | {"rawPath": path if stage == "$default" else f"/{stage}{path}"}


def _with_json(event: dict[str, Any]) -> dict[str, Any]:
    """The event with its body as plain JSON; raises InvalidRequest where it is none, or no object."""
    body = event.get("body")
    if not body:
        return event
    try:
        document = read_json(base64.b64decode(body) if event.get("isBase64Encoded") else body)
    except Unreadable as error:
        raise InvalidRequest([{"field": "(body)", "problem": str(error)}]) from None
    except ValueError:
        raise InvalidRequest([{"field": "(body)", "problem": "expected JSON"}]) from None
    if not isinstance(document, dict):
        raise InvalidRequest([{"field": "(body)", "problem": AN_OBJECT}])
    headers = {name: value for name, value in event["headers"].items() if name.lower() != "content-type"}
    told = {"headers": headers | {"content-type": "application/json"}, "isBase64Encoded": False}
    return event | told | {"body": json.dumps(document)}
