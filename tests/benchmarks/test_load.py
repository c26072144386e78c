"""The load of many tables: a small one loses nothing, and its model says what follows from what was measured."""

import json

import pytest

from benchmarks.load import model, report, run
from benchmarks.load.latency import Version, percentile, versions
from benchmarks.load.model import LargeTable, Use
from benchmarks.load.tables import mix
from flowforge.cli.pricing import read_prices

MEMORY = {"IngestTable": 1024, "TrackRun": 512}


@pytest.mark.timeout(300)
def test_should_lose_nothing_of_what_a_writer_changes_and_tell_how_long_it_takes_to_gold():
    load = run.run(mix(3, large_rows=2_000), seconds=1, changes_a_second=10, seed=3, slice_rows=1_000)
    assert (load.tally.lost, load.tally.doubled, load.unseen) == (0, 0, 0)
    assert load.tally.rows_checked > 2 * 2_000
    assert len(load.latencies) == len(load.changes) > 3
    first, changing, idle = load.phases
    assert (first.ended("published"), idle.ended("published"), idle.ended("empty")) == (3, 0, 2)
    assert changing.ended("published") and changing.rows
    text = report.text(load, 3)
    assert "3 tables: 1 jobs of files" in text and "0 are missing, 0 too many" in text
    assert "| IngestSlice |" in text and "| PublishGold |" in text
    told = report.model_text(load)
    assert "| 100,000 tables, their first load |" in told and "What is assumed:" in told
    assert report.uses(load)["changed rows"]["RefineSilver"].cpu_seconds > 0
    assert report.uses(load)[run.IDLE].get("RefineSilver", Use()).calls == {}


def test_should_read_from_a_log_when_which_change_was_there():
    def commit(at: int, *actions: dict) -> str:
        return "\n".join(map(json.dumps, [{"commitInfo": {"timestamp": at * 1000}}, *actions]))

    def add(path: str, n: int) -> dict:
        return {"add": {"path": path, "stats": json.dumps({"maxValues": {"n": n}})}}

    log = [commit(1), commit(2, add("a", 0)), commit(3, add("b", 4)), commit(4, {"remove": {"path": "b"}}, add("c", 7))]
    assert versions(log) == [Version(0, 1.0, -1), Version(1, 2.0, 0), Version(2, 3.0, 4), Version(3, 4.0, 7)]


def test_should_take_percentiles_by_nearest_rank():
    assert (percentile([], 0.5), percentile([5.0], 0.95)) == (0.0, 5.0)
    assert (percentile([4, 1, 3, 2], 0.5), percentile(list(range(1, 101)), 0.95)) == (2, 95)


def test_should_price_calls_and_seconds_by_the_table_of_the_command_line():
    calls = {("IngestTable", "S3 PutObject"): 20, ("IngestTable", "DynamoDB TransactWriteItems"): 10}
    uses = model.use_of(calls, [("IngestTable", 1.0)] * 10, loads=10)
    assert uses == {"IngestTable": Use(1, 1.0, {"S3 PutObject": 2, "DynamoDB TransactWriteItems": 1})}
    seconds = 1.0 + 3 * model.CALL_SECONDS
    assert uses["IngestTable"].seconds == seconds
    prices = read_prices(None)
    each = prices["per_million"]
    rest = 2 * each["s3_puts"] + 4 * each["dynamodb_writes"] + each["requests"] + 3 * each["sqs"]
    assert model.price(uses, MEMORY, prices) == pytest.approx(seconds * prices["per_gb_second"] + rest / 1e6)


def test_should_name_what_a_load_of_many_tables_waits_for():
    uses = {"IngestTable": Use(1, 1.0), "TrackRun": Use(4, 0.4)}
    at_once = {"IngestTable": 10, "TrackRun": 2}
    assert model.hours(model.mixed((36_000, uses)), at_once) == (2.0, "TrackRun, 2 at once")
    assert model.hours(model.mixed((36_000, uses)), at_once | {"TrackRun": 100})[1] == "IngestTable, 10 at once"
    told = {"TrackRun": Use(4, 0, {"DynamoDB UpdateItem": 4, "EventBridge PutEvents": 0})}
    most = {"TrackRun": 10**9}
    hours, waits = model.hours(model.mixed((100_000, told)), most)
    assert waits == "the run's key in DynamoDB" and hours * 3_600 == pytest.approx(400_000 * 2 / 1_000)


def test_should_say_how_many_rows_of_a_large_table_fit_into_one_load():
    seconds = {"IngestSlice": 2.0, "RefineSilver": 4.0, "PublishGold": 3.0}
    memory = dict.fromkeys(seconds, 1024)
    found = model.large_load(LargeTable(seconds, model.ROW_BYTES), 4, memory, read_prices(None))
    assert (found.rows, found.slices) == (1e10, 1_863)
    assert found.read_hours == pytest.approx(20_000 / 4 / 3_600)
    assert found.lake_hours == pytest.approx(40_000 / 3_600)
    assert found.rows_at_once == 225e6
