"""Rows that are released from quarantine, from the order to gold."""

import json

import pytest

from events.commands import IngestTable, ReleaseQuarantine
from events.envelopes import eventbridge, http, sqs
from events.request import SilverConfig
from flowforge.bronze.ingest import ingest
from flowforge.operations.query import query
from flowforge.runtime.settings import settings
from flowforge.silver.step import refine_landed, release_quarantine
from functions.publish_gold.handler import handler as publish
from functions.refine_silver.handler import handler as refine
from functions.show_lake.handler import handler as show_lake
from tests.helpers.file_jobs import why_nothing

EMPTY_BATCHES = 23  # more than a table's history shows


def ruled(load, run: str, most: int, **settled) -> IngestTable:
    rule = {"rule": "range", "column": "id", "max": most, "severity": "quarantine"}
    command = load.command(run, **settled)
    rules = SilverConfig.model_validate({"qualityRules": [rule]}).qualityRules
    return command.model_copy(update={"silver": command.silver.model_copy(update={"quality_rules": rules})})


@pytest.fixture
def follow(aws, context, monkeypatch):
    """Brings what is announced to silver, or to gold, as the queues do."""

    def to(queue: str, handler, *bodies: dict) -> list[dict]:
        aws.use(f"{queue}Queue", f"{queue}DeadLetters", monkeypatch)
        for body in bodies:
            assert handler(sqs(body), context) == {"batchItemFailures": []}
        assert aws.messages(f"{queue}DeadLetters") == []
        return [message["body"] for message in aws.messages("PublishQueue" if queue == "Refine" else "TrackQueue")]

    for queue in ("RefineQueue", "PublishQueue", "TrackQueue", "RefineDeadLetters", "PublishDeadLetters"):
        aws.messages(queue)
    return to


def in_silver(load) -> list[int]:
    return [key for (key,) in query(f"SELECT id FROM silver.{load.name} ORDER BY id", settings().bucket).rows]


def gold_rows(told: list[dict]) -> list[int]:
    published = [one["detail"] for one in told if one["detail-type"] == "GoldPublished"]
    return [rows for detail in published for rows in detail["gold_tables"].values()]


def test_should_bring_released_rows_to_gold_though_only_empty_batches_came_since(aws, context, loads, follow):
    load = loads()
    (landed,) = load.follow(ruled(load, "strict", 15))
    fact = eventbridge("BronzeLanded", json.loads(landed.model_dump_json()))
    refined = follow("Refine", refine, fact)
    assert gold_rows(follow("Publish", publish, *refined)) == [1]
    told = json.loads(show_lake(http("GET", "/api/tables", query={"layer": "gold"}), context)["body"])["tables"]
    (build,) = [one["build"] for one in told if one["table"] == load.name]
    assert (build["outcome"], build["run_id"]) == ("built", landed.run_id)
    for number in range(EMPTY_BATCHES):
        assert load.follow(ruled(load, f"mild_{number}", 1000 + number)) == []
    assert load.states().count("empty") >= 19
    for queue in ("RefineQueue", "PublishQueue"):
        aws.messages(queue)
    follow("Refine", refine)  # nothing yet: the order goes to that queue
    where = f"/api/silver/{load.name}/release", "/api/silver/{table}/release"
    assert json.loads(refine(http("POST", *where, body={}), context)["body"])["rows"] == 2
    (order,) = [message["body"] for message in aws.messages("RefineQueue")]
    refined = follow("Refine", refine, order)
    assert gold_rows(follow("Publish", publish, *refined)) == [3]
    assert follow("Refine", refine, order)  # the worker died before it told: gold hears of it all the same


@pytest.mark.parametrize(
    "cursor", [{"column": "id"}, {"column": None, "is_incremental": True, "change_tracking": True}]
)
def test_should_judge_by_the_rules_of_the_newest_request_though_it_found_nothing_new(loads, tracked, cursor):
    load = loads(rows="SELECT 1", indexed=False) if cursor["column"] else tracked().table
    if cursor["column"]:
        load.execute("INSERT INTO {t} (id) VALUES (10), (20), (30)")

    def judged(run: str, most: int) -> list[int]:
        fact = why_nothing(ingest(ruled(load, run, most, **cursor)))
        told = [note for note in fact.notes if "quality rules are others now" in note]
        assert (fact.claimed, bool(told)) == (False, run != "again")
        release_quarantine(order)
        return in_silver(load)

    (landed,) = load.follow(ruled(load, "strict", 15, **cursor))
    assert refine_landed(landed) is not None
    order = ReleaseQuarantine(
        source_key=load.key, silver_table=load.name, run_id=landed.run_id, bronze_table=landed.bronze_table
    )
    release_quarantine(order)
    assert in_silver(load) == [10]
    assert judged("mild", 25) == [10, 20]
    assert judged("again", 25) == [10, 20]
    assert judged("stricter", 15) == [10, 20]  # the first one's rules are the newest request's once more
    assert judged("milder", 35) == [10, 20, 30]
