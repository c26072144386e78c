"""The dead-letter queues as a person sees them, and what goes back to work."""

import json

import boto3
import pytest

from events.envelopes import eventbridge, http
from events.facts import SilverRefined
from events.sample_messages import FULL
from flowforge.state import runs
from flowforge.state.run_list import list_runs
from functions.replay.handler import handler
from functions.submit_job.handler import handler as submit
from tests.helpers.aws_proxy import AwsProxy, Call, Fault
from tests.helpers.commands import command

pytestmark = pytest.mark.usefixtures("answers_as_told")
QUEUES = ("Submit", "Ingest", "Slice", "Watermark", "Refine", "Publish", "Track")


@pytest.fixture(autouse=True)
def queues(aws, monkeypatch):
    pairs = " ".join(f"{q.lower()}={aws.name(f'{q}DeadLetters')}>{aws.name(f'{q}Queue')}" for q in QUEUES)
    monkeypatch.setenv("FLOWFORGE_REPLAY_QUEUES", pairs)
    for name in QUEUES:
        aws.messages(f"{name}DeadLetters")
        aws.messages(f"{name}Queue")
    yield
    monkeypatch.undo()


def bury(aws, queue: str, body: dict, reason: str | None = None) -> str:
    """Puts a message into a dead-letter queue; returns its id."""
    said = {"reason": {"DataType": "String", "StringValue": reason}, "step": {"DataType": "String", "StringValue": "x"}}
    options = {"MessageAttributes": said} if reason else {}
    url = aws.name(f"{queue}DeadLetters")
    return aws.client("sqs").send_message(QueueUrl=url, MessageBody=json.dumps(body), **options)["MessageId"]


def wanted(unique) -> dict:
    return json.loads(command(unique("t"), unique("run")).model_dump_json())


def refined(unique) -> dict:
    fact = SilverRefined(
        run_id=unique("run"),
        bronze_table=unique("t"),
        source_key="k",
        generation=1,
        seq=1,
        silver_table="s",
        version=1,
        inserted=1,
        updated=0,
        silver_rows=1,
    )
    return eventbridge("SilverRefined", json.loads(fact.model_dump_json()))


def ask(context) -> dict:
    return json.loads(handler(http("GET", "/api/dead-letters"), context)["body"])


def put_back(context, body: dict, action: str = "replay") -> dict:
    answer = handler(http("POST", f"/api/dead-letters/{action}", body=body), context)
    assert answer["statusCode"] == 200, answer["body"]
    return json.loads(answer["body"])


def test_should_tell_of_each_message_but_not_what_it_holds(aws, context, unique):
    ingest, gold = wanted(unique), refined(unique)
    bury(aws, "Ingest", ingest, "SourceUnavailable: no answer from db")
    bury(aws, "Publish", gold)
    bury(aws, "Submit", eventbridge("JobRequested", FULL, source="cron"))
    answer = ask(context)
    assert answer["more"] is False
    by_queue = {one["queue"]: one for one in answer["messages"]}
    assert by_queue["ingest"]["reason"] == "SourceUnavailable: no answer from db"
    assert by_queue["ingest"]["table"] == ingest["bronze"]["table"]
    assert by_queue["ingest"]["run_id"] == ingest["run_id"]
    assert by_queue["publish"]["run_id"] == gold["detail"]["run_id"]
    assert by_queue["publish"]["reason"].startswith("SQS moved it here")
    assert by_queue["submit"]["table"] is None
    assert FULL["source_config"]["connection"]["password"] not in json.dumps(answer)
    assert len(ask(context)["messages"]) == 3  # looking takes nothing away


def test_should_list_messages_page_by_page(aws, context, unique):
    ids = {bury(aws, "Ingest", wanted(unique), "why") for _ in range(3)} | {bury(aws, "Publish", refined(unique))}
    found, place = [], {}
    while True:
        answer = json.loads(handler(http("GET", "/api/dead-letters", query={"limit": "1", **place}), context)["body"])
        found += answer["messages"]
        if "next" not in answer:
            break
        place = {"cursor": answer["next"]}
    assert {one["id"] for one in found} == ids and len(found) == len(ids)
    assert [one["at"] for one in found] == sorted(one["at"] for one in found)
    refused = handler(http("GET", "/api/dead-letters", query={"cursor": "YQ.YQ"}), context)
    assert json.loads(refused["body"])["mistakes"][0]["field"] == "cursor"


@pytest.mark.parametrize("choose", ["run_id", "table", "ids"])
def test_should_put_back_what_is_selected_and_leave_the_rest(aws, context, unique, choose):
    one, other = wanted(unique), wanted(unique)
    message_id = bury(aws, "Ingest", one, "why")
    bury(aws, "Ingest", other, "why")
    chosen = {"run_id": one["run_id"], "table": one["bronze"]["table"], "ids": [message_id]}[choose]
    assert [found["id"] for found in put_back(context, {choose: chosen})["messages"]] == [message_id]
    assert [message["body"] for message in aws.messages("IngestQueue")] == [one | {"replayed": True}]
    assert [left["run_id"] for left in ask(context)["messages"]] == [other["run_id"]]


