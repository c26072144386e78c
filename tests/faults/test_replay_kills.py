"""A replay that is killed while it puts messages back: a message may then lie in both queues, but never in none."""

import json
import re
from contextlib import suppress
from typing import Literal

import pytest
from botocore.exceptions import ClientError

from events.envelopes import http
from flowforge.domain.given import given
from tests.faults.lanes import Lane
from tests.faults.world import World
from tests.helpers.aws_proxy import Call, Fault

pytestmark = pytest.mark.timeout(600)

WHAT = "kill -9 of a replay"
POINTS = [(operation, when) for operation in ("SendMessage", "DeleteMessage") for when in ("before", "after")]


class Assassin:
    """A rule: kills the replay at its n-th call of an operation. Knows what the replay has hidden from the next one."""

    def __init__(self, world: World, operation: str, when: Literal["before", "after"], number: int):
        self.world, self.operation, self.left = world, operation, number
        self.when: Literal["before", "after"] = when
        self.hidden: list[str] = []

    def __call__(self, call: Call) -> Fault | None:
        delivery = self.world.chain.deliveries.get(call.worker)
        if delivery is None or delivery.function != "Replay":
            return None
        if call.operation.endswith(".ReceiveMessage"):
            return Fault("heard", hear=self._note)
        self.left -= call.operation.endswith(f".{self.operation}")
        if self.left == 0 and call.operation.endswith(f".{self.operation}"):
            return Fault(self.when, delivery.work.kill)
        return None

    def _note(self, reply: bytes) -> None:
        self.hidden += [handle.decode() for handle in re.findall(rb'"ReceiptHandle": *"([^"]+)"', reply)]

    def show_again(self) -> None:
        """What lies hidden in the dead-letter queue is seen again, as it would be after a minute."""
        url = self.world.resources.make("IngestDeadLetters")[0]
        for handle in self.hidden:
            with suppress(ClientError):  # this one the replay has deleted
                self.world.sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=0)


def replay(world: World) -> dict | None:
    """Puts everything back, as the command does; returns its answer, or None when the worker was killed."""
    work = world.chain.invoke("Replay", http("POST", "/api/dead-letters/replay", body={"all": True}))
    if work.exit == -9:
        return None
    assert work.exit == 0 and work.answer["statusCode"] == 200, work.answer
    return json.loads(work.answer["body"])


def buried(world: World, lanes: list[Lane]) -> list[str]:
    """Runs of tables that do not exist yet; their messages end in the dead-letter queue."""
    ended = world.chain.finish(*(lane.submit() for lane in lanes))
    world.chain.run_idle()
    assert {run["status"] for run in ended} == {"failed"}
    return [run["run_id"] for run in ended]


@pytest.mark.sampled(2)
@pytest.mark.parametrize(("operation", "when"), POINTS)
def test_should_lose_no_message_when_a_replay_is_killed(world, rng, tally, name, operation, when):
    lanes = [Lane(world, "full load", f"{name}_{n}", rng) for n in range(3)]
    run_ids = buried(world, lanes)
    for lane in lanes:
        lane.create()
    victim = rng.randint(1, len(lanes))
    with world.aws.ruled_by(Assassin(world, operation, when, victim)) as assassin:
        assert replay(world) is None
    assassin.show_again()
    world.chain.run_idle()
    still_there = len(lanes) - victim + ((operation, when) != ("DeleteMessage", "after"))
    assert len(given(replay(world))["messages"]) == still_there
    world.chain.run_idle()
    assert world.letters("IngestDeadLetters") == []
    for lane, run_id in zip(lanes, run_ids, strict=True):
        lane.check(tally, WHAT, world.chain.ended_run(run_id))
    in_both = (operation, when) in (("SendMessage", "after"), ("DeleteMessage", "before"))
    tally.add(WHAT, kills=1, redeliveries=int(in_both))
