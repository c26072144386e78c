"""SQL over the lake for callers of the API: what `flowforge sql` asks, within the bounds of an answer."""

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from events.api.lake import Question
from events.request import InvalidRequest
from flowforge.domain.errors import FlowForgeError, QueryRefused
from flowforge.operations.as_of import MOMENTS, moment_of
from flowforge.operations.json_values import json_value
from flowforge.operations.query import ASK_FOR_LESS, QueryResult, query
from flowforge.runtime.bounded_work import bounded_memory, function_memory, within
from flowforge.runtime.pages import ANSWER_BYTES
from flowforge.runtime.settings import settings
from flowforge.state.stopped import is_stopped

SECONDS = 20.0  # of a query; a call has 29
MORE_SECONDS = 3.0  # in which a query that was stopped mostly ends


def answer_of(question: Question) -> dict[str, Any]:
    """Columns and rows, as many as are wanted and an answer holds. Raises InvalidRequest, and what `query` raises."""
    try:
        as_of = moment_of(question.asOf)
    except ValueError as error:
        raise InvalidRequest([{"field": "asOf", "problem": f"{error}: {MOMENTS}"}]) from None
    stopped = _unwanted(question.id) if question.id else None
    found = _within_bounds(lambda: query(question.sql, settings().bucket, as_of, question.limit, SECONDS, stopped))
    rows, left = [], ANSWER_BYTES
    for row in found.rows:
        shown = [json_value(value) for value in row]
        left -= len(json.dumps(shown))
        if left < 0:
            break
        rows.append(shown)
    more = found.more or len(rows) < len(found.rows)
    return {"columns": found.columns, "rows": rows, "more": more, "seconds": round(found.seconds, 3)}


def _unwanted(question: str) -> Callable[[], bool]:
    """Whether somebody has asked for the question's end; what cannot be read now is asked for again, and stops nothing."""
    told = False

    def stopped() -> bool:
        nonlocal told
        with suppress(FlowForgeError):
            told = told or is_stopped(question)
        return told

    return stopped


def _within_bounds(ask: Callable[[], QueryResult]) -> QueryResult:
    """What is asked, or QueryRefused where it takes more time or memory than a call has."""

    def asked() -> QueryResult:
        with bounded_memory(function_memory()):
            return ask()

    try:
        return within(SECONDS + MORE_SECONDS, asked)
    except TimeoutError:
        raise QueryRefused(f"the query was not done after {SECONDS:g} s, and did not stop", ASK_FOR_LESS) from None