@pytest.mark.parametrize("action", ["replay", "discard"])
def test_should_show_what_would_be_settled_and_change_nothing(aws, context, unique, action):
    one, other = wanted(unique), wanted(unique)
    for body in (one, other):
        bury(aws, "Ingest", body, "why")
    asked = {"run_id": one["run_id"], "preview": True} | ({"reason": "no"} if action == "discard" else {})
    told = put_back(context, asked, action)
    assert [(found["run_id"], bool(found["consequence"])) for found in told["messages"]] == [(one["run_id"], True)]
    assert aws.messages("IngestQueue") == []
    assert {left["run_id"] for left in ask(context)["messages"]} == {one["run_id"], other["run_id"]}


@pytest.mark.parametrize("body", [{}, {"run_id": None}, {"all": True, "table": "t"}, {"ids": []}, {"all": "yes"}])
def test_should_take_nothing_for_everything(aws, context, unique, body):
    bury(aws, "Ingest", wanted(unique), "why")
    assert handler(http("POST", "/api/dead-letters/replay", body=body), context)["statusCode"] == 400
    assert aws.messages("IngestQueue") == []


def test_should_put_back_everything_to_the_queue_it_came_from(aws, context, unique):
    bodies = {queue: (wanted(unique) if queue == "Ingest" else refined(unique)) for queue in QUEUES}
    for queue, body in bodies.items():
        for _ in range(12):
            bury(aws, queue, body)
    assert len(put_back(context, {"all": True})["messages"]) == 12 * len(QUEUES)
    for queue, body in bodies.items():
        sent = [message["body"] for message in aws.messages(f"{queue}Queue")]
        assert sent == [body | {"replayed": True} if queue == "Ingest" else body] * 12
    assert ask(context)["messages"] == []
    assert put_back(context, {"all": True})["messages"] == []


@pytest.mark.parametrize("body", [{}, {"all": False}, {"all": True, "table": "t"}, {"ids": []}, {"tables": "t"}])
def test_should_not_guess_what_is_meant(context, body):
    answer = handler(http("POST", "/api/dead-letters/replay", body=body), context)
    assert answer["statusCode"] == 400
    assert json.loads(answer["body"])["mistakes"]


def test_should_let_a_run_in_that_was_rejected_only_because_its_message_died(aws, context, unique, monkeypatch):
    aws.use("SubmitQueue", "SubmitDeadLetters", monkeypatch)
    envelope = eventbridge("JobRequested", FULL, source="cron") | {"id": unique("event")}
    record = {"eventSource": "aws:sqs", "messageId": "m", "receiptHandle": "r", "body": json.dumps(envelope)}
    died = {"Records": [record | {"attributes": {"ApproximateReceiveCount": "9"}}]}
    assert submit(died, context) == {"batchItemFailures": []}
    before = [run for run in list_runs(50)["runs"] if run["status"] == "rejected"]
    assert len(before) >= 1
    assert len(put_back(context, {"all": True})["messages"]) == 1
    (again,) = aws.messages("SubmitQueue")
    first = {"Records": [record | {"body": again["Body"], "attributes": {"ApproximateReceiveCount": "1"}}]}
    assert submit(first, context) == {"batchItemFailures": []}
    run = runs.read_run(before[0]["run_id"])
    assert (run["status"], run["mistakes"], len(run["tables"])) == ("accepted", [], 1)


def test_should_mark_slices_and_tables_that_a_person_puts_back(aws, context, unique):
    slice_ = {"run_id": unique("run"), "bronze_table": "b", "source_key": "k", "generation": 1, "seq": 1, "index": 0}
    bury(aws, "Slice", slice_, "UnknownTable: x")
    bury(aws, "Ingest", wanted(unique), "UnknownTable: x")
    bury(aws, "Publish", refined(unique), "x: y")
    assert len(put_back(context, {"all": True})["messages"]) == 3
    assert [m["body"]["replayed"] for queue in ("SliceQueue", "IngestQueue") for m in aws.messages(queue)] == [
        True,
        True,
    ]
    assert "replayed" not in json.dumps(aws.messages("PublishQueue")[0]["body"])


class Failing:
    """A rule of a proxy: while a replay goes on, each message that it puts back fails again at once."""

    def __init__(self, aws):
        self.aws, self.failed = aws, 0

    def __call__(self, call: Call) -> Fault | None:
        return Fault("heard", hear=self.fail) if call.operation.endswith(".SendMessage") else None

    def fail(self, reply: bytes) -> None:
        if self.failed > 200:  # it would go on for ever
            return
        url = self.aws.name("IngestQueue")
        for message in self.aws.client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
            self.aws.client("sqs").delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            self.failed += 1
            bury(self.aws, "Ingest", json.loads(message["Body"]), "LoginRefused: wrong password")


