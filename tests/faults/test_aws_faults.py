"""AWS as it is on a bad day: throttled, failing, slow to answer for what it has done; every load goes through all the same."""

import json
import random
from collections.abc import Callable

import pytest

from flowforge.state.batch_records import history
from flowforge.state.table import resolve
from tests.faults.aim import Point
from tests.faults.deliveries import Delivery
from tests.faults.kills import LARGE, large_lane
from tests.faults.lanes import Lane, create_lanes, load_all
from tests.helpers.aws_proxy import Call, Fault

pytestmark = pytest.mark.timeout(600)

REPLY_LOST = "AWS: reply of a successful write lost"
FUNCTIONS = ("Watermark", "IngestTable", "RefineSilver", "PublishGold")
BROKEN = ("reply lost", "connection lost", "500", "503")
LOST = {"connection lost": lambda call: Fault("before"), "reply lost": lambda call: Fault("after")}
ERROR = {"500": lambda call: Fault("instead", status=500, code="InternalServerError")}
BY_SERVICE: dict[str, dict[str, Callable[[Call], Fault]]] = {
    "DynamoDB": {
        "throttled": lambda call: Fault("instead", status=400, code="ProvisionedThroughputExceededException"),
        "slowed down": lambda call: Fault("instead", status=400, code="ThrottlingException"),
    },
    "S3": {
        "slowed down": lambda call: Fault("instead", status=503, code="SlowDown"),
        "unavailable": lambda call: Fault("instead", status=503, code="ServiceUnavailable"),
    },
    "AmazonSQS": {"throttled": lambda call: Fault("instead", status=400, code="ThrottlingException")},
    "AWSEvents": {"throttled": lambda call: Fault("instead", status=400, code="ThrottlingException")},
    "secretsmanager": {"throttled": lambda call: Fault("instead", status=400, code="ThrottlingException")},
}
BY_OPERATION: dict[str, dict[str, Callable[[Call], Fault]]] = {
    "TransactWriteItems": {
        "conflict": lambda call: Fault("instead", status=400, code="TransactionCanceledException"),
    },
    "PUT": {
        "412": lambda call: Fault("instead", status=412, code="PreconditionFailed"),
        "409": lambda call: Fault("instead", status=409, code="ConditionalRequestConflict"),
    },
    "PutEvents": {"refused entry": lambda call: Fault("instead", status=200, answer=_refused_entry())},
    "SendMessageBatch": {"refused entries": lambda call: Fault("instead", status=200, answer=_refused_messages(call))},
}


def _refused_entry() -> str:
    return json.dumps({"FailedEntryCount": 1, "Entries": [{"ErrorCode": "InternalFailure", "ErrorMessage": "made up"}]})


def _refused_messages(call: Call) -> str:
    entries = json.loads(call.body)["Entries"]
    failed = [{"Id": entry["Id"], "Code": "InternalError", "SenderFault": False} for entry in entries]
    return json.dumps({"Successful": [], "Failed": failed})


def menu(call: Call) -> dict[str, Callable[[Call], Fault]]:
    """What may happen to a call."""
    service, _, operation = call.operation.rpartition(".")
    common = {} if service == "S3" and operation == "HEAD" else ERROR
    found = {
        **LOST,
        **common,
        **BY_SERVICE.get(service.removesuffix("_20120810"), {}),
        **BY_OPERATION.get(operation, {}),
    }
    if operation == "PUT" and "partNumber" in call.path:
        del found["412"], found["409"]
    return found


