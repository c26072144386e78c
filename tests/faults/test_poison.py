"""Messages that can never succeed: they end in their dead-letter queue with the reason, and nobody else waits for them."""

import hashlib
import json

import pytest

from tests.faults.lanes import Lane
from tests.helpers.aws_proxy import Call, Fault

pytestmark = pytest.mark.timeout(600)

WORK = ("Submit", "Ingest", "Slice", "Watermark", "Refine", "Publish", "Track")


@pytest.fixture(autouse=True)
def no_letters(world) -> None:
    """What tests before have had given up is not told of here."""
    for queue in WORK:
        world.letters(f"{queue}DeadLetters")


@pytest.fixture
def siblings(world, rng, name) -> list[Lane]:
    """Two tables that load well."""
    lanes = [Lane(world, "full load", f"{name}_{n}", rng) for n in range(2)]
    for lane in lanes:
        lane.create()
    return lanes


def by_table(run: dict) -> dict[str, dict]:
    return {table["table"]: table for table in run["tables"]}


def reason(letter: dict) -> tuple[str, str]:
    attributes = letter["MessageAttributes"]
    return attributes["step"]["StringValue"], attributes["reason"]["StringValue"]


def test_should_let_the_siblings_of_a_table_that_does_not_exist_finish(world, siblings, tally, name):
    names = [siblings[0].name, f"{name}_gone", siblings[1].name]
    (run,) = world.chain.finish(world.submit({"tables": [{"tableName": n} for n in names]}))
    world.chain.run_idle()
    tables = by_table(run)
    assert run["status"] == "failed"
    assert [tables[lane.bronze]["status"] for lane in siblings] == ["published", "published"]
    gone = tables[f"bronze_{name}_gone"]
    assert (gone["status"], gone["error"]["error"], gone["error"]["step"]) == ("failed", "UnknownTable", "ingest")
    (letter,) = world.letters("IngestDeadLetters")
    step, why = reason(letter)
    assert step == "ingest" and "UnknownTable" in why and f"{name}_gone" in why
    assert json.loads(letter["Body"])["source"]["table_name"] == f"{name}_gone"
    for lane in siblings:
        checked, lost, doubled = world.compare(lane.name, lane.name, "id, amount, note")
        tally.add("poison messages", rows_checked=checked, lost=lost, doubled=doubled)
    tally.add("poison messages", faults=1)


def test_should_give_up_a_message_that_kills_every_worker_and_let_the_siblings_finish(world, siblings, tally, name):
    deadly, killed = siblings[0], []

    def kill(call: Call) -> Fault | None:
        delivery = world.chain.deliveries.get(call.worker)
        if delivery and (delivery.function, delivery.table) == ("RefineSilver", deadly.bronze) and call.number == 5:
            killed.append(delivery)
            return Fault("before", delivery.work.kill)
        return None

    with world.aws.ruled_by(kill):
        (run,) = world.chain.finish(world.submit({"tables": [{"tableName": lane.name} for lane in siblings]}))
        world.chain.run_idle()
    tables = by_table(run)
    assert len(killed) == 3 and tables[siblings[1].bronze]["status"] == "published"
    failed = tables[deadly.bronze]
    assert (failed["status"], failed["error"]["step"]) == ("failed", "silver")
    assert "died" in failed["error"]["cause"]
    (letter,) = world.letters("RefineDeadLetters")
    assert reason(letter)[0] == "silver" and "died" in reason(letter)[1]
    world.sqs.send_message(QueueUrl=world.resources.make("RefineQueue")[0], MessageBody=letter["Body"])
    world.chain.run_idle()
    deadly.run_ids.append(run["run_id"])
    assert by_table(world.chain.ended_run(run["run_id"]))[deadly.bronze]["status"] == "published"
    checked, lost, doubled = world.compare(deadly.name, deadly.name, "id, amount, note")
    tally.add("poison messages", kills=len(killed), redeliveries=1, rows_checked=checked, lost=lost, doubled=doubled)
    assert (lost, doubled) == (0, 0)


def _kept(queue: str, letter: dict) -> str:
    """What a dead letter tells of its message; of a request that cannot be read, which may hold a password, its hash alone."""
    return json.loads(letter["Body"])["notKept"]["sha256"] if queue == "Submit" else letter["Body"]


def _kept_of(queue: str, text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest() if queue == "Submit" else text


@pytest.mark.parametrize(
    "text", ["", "not json", "[]", '"text"', "{}", '{"run_id": 7}', '{"detail-type": 1, "detail": []}']
)
def test_should_keep_what_is_no_message_with_its_reason(world, tally, text):
    texts = text or " "
    urls = {queue: world.resources.make(f"{queue}Queue")[0] for queue in WORK}
    for url in urls.values():
        world.sqs.send_message(QueueUrl=url, MessageBody=texts)
    world.chain.run_idle()
    for queue in WORK:
        letters = world.letters(f"{queue}DeadLetters")
        assert [_kept(queue, letter) for letter in letters] == [_kept_of(queue, texts)], queue
        assert all(reason(letter)[1] for letter in letters)
    tally.add("poison messages", faults=len(WORK))
