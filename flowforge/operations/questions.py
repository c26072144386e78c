"""SQL over the lake for callers of the API: what `flowforge sql` asks, within the bounds of an answer."""

import json
from typing import Any

from events.api.lake import Question
from events.request import InvalidRequest
from flowforge.operations.query import MOMENTS, json_value, moment_of, query
from flowforge.runtime.pages import ANSWER_BYTES
from flowforge.runtime.settings import settings

SECONDS = 20.0  # of a query; a call has 29


def answer_of(question: Question) -> dict[str, Any]:
    """Columns and rows, as many as are wanted and an answer holds. Raises InvalidRequest, and what `query` raises."""
    try:
        as_of = moment_of(question.asOf)
    except ValueError as error:
        raise InvalidRequest([{"field": "asOf", "problem": f"{error}: {MOMENTS}"}]) from None
    found = query(question.sql, settings().bucket, as_of, question.limit, SECONDS)
    rows, left = [], ANSWER_BYTES
    for row in found.rows:
        shown = [json_value(value) for value in row]
        left -= len(json.dumps(shown))
        if left < 0:
            break
        rows.append(shown)
    more = found.more or len(rows) < len(found.rows)
    return {"columns": found.columns, "rows": rows, "more": more, "seconds": round(found.seconds, 3)}