def test_should_lose_nothing_whatever_aws_answers(world, aim, rng: random.Random, tally, quick, name):
    seen: list[str] = []

    def strike(call: Call, delivery: Delivery) -> Fault:
        fault, make = rng.choice(sorted(menu(call).items()))
        seen.append(f"{delivery.function} {call.operation} {fault}")
        return make(call)

    what, lanes = "AWS: throttled, failing, replies lost", create_lanes(world, name, rng)
    for _ in range(3 if quick else 14):
        for lane in lanes:
            lane.write()
            kind = rng.choice(("call", "write", "write"))
            aim.at(lane.bronze, Point(kind, rng.randint(1, 5 if kind == "write" else 30)), strike)
        load_all(world, lanes, tally, what)
    print("\n".join(sorted(set(seen))))
    tally.add(what, faults=len(seen))
    assert len(set(seen)) > 8


@pytest.mark.sampled(1)
@pytest.mark.parametrize("function", FUNCTIONS)
def test_should_know_its_own_write_when_the_reply_is_lost(world, aim, rng, tally, name, function):
    """An SDK sends the call again and is refused: by its own write. That is no other worker, and nothing to wait for."""
    lane = Lane(world, "rowversion", name, rng)
    lane.create()
    struck = -1
    while struck < aim.struck.total():  # until a load makes no more writes
        struck, before = aim.struck.total(), len(world.chain.history)
        aim.at(
            lane.bronze, Point("write", struck + 1), lambda call, d: Fault("after") if d.function == function else None
        )
        lane.write()
        lane.load(tally, REPLY_LOST)
        (delivery,) = [d for d in world.chain.history[before:] if d.table == lane.bronze and d.function == function]
        assert delivery.work.answer == {"batchItemFailures": []}, world.chain.trail()
    tally.add(REPLY_LOST, faults=struck)
    assert struck >= 2


def test_should_know_its_own_claim_when_the_reply_to_taking_it_over_is_lost(world, rng, tally, name):
    lane = Lane(world, "full load", name, rng)
    lane.create()
    killed, lost = [], []

    def rule(call: Call) -> Fault | None:
        delivery = world.chain.deliveries.get(call.worker)
        if delivery and delivery.function == "IngestTable":
            if call.operation.endswith("TransactWriteItems") and not killed:
                killed.append(call)
                return Fault("after", delivery.work.kill)
            if b"attempts = :attempts" in call.body and not lost:
                lost.append(call)
                return Fault("after")
        return None

    with world.aws.ruled_by(rule):
        lane.load(tally, REPLY_LOST)
    tally.add(REPLY_LOST, kills=1, faults=1)
    assert killed and lost
    assert [batch.attempts for batch in history(resolve(lane.bronze).source_key)] == [2]


def test_should_commit_when_the_state_store_comes_back(world, rng, tally, name):
    lane = Lane(world, "rowversion", name, rng)
    lane.create()
    down: list[Call] = []

    def no_store(call: Call) -> Fault | None:
        delivery = world.chain.deliveries.get(call.worker)
        if delivery and delivery.function == "Watermark" and "DynamoDB" in call.operation and len(down) < 7:
            down.append(call)
            return Fault("before")
        return None

    what = "AWS: state store down at commit"
    with world.aws.ruled_by(no_store):
        run = lane.load(tally, what)
    tally.add(what, faults=len(down))
    assert run["tables"][0]["watermark_committed"] and len(down) == 7


@pytest.mark.sampled(1)
@pytest.mark.parametrize("kind", BROKEN)
def test_should_complete_an_upload_whose_parts_fail(world, rng, tally, name, kind):
    lane, failed = large_lane(world, rng, name), []
    faults = LOST | ERROR | {"503": BY_SERVICE["S3"]["slowed down"]}

    def fail(call: Call) -> Fault | None:
        hit = lane.bronze in call.path and ("partNumber" in call.path or "uploadId" in call.path)
        if not hit or (call.operation, call.path) in failed:
            return None
        failed.append((call.operation, call.path))
        return faults[kind](call)

    what = "AWS: parts of an upload fail"
    with world.aws.ruled_by(fail):
        lane.load(tally, what, **LARGE)
    tally.add(what, faults=len(failed))
    assert len(failed) >= 3  # two parts and the completion
