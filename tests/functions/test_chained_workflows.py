"""Workflows that start after another one has succeeded: once for each of its runs, in whatever order they end."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from events.envelopes import http
from events.facts import IntervalEmpty
from flowforge.state import run_stories, runs
from functions.submit_job.handler import handler as submit
from tests.helpers.function_calls import Context
from tests.helpers.schedules import ask, end, request, set_up, tick

pytestmark = pytest.mark.usefixtures("schedule_queues")


class Others:
    """A workflow that another one waits for: its runs, as people start them."""

    def __init__(self, name: str):
        self.name = name

    def start(self) -> str:
        posted = http("POST", f"/api/workflows/{self.name}/run", "/api/workflows/{id}/run", request(self.name))
        return json.loads(submit(posted, Context())["body"])["run_id"]

    def succeed(self, run_id: str) -> str:
        (table,) = runs.tables_of(run_id)
        batch = {"run_id": run_id, "bronze_table": table, "source_key": f"k>{self.name}", "generation": 1, "seq": 1}
        run_stories.record(IntervalEmpty(**batch, source_table="dbo.customers", reason="nothing new"))
        return run_id


@pytest.fixture
def other(unique):
    found = Others(unique("other"))
    found.succeed(found.start())  # long ago: it is known
    return found


def later(minutes: int = 0) -> datetime:
    return datetime.now(UTC) + timedelta(minutes=minutes, seconds=1)


def test_should_start_after_each_run_of_another_that_succeeds_and_once(orders, workflow, other):
    set_up(workflow, after=other.name)
    first = other.start()
    tick(later())
    assert orders.waiting() == []
    other.succeed(first)
    tick(later())
    tick(later())
    (run_id,) = orders.take()
    shown = ask("GET", workflow)[1]
    assert (shown["last_run"], shown["last_after"], shown["next_at"]) == (run_id, first, None)
    assert runs.read_run(run_id)["trigger"] == "chain"
    end(run_id)
    tick(later())
    assert orders.waiting() == []
    second = other.succeed(other.start())
    tick(later())
    assert len(orders.take()) == 1
    assert ask("GET", workflow)[1]["last_after"] == second


def test_should_follow_a_run_that_succeeds_late_or_was_mended(orders, workflow, other):
    set_up(workflow, after=other.name)
    slow, quick = other.start(), other.start()
    end(slow)
    other.succeed(quick)
    tick(later())
    (run_id,) = orders.take()
    assert ask("GET", workflow)[1]["last_after"] == quick
    end(run_id)
    other.succeed(slow)  # by a replay
    tick(later(60))
    assert len(orders.take()) == 1
    assert ask("GET", workflow)[1]["last_after"] == slow


def test_should_let_a_follower_end_and_leave_none_out(orders, workflow, other):
    set_up(workflow, after=other.name)
    succeeded = [other.succeed(other.start()) for _ in range(2)]
    tick(later())
    (first,) = orders.take()
    tick(later())
    assert orders.waiting() == []
    assert first in ask("GET", workflow)[1]["holding"]
    end(first)
    tick(later(10))
    assert len(orders.take()) == 1
    shown = ask("GET", workflow)[1]
    assert (shown["last_after"], shown["holding"]) == (succeeded[1], None)


def test_should_follow_what_succeeded_while_nobody_looked(orders, workflow, other):
    set_up(workflow, after=other.name)
    other.succeed(other.start())
    tick(later(60 * 24 * 7))
    assert len(orders.take()) == 1


def test_should_refuse_a_circle_by_its_names(unique, other):
    one, two = unique("one"), unique("two")
    set_up(one, after=other.name)
    set_up(two, after=one)
    status, answer = ask("PUT", other.name, {"request": request(other.name), "after": two})
    assert (status, answer["mistakes"][0]["field"]) == (400, "after")
    assert f"{other.name} after {two} after {one} after {other.name}" in answer["mistakes"][0]["problem"]
    assert ask("PUT", one, {"request": request(one), "after": one})[0] == 400


def test_should_refuse_to_wait_for_a_workflow_that_nobody_knows(workflow, unique):
    status, answer = ask("PUT", workflow, {"request": request(workflow), "after": unique("typo")})
    assert (status, answer["mistakes"][0]["field"]) == (400, "after")