@pytest.fixture
def failing(aws, monkeypatch):
    rule = Failing(FixedAws(aws))
    with AwsProxy(aws.endpoint) as proxy:
        proxy.rule = rule
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        yield rule
    monkeypatch.undo()


class FixedAws:
    """The stack past the proxy."""

    def __init__(self, aws):
        self.name = aws.name
        self._sqs = boto3.client("sqs", endpoint_url=aws.endpoint)

    def client(self, service: str):
        return self._sqs


def test_should_put_each_message_back_once_though_it_fails_again_at_once(aws, context, unique, failing):
    for _ in range(7):
        bury(failing.aws, "Ingest", wanted(unique), "LoginRefused: wrong password")
    answer = put_back(context, {"all": True})
    again = put_back(context, {"all": True, "until": answer["until"]})  # as the command does where there is more
    assert (len(answer["messages"]), failing.failed, again["messages"]) == (7, 7, [])
    assert (answer["more"], again["newer"], again["left"]) == (False, 7, 7)
    assert len(ask(context)["messages"]) == 7


def test_should_put_back_all_others_when_one_message_cannot_be_sent(aws, context, unique, monkeypatch):
    refused, cyrillic = wanted(unique), wanted(unique)
    cyrillic["source"]["query"] = "ж" * 100_000  # fits into a message as UTF-8 only
    bury(aws, "Ingest", refused, "x: y")
    bury_text(aws, "Ingest", json.dumps(cyrillic, ensure_ascii=False))
    others = [wanted(unique) for _ in range(3)]
    for other in others:
        bury(aws, "Ingest", other, "x: y")

    def rule(call: Call) -> Fault | None:
        hit = call.operation.endswith(".SendMessage") and refused["run_id"].encode() in call.body
        return Fault("instead", status=400, code="InvalidParameterValue") if hit else None

    with AwsProxy(aws.endpoint) as proxy, proxy.ruled_by(rule), monkeypatch.context() as environment:
        environment.setenv("AWS_ENDPOINT_URL", proxy.url)
        answer = put_back(context, {"all": True})
    sent = {message["body"]["run_id"]: message["Body"] for message in aws.messages("IngestQueue")}
    assert set(sent) == {one["run_id"] for one in (cyrillic, *others)}
    assert len(sent[cyrillic["run_id"]].encode()) < 256 * 1024
    assert [failed["run_id"] for failed in answer["failed"]] == [refused["run_id"]]
    assert "InvalidParameterValue" in answer["failed"][0]["problem"]
    assert [left["run_id"] for left in ask(context)["messages"]] == [refused["run_id"]]


def bury_text(aws, queue: str, text: str) -> None:
    aws.client("sqs").send_message(QueueUrl=aws.name(f"{queue}DeadLetters"), MessageBody=text)


def test_should_discard_with_a_reason_that_is_kept_and_shown(aws, context, unique):
    gone, kept = wanted(unique), wanted(unique)
    tables = [(gone["bronze"]["table"], "dbo.t")]
    runs.open_run(gone["run_id"], "wf", "job", "b", "http", tables)
    message_id = bury(aws, "Ingest", gone, "UnknownTable: no such table")
    bury(aws, "Ingest", kept, "UnknownTable: no such table")
    bury(aws, "Submit", eventbridge("JobRequested", FULL, source="cron"), "InvalidRequest: x")
    because = "the table was dropped for good"
    answer = put_back(context, {"run_id": gone["run_id"], "reason": because}, "discard")
    assert [one["id"] for one in answer["messages"]] == [message_id]
    assert "next load" in answer["messages"][0]["consequence"]
    assert len(ask(context)["messages"]) == 2 and aws.messages("IngestQueue") == []
    (told,) = runs.read_run(gone["run_id"])["discarded"]
    assert (told["discarded_because"], told["reason"]) == (because, "UnknownTable: no such table")
    put_back(context, {"all": True, "reason": "all of it"}, "discard")
    shown = handler(http("GET", "/api/dead-letters/discarded"), context)["body"]
    assert {(one["queue"], one["discarded_because"]) for one in json.loads(shown)["discarded"]} >= {
        ("ingest", because),
        ("ingest", "all of it"),
        ("submit", "all of it"),
    }
    assert FULL["source_config"]["connection"]["password"] not in shown
    assert ask(context)["messages"] == []


@pytest.mark.parametrize("reason", [None, "", "  ", 7, "x" * 501])
def test_should_discard_nothing_without_a_reason(aws, context, unique, reason):
    bury(aws, "Ingest", wanted(unique), "x: y")
    answer = handler(http("POST", "/api/dead-letters/discard", body={"all": True, "reason": reason}), context)
    assert (answer["statusCode"], len(ask(context)["messages"])) == (400, 1)
