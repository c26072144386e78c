"""Schedules: set by the API, looked after by the clock, whose event tells the time; their orders start runs."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from events.envelopes import http, sqs
from events.sample_messages import FULL
from flowforge.state import runs
from functions.replay.handler import handler as replay
from functions.schedules.handler import handler
from functions.submit_job.handler import handler as submit
from tests.helpers.function_calls import Context
from tests.helpers.meanwhile import after_first_write
from tests.helpers.schedules import ask, end, request, set_up, tick

pytestmark = pytest.mark.usefixtures("schedule_queues")

SUNDAY = datetime(2030, 3, 31, tzinfo=UTC)  # clocks go forward in Europe at 01:00


def test_should_start_a_run_when_it_is_due_and_not_before(orders, workflow):
    told = set_up(workflow, rate="1 hour")
    due = datetime.fromisoformat(told["next_at"])
    tick(due - timedelta(minutes=1))
    assert orders.waiting() == []
    tick(due)
    (run_id,) = orders.take()
    run = runs.read_run(run_id)
    assert (run["workflow_id"], run["trigger"], run["status"]) == (workflow, "schedule", "accepted")
    status, shown = ask("GET", workflow)
    assert (status, shown["last_run"], shown["last_status"]) == (200, run_id, "accepted")
    assert shown["next_at"] == shown["next"][0] == (due + timedelta(hours=1)).isoformat()


def test_should_start_one_run_for_a_due_time_however_often_it_is_seen(aws, orders, workflow):
    told = set_up(workflow, rate="1 hour")
    due = datetime.fromisoformat(told["next_at"])
    table, key = aws.name("Schedules"), {"pk": {"S": "SCHEDULES"}, "sk": {"S": workflow}}
    before = aws.client("dynamodb").get_item(TableName=table, Key=key)["Item"]
    tick(due)
    moved = aws.client("dynamodb").get_item(TableName=table, Key=key)["Item"]
    aws.client("dynamodb").put_item(
        TableName=table, Item=before
    )  # as an invocation that dies before it moves on leaves it
    tick(due + timedelta(minutes=1))
    sent = orders.waiting()
    assert len(sent) == 2
    assert len({order["new_run_id"] for order in sent}) == 1
    for order in sent:
        submit(sqs(order, queue="flowforge-SubmitQueue"), Context())
    assert len(runs.read_run(sent[0]["new_run_id"])["tables"]) == 1
    assert len(aws.messages("IngestQueue")) == 1
    assert ask("GET", workflow)[1]["next_at"] == datetime.fromisoformat(moved["due_at"]["S"]).isoformat()


def test_should_skip_while_the_last_run_is_going_and_say_when_and_why(orders, workflow):
    due = datetime.fromisoformat(set_up(workflow, rate="1 hour")["next_at"])
    tick(due)
    (first,) = orders.take()
    tick(due + timedelta(hours=1))
    tick(due + timedelta(hours=2))
    assert orders.waiting() == []
    skipped = ask("GET", workflow)[1]["skipped"]
    assert (skipped["times"], skipped["due"]) == (2, (due + timedelta(hours=2)).isoformat())
    assert f"run {first} is accepted" in skipped["why"]
    end(first)
    tick(due + timedelta(hours=3))
    (second,) = orders.take()
    shown = ask("GET", workflow)[1]
    assert (shown["last_run"], shown["skipped"]) == (second, None)
    assert second != first


def test_should_skip_while_a_run_is_going_that_a_person_has_started(orders, workflow):
    due = datetime.fromisoformat(set_up(workflow, rate="1 hour")["next_at"])
    posted = http("POST", f"/api/workflows/{workflow}/run", "/api/workflows/{id}/run", request(workflow))
    run_id = json.loads(submit(posted, Context())["body"])["run_id"]
    tick(due)
    assert orders.waiting() == []
    assert run_id in ask("GET", workflow)[1]["skipped"]["why"]


def test_should_not_wait_for_ever_for_a_run_that_never_ends(orders, workflow):
    due = datetime.fromisoformat(set_up(workflow, rate="2 hours")["next_at"])
    tick(due)
    assert len(orders.take()) == 1  # its table's load is never told of
    tick(due + timedelta(hours=26))
    assert len(orders.take()) == 1


def test_should_skip_while_the_order_of_the_last_run_is_still_queued(orders, workflow):
    due = datetime.fromisoformat(set_up(workflow, rate="10 minutes")["next_at"])
    tick(due)
    assert len(orders.waiting()) == 1  # which nobody has taken
    tick(due + timedelta(minutes=10))
    assert orders.waiting() == []
    assert "queued and has not begun" in ask("GET", workflow)[1]["skipped"]["why"]
    tick(due + timedelta(minutes=70))
    assert len(orders.waiting()) == 1


def test_should_fold_what_was_missed_into_one_run_and_say_so(orders, workflow):
    due = datetime.fromisoformat(set_up(workflow, rate="1 hour")["next_at"])
    tick(due + timedelta(hours=5, minutes=20))
    assert len(orders.take()) == 1
    shown = ask("GET", workflow)[1]
    last = (due + timedelta(hours=5)).isoformat()
    assert (shown["missed"]["times"], shown["missed"]["since"], shown["missed"]["until"]) == (6, due.isoformat(), last)
    assert (shown["last_due"], shown["next_at"]) == (last, (due + timedelta(hours=6)).isoformat())
    tick(due + timedelta(hours=5, minutes=21))
    assert orders.waiting() == []


def test_should_be_due_by_the_clock_of_its_time_zone(aws, orders, workflow):
    set_up(workflow, cron="30 2 * * 0", timezone="Europe/Berlin")
    table, key = aws.name("Schedules"), {"pk": {"S": "SCHEDULES"}, "sk": {"S": workflow}}
    waits = {
        "UpdateExpression": "SET due_at = :due",
        "ExpressionAttributeValues": {":due": {"S": "2030-03-31T01:00:00+00:00"}},
    }
    aws.client("dynamodb").update_item(TableName=table, Key=key, **waits)  # the Sunday that has no 02:30
    tick(SUNDAY.replace(hour=1))
    assert len(orders.take()) == 1
    assert ask("GET", workflow)[1]["next_at"] == "2030-04-07T00:30:00+00:00"


def test_should_start_nothing_while_it_is_paused_and_go_on_with_the_next_time(orders, workflow):
    due = datetime.fromisoformat(set_up(workflow, rate="1 hour")["next_at"])
    assert ask("POST", workflow, {}, "/pause")[1]["next_at"] is None
    tick(due + timedelta(hours=3))
    assert orders.waiting() == []
    resumed = ask("POST", workflow, {}, "/resume")[1]
    assert datetime.fromisoformat(resumed["next_at"]) > datetime.now(UTC)
    assert resumed["missed"] is None


def test_should_go_on_from_now_once_resumed_after_a_clock_was_ahead(orders, workflow):
    set_up(workflow, rate="1 hour")
    tick(datetime.now(UTC) + timedelta(days=900))
    orders.take()
    assert ask("GET", workflow)[1]["next_at"] > (datetime.now(UTC) + timedelta(days=899)).isoformat()
    assert ask("POST", workflow, {}, "/pause")[0] == 200
    assert ask("POST", workflow, {}, "/resume")[1]["next_at"] < (datetime.now(UTC) + timedelta(hours=2)).isoformat()


def test_should_start_nothing_once_it_is_removed(orders, workflow):
    due = datetime.fromisoformat(set_up(workflow, rate="1 hour")["next_at"])
    tick(due)
    assert ask("DELETE", workflow)[0] == 204
    tick(due + timedelta(hours=1))
    assert ask("GET", workflow)[0] == 404
    (run_id,) = orders.take()  # ordered before
    assert not runs.is_open(run_id)


def test_should_keep_both_parts_of_one_that_is_set_while_another_person_removes_it(orders, workflow):
    set_up(workflow, rate="1 hour")
    due: list[str] = []

    def set_anew() -> None:
        due.append(set_up(workflow, rate="1 day")["next_at"])

    with after_first_write("dynamodb", "DeleteItem", "TransactWriteItems", do=set_anew):
        assert ask("DELETE", workflow)[0] == 204
    tick(due[0])
    (run_id,) = orders.take()
    assert runs.read_run(run_id)["status"] == "accepted"


def test_should_say_so_where_the_request_of_a_schedule_is_gone(aws, orders, workflow, monkeypatch):
    pair = f"submit={aws.name('SubmitDeadLetters')}>{aws.name('SubmitQueue')}"
    monkeypatch.setenv("FLOWFORGE_REPLAY_QUEUES", pair)
    due = set_up(workflow, rate="1 hour")["next_at"]
    key = {"pk": {"S": f"REQUEST#{workflow}"}, "sk": {"S": "REQUEST"}}
    aws.client("dynamodb").delete_item(TableName=aws.name("Schedules"), Key=key)
    tick(due)
    (run_id,) = orders.take()
    told = [detail for kind, detail in aws.announced() if kind == "StepFailed" and detail["run_id"] == run_id]
    assert [(one["error"], workflow in one["cause"]) for one in told] == [("UnreadableRecord", True)]
    assert "Set the schedule again" in told[0]["remedy"]
    assert runs.read_run(run_id)["status"] == "rejected"
    letters = json.loads(replay(http("GET", "/api/dead-letters"), Context())["body"])["messages"]
    assert run_id in [letter["run_id"] for letter in letters]  # so it is found by `flowforge replay --run RUN`


def test_should_refuse_a_request_for_the_mistakes_of_a_submission(workflow):
    wrong = request(workflow, source_type="file", surprise=1)
    status, answer = ask("PUT", workflow, {"request": wrong, "rate": "1 hour"})
    posted = http("POST", f"/api/workflows/{workflow}/run", "/api/workflows/{id}/run", wrong)
    assert (status, answer["mistakes"]) == (400, json.loads(submit(posted, Context())["body"])["mistakes"])
    assert ask("GET", workflow)[0] == 404


@pytest.mark.parametrize(
    ("when", "field"),
    [
        ({}, "cron"),
        ({"cron": "0 2 * * *", "rate": "1 day"}, "rate"),
        ({"cron": "0 2 * *"}, "cron"),
        ({"rate": "1 fortnight"}, "rate"),
        ({"cron": "0 2 * * *", "timezone": "Berlin"}, "timezone"),
        ({"rate": "1 day", "timezone": "Europe/Berlin"}, "timezone"),
    ],
)
def test_should_refuse_what_is_no_time(workflow, when, field):
    status, answer = ask("PUT", workflow, {"request": request(workflow)} | when)
    assert (status, [mistake["field"] for mistake in answer["mistakes"]]) == (400, [field])


def test_should_refuse_a_batch_id_since_each_run_has_its_own(workflow):
    status, answer = ask("PUT", workflow, {"request": FULL | {"workflow_id": workflow}, "rate": "1 day"})
    assert (status, answer["mistakes"][0]["field"]) == (400, "batch_id")


def test_should_keep_no_password(aws, workflow):
    password = "Hid-5c4f2a!"
    wrong = request(workflow)
    wrong["source_config"]["connection"]["password"] = password
    assert ask("PUT", workflow, {"request": wrong, "rate": "1 day"})[0] == 200
    kept = aws.client("dynamodb").scan(TableName=aws.name("Schedules"))["Items"]
    shown = ask("GET", workflow)[1]
    assert password not in json.dumps(kept) + json.dumps(shown)
    assert shown["request"]["source_config"]["connection"]["secretId"].startswith("flowforge/inline/")


def test_should_show_a_run_that_could_not_be_started_with_its_reason(orders, workflow):
    wanted = request(workflow)
    wanted["source_config"]["connection"] = {"connectionId": f"c-{workflow[-8:]}"}
    saved = {"id": f"c-{workflow[-8:]}", "host": "localhost", "database": "d", "username": "u", "password": "p"}
    from functions.connections.handler import handler as connections

    assert connections(http("POST", "/api/connections", body=saved), Context())["statusCode"] == 201
    assert ask("PUT", workflow, {"request": wanted, "rate": "1 hour"})[0] == 200
    removed = http("DELETE", f"/api/connections/{saved['id']}", "/api/connections/{id}")
    assert connections(removed, Context())["statusCode"] == 204
    tick(ask("GET", workflow)[1]["next_at"])
    (run_id,) = orders.take()
    run = runs.read_run(run_id)
    assert (run["status"], run["trigger"]) == ("rejected", "schedule")
    assert "no saved connection" in run["mistakes"][0]["problem"]
    told = [detail for kind, detail in orders.aws.announced() if kind == "StepFailed" and detail["run_id"] == run_id]
    assert [(one["step"], workflow in one["cause"]) for one in told] == [("submit", True)]


def test_should_list_in_pages_and_tell_of_one_that_cannot_be_read(aws, unique):
    names = sorted(unique(f"page{n}") for n in range(3))
    for name in names:
        set_up(name, rate="1 day", paused=True)
    table = aws.name("Schedules")
    broken = {"pk": {"S": "SCHEDULES"}, "sk": {"S": unique("broken")}, "version": {"N": "99"}}
    aws.client("dynamodb").put_item(TableName=table, Item=broken)
    seen, query = [], {"limit": "2"}
    while True:
        answer = json.loads(handler(http("GET", "/api/schedules", query=query), Context())["body"])
        assert len(answer["schedules"]) <= 2
        seen += answer["schedules"]
        if "next" not in answer:
            break
        query["cursor"] = answer["next"]
    by_name = {one["workflow_id"]: one for one in seen}
    assert len(by_name) == len(seen)
    assert set(names) <= set(by_name)
    assert "version 99" in by_name[broken["sk"]["S"]]["problem"]
    aws.client("dynamodb").delete_item(TableName=table, Key={name: broken[name] for name in ("pk", "sk")})


def test_should_look_after_the_others_where_one_cannot_be_read(aws, orders, workflow, unique):
    due = datetime.fromisoformat(set_up(workflow, rate="1 hour")["next_at"])
    broken = {"pk": {"S": "SCHEDULES"}, "sk": {"S": unique("broken")}, "version": {"N": "99"}}
    waits = {"waits": {"S": "time"}, "due_at": {"S": "2020-01-01T00:00:00+00:00"}}
    aws.client("dynamodb").put_item(TableName=aws.name("Schedules"), Item=broken | waits)
    assert tick(due)["failed"] == 1
    assert len(orders.take()) == 1
    aws.client("dynamodb").delete_item(
        TableName=aws.name("Schedules"), Key={name: broken[name] for name in ("pk", "sk")}
    )
