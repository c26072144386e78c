"""The benchmark of many small tables: it counts what happens, and says per table what it counted."""

import json
from collections import Counter
from datetime import UTC, datetime

from benchmarks import chain, cold_starts, fanout, many_tables
from benchmarks.chain import Chain, Function
from benchmarks.cold_starts import ColdStart


def test_should_count_messages_and_calls_of_a_fan_out() -> None:
    found = fanout.queue_tables(23)
    assert (found.tables, found.messages) == (23, 23)
    assert found.calls["SQS SendMessageBatch"] == 3
    assert found.calls["EventBridge PutEvents"] == 1
    assert found.cpu_seconds > 0
    assert "23 messages" in many_tables.fanout_text(found)


def test_should_make_three_loads_of_every_table_and_count_what_each_function_took() -> None:
    first, idle, changed = chain.load_tables(2, warm_tables=0)
    assert (first.load, idle.load, changed.load) == ("first load", "nothing new", "one changed row")
    for load in (first, changed):
        invoked = {function.name: function.invocations for function in load.functions}
        assert (invoked["IngestTable"], invoked["RefineSilver"], invoked["PublishGold"]) == (2, 2, 2)
        assert load.calls["RefineSilver", "S3 PutObject"] >= 2
        assert load.calls["PublishGold", "S3 GetObject"] >= 2  # delta-rs and DuckDB say whose they are, too
        assert all(function.peak_rss_mb > 10 for function in load.functions)
        # Of one function it may be less than the kernel's tick.
        assert sum(function.cpu_seconds for function in load.functions) > 0
    assert {name for name, _ in idle.calls} <= {"SubmitJob", "IngestTable", "TrackRun", "RecordLineage"}
    assert idle.polls > 0


def test_should_tell_which_large_libraries_a_cold_start_brings() -> None:
    start = cold_starts.measure("track_run", 1)
    assert (start.function, start.libraries) == ("track_run", [])
    assert start.cpu_seconds > 0 and start.peak_rss_mb > 10
    assert set(cold_starts.functions()) >= {"submit_job", "ingest_table", "refine_silver"}


def loads() -> list[Chain]:
    functions = [Function("IngestTable", 4, 1.0, 200.4), Function("TrackRun", 8, 0.2, 60.0)]
    calls = Counter({("IngestTable", "S3 GetObject"): 40, ("IngestTable", "DynamoDB GetItem"): 4})
    calls["TrackRun", "DynamoDB GetItem"] = 2
    return [Chain("first load", 4, 10.0, functions, calls, 12)]


def test_should_say_per_table_what_was_counted() -> None:
    text = many_tables.chain_text(loads())
    assert "| first load | 10 | 2.50 | 11.50 | 300.0 | 3.0 |" in text
    assert "| IngestTable | 1.00 | 250.0 | 200 |" in text
    assert "| S3 GetObject | 10.00 | IngestTable 10.00 |" in text
    assert "| DynamoDB GetItem | 1.50 | IngestTable 1.00, TrackRun 0.50 |" in text


def test_should_tell_a_program_the_same() -> None:
    (figures,) = json.loads(json.dumps(many_tables.chain_figures(loads())))
    assert (figures["load"], figures["calls"], figures["cpu_ms"], figures["polls"]) == ("first load", 11.5, 300.0, 3.0)
    assert figures["functions"]["TrackRun"] == {"invocations": 2.0, "cpu_ms": 50.0, "calls": {"DynamoDB GetItem": 0.5}}


def test_should_say_when_and_where_it_was_measured() -> None:
    table = many_tables.imports_text([ColdStart("watermark", 0.314, 47.7, []), ColdStart("x", 1, 9, ["pyarrow"])])
    assert "| watermark | 0.31 | 48 | none |" in table
    assert "| x | 1.00 | 9 | pyarrow |" in table
    found = many_tables.section("imports", table, datetime(2026, 1, 2, 3, 4, tzinfo=UTC))
    assert "## imports\n\n2026-01-02 03:04 UTC, " in found.text
