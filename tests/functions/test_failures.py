"""What becomes of a message that cannot be handled: retried, given up with its reason on the run, never lost."""

import json
import logging
import re
import socket
from pathlib import Path

import pytest

from events.commands import IngestTable
from events.envelopes import sqs
from events.targets import ConnectionReference
from flowforge.aws.message import logger, process_messages
from flowforge.aws.secrets import Place, store_login
from flowforge.state import runs
from functions.ingest_table.handler import handler
from functions.track_run.handler import handler as track
from tests.helpers.commands import command


@pytest.fixture(autouse=True)
def queues(aws, monkeypatch):
    aws.use("IngestQueue", "IngestDeadLetters", monkeypatch)
    monkeypatch.setenv("FLOWFORGE_MAX_ATTEMPTS", "3")
    for queue in ("IngestQueue", "TrackQueue", "IngestDeadLetters"):
        aws.messages(queue)


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def unreachable(unique, run_id: str) -> dict:
    place = Place("127.0.0.1", closed_port(), "Bank")
    secret_id, version = store_login(f"flowforge/test/{unique('s')}", "sa", "Hidden_pa55", place)
    where = {"host": place.host, "port": place.port, "database": place.database}
    reference = ConnectionReference(**where, secret_id=secret_id, secret_version=version)
    wanted = command(unique("t"), run_id).model_copy(update={"connection": reference})
    return json.loads(wanted.model_dump_json())


def test_should_deliver_again_what_may_succeed_later(aws, context, unique):
    event = sqs(unreachable(unique, unique("run")), attempt=1)
    answer = handler(event, context)
    assert [failure["itemIdentifier"] for failure in answer["batchItemFailures"]] == [event["Records"][0]["messageId"]]
    assert aws.announced() == []


def test_should_give_up_after_the_last_attempt_and_say_why_on_the_run(aws, context, unique):
    run_id = unique("run")
    body = unreachable(unique, run_id)
    runs.open_run(run_id, "wf", "job", "batch", "http", [(body["bronze"]["table"], "t")])
    assert handler(sqs(body, attempt=3), context) == {"batchItemFailures": []}
    ((kind, detail),) = aws.announced()
    assert kind == "StepFailed"
    assert detail["error"] == "SourceUnavailable"
    assert "127.0.0.1" in detail["cause"]
    assert detail["remedy"]
    track(sqs({"detail-type": kind, "detail": detail}), context)
    run = runs.read_run(run_id)
    assert (run["status"], run["tables"][0]["status"]) == ("failed", "failed")
    assert run["tables"][0]["error"]["step"] == "ingest"
    (dead,) = aws.messages("IngestDeadLetters")
    assert dead["body"] == body
    assert dead["MessageAttributes"]["reason"]["StringValue"].startswith("SourceUnavailable")
    assert "Hidden_pa55" not in json.dumps([detail, dead, run], default=str)


class Lines(logging.Handler):
    """The lines of the log as they are written."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[dict] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.written.append(json.loads(logger.registered_formatter.format(record)))


def test_should_name_in_a_line_the_message_that_it_is_about_and_no_other(aws, context, unique):
    lines, known = Lines(), logging.getLogger("flowforge")
    body = unreachable(unique, unique("run"))
    known.addHandler(lines)
    try:
        handler(sqs(body, "no object", attempt=3), context)
    finally:
        known.removeHandler(lines)
    told = [(line["step"], line["run_id"], line["table"], line["attempt"]) for line in lines.written if "step" in line]
    assert set(told) == {("ingest", body["run_id"], body["bronze"]["table"], 3)}
    (unreadable,) = [line for line in lines.written if "not a JSON object" in line.get("cause", "")]
    assert "run_id" not in unreadable


def test_should_give_up_at_once_what_can_never_succeed(aws, context, unique):
    body = unreachable(unique, unique("run"))
    body["connection"]["secret_id"] = "flowforge/no-such-secret"
    body["connection"]["secret_version"] = None
    assert handler(sqs(body, attempt=1), context) == {"batchItemFailures": []}
    ((_, detail),) = aws.announced()
    assert (detail["error"], detail["attempts"]) == ("NotFound", 1)
    assert len(aws.messages("IngestDeadLetters")) == 1


def test_should_not_handle_a_message_again_that_keeps_killing_its_workers(aws, context, unique):
    body = unreachable(unique, unique("run"))
    assert handler(sqs(body, attempt=4), context) == {"batchItemFailures": []}
    ((_, detail),) = aws.announced()
    assert "died or ran out of time 3 times" in detail["cause"]


@pytest.mark.parametrize("text", ["not json", '"text"', "[]", "{}", '{"run_id": 1}'])
def test_should_keep_a_message_that_makes_no_sense(aws, context, text):
    assert handler(sqs(text, attempt=1), context) == {"batchItemFailures": []}
    assert [dead["Body"] for dead in aws.messages("IngestDeadLetters")] == [text]


def test_should_let_the_siblings_of_a_failing_message_through(aws, context, unique):
    failing, retried = unreachable(unique, unique("run")), unreachable(unique, unique("run"))
    failing["connection"]["secret_id"] = "flowforge/no-such-secret"
    answer = handler(sqs(failing, retried), context)
    assert len(answer["batchItemFailures"]) == 1
    assert len(aws.messages("IngestDeadLetters")) == 1


@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="only Linux has a device that is always full")
def test_should_say_which_folder_of_a_step_is_full_and_try_it_again(aws, context, unique):
    body = unreachable(unique, unique("run"))

    def fill(message: IngestTable, context: object) -> None:
        Path("/dev/full").write_text("one byte is too much", encoding="utf-8")

    (failed,) = process_messages(sqs(body, attempt=1), context, "ingest", {IngestTable: fill})["batchItemFailures"]
    assert failed
    assert aws.announced() == []
    assert process_messages(sqs(body, attempt=3), context, "ingest", {IngestTable: fill}) == {"batchItemFailures": []}
    ((_, detail),) = aws.announced()
    assert detail["error"] == "NoSpace"
    assert re.match(
        r"no space is left in /\S+ \([\d.,]+ of its disk's [\d.,]+ MiB are free\): No space left on device",
        detail["cause"],
    )
    assert "EphemeralStorage" in detail["remedy"]
