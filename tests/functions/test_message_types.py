"""A function takes a message by the type that it names, or by what one of the version before was; others are refused by name."""

import importlib
import json

import pytest

from events.envelopes import eventbridge, sqs
from tests.helpers.commands import QUEUES, command


@pytest.fixture
def deliver(aws, context, monkeypatch):
    """Delivers a message to a function; returns its dead letters, each with its reason."""

    def to(function: str, body: dict) -> list[tuple[dict, str]]:
        queue, dead_letters = f"{QUEUES[function]}Queue", f"{QUEUES[function]}DeadLetters"
        aws.use(queue, dead_letters, monkeypatch)
        aws.messages(dead_letters)
        handler = importlib.import_module(f"functions.{function}.handler").handler
        assert handler(sqs(body), context) == {"batchItemFailures": []}
        return [(one["body"], one["MessageAttributes"]["reason"]["StringValue"]) for one in aws.messages(dead_letters)]

    return to


@pytest.mark.parametrize("function", QUEUES)
@pytest.mark.parametrize("form", ["command", "event", "command of another step"])
def test_should_refuse_a_type_that_it_does_not_know_by_its_name(deliver, unique, function, form):
    other = {"layer": "silver", "table": "x"} if function != "maintain_lake" else {"source_key": "k", "index": 1}
    told = "IngestSlice" if "index" in other else "MaintainTable"
    body = {
        "command": {"type": "DropTable", "run_id": unique("run"), "bronze_table": "t"},
        "event": eventbridge("DropTable", {"bronze_table": "t"}),
        "command of another step": {"type": told, **other},
    }[form]
    ((kept, reason),) = deliver(function, body)
    assert (told if form == "command of another step" else "DropTable") in reason
    assert kept == body if function != "submit_job" else "notKept" in kept


@pytest.mark.parametrize("function", QUEUES)
def test_should_keep_a_message_at_once_whose_run_and_batch_are_no_names(deliver, unique, function):
    named = {"run_id": [unique("run")], "bronze_table": 5, "source_key": "../x", "generation": -1, "seq": 1e99}
    for body in ({"type": "BronzeLanded", **named}, {"type": "SilverRefined", **named, "generation": [], "seq": {}}):
        ((kept, _),) = deliver(function, body)
        assert kept == body or "notKept" in kept


@pytest.mark.parametrize("at", ["\0", "soon", "2026-01-31T10:00:00", "", 7, None])
def test_should_refuse_an_order_whose_time_is_none(deliver, at):
    ((_, reason),) = deliver("send_alerts", {"type": "TellQuiet", "bronze_table": "t", "at": at})
    assert "does not fit its contract in: at" in reason


@pytest.mark.parametrize("time", ["\0", "soon", "2026-01-31T10:00:00", 7, {}])
def test_should_take_an_event_at_its_word_though_its_time_is_none(deliver, unique, time):
    event = eventbridge("StepFailed", {"run_id": unique("run"), "step": "silver", "error": "Fatal", "cause": "c"})
    told = event["detail"] | {"bronze_table": unique("t"), "remedy": "r", "attempts": 1}
    assert deliver("send_alerts", event | {"detail": told, "time": time}) == []


@pytest.mark.parametrize("typed", [True, False])
def test_should_take_commands_of_the_version_before_which_name_no_type(deliver, typed):
    body = {"schema_version": 1, "layer": "silver", "table": "gone"}  # upkeep of a table that is gone is done
    assert deliver("maintain_lake", body | ({"type": "MaintainTable"} if typed else {})) == []


def test_should_take_facts_of_the_version_before_which_name_no_type(deliver, unique):
    fact = {"run_id": unique("run"), "bronze_table": "t", "source_key": "k", "generation": 1, "seq": 1}
    empty = fact | {"source_table": "dbo.t", "reason": "no rows"}
    assert deliver("track_run", eventbridge("IntervalEmpty", empty)) == []
    ((_, reason),) = deliver("watermark", eventbridge("BronzeLanded", fact))
    assert "does not fit its contract in: source_table" in reason  # it is known for what it is


def test_should_know_a_request_for_the_same_whether_its_command_names_a_type(unique):
    from events.commands import IngestTable
    from flowforge.state.table import asked_of

    wanted = command(unique("t"), unique("run"))
    before = json.loads(wanted.model_dump_json(exclude={"type"}))
    assert asked_of(IngestTable.model_validate(before)) == asked_of(wanted)


@pytest.mark.parametrize(
    "notice",
    [
        {"type": "Object Created"},
        eventbridge("Object Created", {}),
        eventbridge("Object Created", {"bucket": "b", "object": {"key": "k"}}),
        {"Records": [{"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": "b"}, "object": {}}}]},
        {"Records": ["ObjectCreated"]},
    ],
    ids=str,
)
def test_should_refuse_a_notice_that_names_no_object(deliver, notice):
    ((_, reason),) = deliver("submit_job", notice)
    assert "names no bucket or no key" in reason
