"""What the bus tells of a run's tables, told to the function that keeps the run history; and what that answers."""

import json
from typing import Any

from hypothesis import strategies as st

from events import facts
from events.envelopes import eventbridge, http, sqs
from events.sample_messages import messages
from functions.track_run.handler import handler

SAMPLES = {type(m).__name__: m for m in messages() if isinstance(m, facts.TableEvent)}
CHAIN = ("BronzeLanded", "WatermarkCommitted", "SilverRefined", "GoldPublished")
TOLD = ("SlicesRead", *CHAIN, "IntervalEmpty", "StepFailed")
# Of each batch the events, each with its table: a name that the catalog spells otherwise among them.
EVENTS = st.tuples(st.sampled_from(TOLD), st.sampled_from(["bronze_a", "Bronze_A", "bronze_b"]))
BATCHES = st.lists(st.lists(EVENTS, min_size=1, max_size=5), max_size=5)


def tell(context: Any, run_id: str, *names: str, table: str = "bronze_customers") -> None:
    """Events of one table, in one batch."""
    tell_together(context, *((run_id, name, table) for name in names))


def tell_together(context: Any, *events: tuple[str, str, str]) -> None:
    """A batch of messages: of each the run, the event, and the table."""
    models = [SAMPLES[name].model_copy(update={"run_id": run, "bronze_table": table}) for run, name, table in events]
    bodies = [eventbridge(type(m).__name__, json.loads(m.model_dump_json())) for m in models]
    assert handler(sqs(*bodies), context) == {"batchItemFailures": []}


def get(context: Any, path: str, route: str, **query: str) -> tuple[int, dict[str, Any]]:
    """The status and the document of an answer."""
    answer = handler(http("GET", path, route, query=query), context)
    return answer["statusCode"], json.loads(answer["body"])
