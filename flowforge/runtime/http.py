"""The HTTP face of functions: one resolver, one form of error.

Every error answers `{"error", "message", "remedy"}` (and "mistakes" for a bad request); its class decides the status. An error
that is not ours answers 500 without its text, which may hold anything; the log has it.
"""

import base64
import json
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response

from events.documents import Unreadable, read_json
from events.request import InvalidRequest
from flowforge.domain import errors
from flowforge.domain.errors import FlowForgeError

logger = Logger(service="flowforge")

STATUS = {
    errors.NotFound: 404,
    errors.UnknownTable: 404,
    errors.ConflictingTarget: 409,
    errors.SourceChanged: 409,
    errors.Wait: 409,
    errors.SourceUnavailable: 502,
    errors.StoreUnavailable: 503,
    errors.Fatal: 422,
    errors.Retriable: 503,
}


def answer(status: int, body: Any) -> Response:
    """A JSON response."""
    return Response(status, content_type="application/json", body=json.dumps(body, default=str))


def error_body(error: FlowForgeError) -> dict[str, Any]:
    """What a caller reads of an error."""
    return {"error": type(error).__name__, "message": str(error), "remedy": error.remedy}


def resolver() -> APIGatewayHttpResolver:
    """A resolver for HTTP API events (payload 2.0) that answers errors in the form above."""
    app = APIGatewayHttpResolver()

    @app.exception_handler(InvalidRequest)
    def _invalid(error: InvalidRequest) -> Response:
        message = f"{len(error.mistakes)} mistake(s) in the request"
        return answer(400, {"error": "InvalidRequest", "message": message, "mistakes": error.mistakes})

    @app.exception_handler(FlowForgeError)
    def _ours(error: FlowForgeError) -> Response:
        status = next((STATUS[c] for c in type(error).__mro__ if c in STATUS), 500)
        logger.warning("request refused", error=type(error).__name__, cause=str(error), status=status)
        return answer(status, error_body(error))

    @app.exception_handler(Exception)
    def _unexpected(error: Exception) -> Response:
        logger.exception("unexpected error")
        text = f"unexpected {type(error).__name__}; the function's log has its trace"
        return answer(
            500, {"error": "InternalError", "message": text, "remedy": "Try again; report it if it persists."}
        )

    return app


def json_body(app: APIGatewayHttpResolver) -> dict[str, Any]:
    """The request's body as a JSON object; raises InvalidRequest when it is none."""
    event = app.current_event
    try:
        content = base64.b64decode(event.body or "") if event.is_base64_encoded else event.body or ""
        body = read_json(content)
    except Unreadable as error:
        raise InvalidRequest([{"field": "(body)", "problem": str(error)}]) from None
    except ValueError:
        raise InvalidRequest([{"field": "(body)", "problem": "expected JSON"}]) from None
    if not isinstance(body, dict):
        raise InvalidRequest([{"field": "(body)", "problem": "expected a JSON object"}])
    return body


def whole_number(text: str | None, field: str, default: int, most: int) -> int:
    """A query parameter between 0 and `most`; raises InvalidRequest otherwise."""
    if not text:
        return default
    digits = text.lstrip("0") or "0"
    # Python reads no whole number of more than 4,300 digits.
    if not (text.isascii() and text.isdigit()) or len(digits) > len(str(most)) or int(digits) > most:
        raise InvalidRequest([{"field": field, "problem": f"expected a whole number from 0 to {most}"}])
    return int(digits)
