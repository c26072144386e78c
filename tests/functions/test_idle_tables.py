"""A table with nothing new: nothing is claimed, nothing is lost by it, and it costs as few calls as it should.

Calls are counted, not timed: each one more is paid by every table of every run.
"""

import json
from collections import Counter

import pytest

from events.commands import IngestTable
from events.envelopes import sqs
from events.facts import IntervalEmpty
from flowforge.aws.clients import client
from flowforge.bronze.ingest import ingest
from flowforge.domain.interval import Interval
from flowforge.gold.model_files import read_models, remove_models, write_models
from flowforge.runtime.settings import settings
from flowforge.sources.sqlserver.any_rows import holds_no_row, is_cheap
from flowforge.sources.sqlserver.catalog import describe_table
from flowforge.sources.sqlserver.connection import SourceConnection, connect
from flowforge.sources.sqlserver.consistency import LOCKED, SNAPSHOT, VERSIONED
from flowforge.sources.target import read_credentials
from functions.ingest_table.handler import handler as ingest_table
from functions.publish_gold.handler import handler as publish_gold
from functions.record_lineage.handler import handler as record_lineage
from functions.refine_silver.handler import handler as refine_silver
from functions.track_run.handler import handler as track_run
from functions.watermark.handler import handler as watermark
from tests.helpers.counted_connections import counted_connections

DONE = {"batchItemFailures": []}


@pytest.fixture
def load(loads):
    """A table that is loaded, by a login of one version, as a request's own login is."""
    made = loads()
    version = client("secretsmanager").get_secret_value(SecretId=made.connection.secret_id)["VersionId"]
    made.connection = made.connection.model_copy(update={"secret_version": version})
    made.load("first")
    return made


def counted(aws) -> Counter[str]:
    return Counter(aws.calls())


def calls_of(aws, monkeypatch, context, queue: str, handler, *bodies: dict) -> Counter[str]:
    aws.use(f"{queue}Queue", f"{queue}DeadLetters", monkeypatch)
    before = counted(aws)
    assert handler(sqs(*bodies), context) == DONE
    return counted(aws) - before


def test_should_take_six_calls_for_a_table_with_nothing_new(aws, load, context, monkeypatch):
    found, told = [], []
    for run in ("a", "b", "c"):  # on a busy machine the two clocks seem to part, and the table's state is written
        for queue in ("Track", "Lineage"):
            aws.messages(f"{queue}Queue")
        body = json.loads(load.command(run).model_dump_json())
        calls = calls_of(aws, monkeypatch, context, "Ingest", ingest_table, body)
        (envelope,) = [message["body"] for message in aws.messages("TrackQueue")]
        assert (envelope["detail-type"], envelope["detail"]["claimed"]) == ("IntervalEmpty", False)
        calls += calls_of(aws, monkeypatch, context, "Track", track_run, envelope)
        assert body["run_id"] not in [detail["run_id"] for _, detail in aws.announced("LineageQueue")]
        found.append(calls)
        told.append(dict(calls))
    assert min(found, key=lambda calls: calls.total()) == {
        "DynamoDB PutItem": 1,  # the place at the source
        "DynamoDB BatchGetItem": 1,  # all that is known of the table
        "DynamoDB UpdateItem": 3,  # the place is given back; what the run shows, and its list
        "EventBridge PutEvents": 1,
    }, told


def test_should_send_sixteen_requests_to_the_source_for_a_table_with_nothing_new(load):
    """Each is a way to the server and back, which may be far. Eight are those of two sessions, as the driver opens them."""
    with connect(load.connection, read_credentials(load.connection)) as connection:
        found = []
        for run in ("a", "b", "c"):  # on a busy machine the two clocks seem to part
            before = requests_of(connection)
            (fact,) = ingest(load.command(run)).facts
            assert isinstance(fact, IntervalEmpty)
            found.append(requests_of(connection) - before - 1)
        assert min(found) == 16


def requests_of(connection: SourceConnection) -> int:
    """How many requests the server has got from everybody."""
    question = "SELECT cntr_value FROM sys.dm_os_performance_counters WHERE counter_name = 'Batch Requests/sec'"
    return int(connection.scalar(question))


def test_should_keep_its_connections_from_one_message_to_the_next(aws, load, context, monkeypatch):
    """On AWS each costs a handshake of TLS, which every table of every run would pay."""
    aws.calls()  # skips this for another AWS, which may end connections by itself
    bodies = [json.loads(load.command(run).model_dump_json()) for run in ("a", "b", "c")]
    with counted_connections(aws.endpoint) as server:  # the proxy of this table ends a connection with each call
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        aws.use("IngestQueue", "IngestDeadLetters", monkeypatch)
        assert ingest_table(sqs(bodies[0]), context) == DONE
        first = len(server.made)
        assert first
        for body in bodies[1:]:
            assert ingest_table(sqs(body), context) == DONE
        assert len(server.made) == first


MOST_CALLS = {  # of a changed row of a small table, from the load to its lineage; one that is saved makes its number smaller
    "DynamoDB BatchGetItem": 2,
    "DynamoDB GetItem": 1,
    "DynamoDB PutItem": 1,
    "DynamoDB Query": 2,
    "DynamoDB TransactWriteItems": 2,
    "DynamoDB UpdateItem": 7,
    "EventBridge PutEvents": 4,
    "S3": 23,
}


def test_should_take_so_many_calls_for_a_changed_row_and_no_more(aws, load, context, monkeypatch):
    bring(aws, load, "second", context, monkeypatch)  # makes silver and gold
    beyond: list[dict[str, int]] = []
    for run in ("third", "fourth", "fifth"):  # a load that takes long on a busy machine tells once more that it goes on
        total: Counter[str] = Counter()
        for calls in bring(aws, load, run, context, monkeypatch).values():
            for operation, count in calls.items():
                total["S3" if operation.startswith("S3 ") else operation] += count
        beyond.append({name: count for name, count in total.items() if count > MOST_CALLS.get(name, 0)})
        if not beyond[-1]:
            break
    assert {} in beyond, beyond


def bring(aws, load, run: str, context, monkeypatch) -> dict[str, Counter[str]]:
    """Changes a row and brings it through the chain as the queues do; returns the calls of each step."""
    for queue in ("Track", "Watermark", "Refine", "Publish", "Lineage"):
        aws.messages(f"{queue}Queue")
    load.execute(f"UPDATE {{t}} SET at = '{load.watermark()}' WHERE id = 30")
    found = {}
    body = json.loads(load.command(run).model_dump_json())
    found["ingest"] = calls_of(aws, monkeypatch, context, "Ingest", ingest_table, body)
    steps = (("Watermark", watermark), ("Refine", refine_silver), ("Publish", publish_gold))
    for queue, handler in steps:
        (envelope,) = [message["body"] for message in aws.messages(f"{queue}Queue")]
        found[queue] = calls_of(aws, monkeypatch, context, queue, handler, envelope)
    for queue, handler in (("Track", track_run), ("Lineage", record_lineage)):
        bodies = [message["body"] for message in aws.messages(f"{queue}Queue")]  # together, as their window brings them
        found[queue] = calls_of(aws, monkeypatch, context, queue, handler, *bodies)
    return found


def test_should_read_the_text_of_a_model_once_until_it_is_another(aws):
    key, bucket, texts = "models/kept_text.sql", settings().bucket, ("SELECT 1 AS a", "SELECT 2 AS a")
    fetched = []
    for text in (texts[0], texts[0], texts[1], texts[1]):
        write_models({key: text}, bucket)
        before = counted(aws)
        assert [model.sql for model in read_models(bucket).models if model.origin == key] == [text]
        fetched.append((counted(aws) - before)["S3 GetObject"])
    remove_models([key], bucket)
    assert fetched == [1, 0, 1, 0]


def test_should_claim_nothing_and_read_what_comes_into_that_interval_later(load):
    mark = load.watermark()
    (fact,) = ingest(load.command("two")).facts
    assert isinstance(fact, IntervalEmpty)
    assert (fact.claimed, fact.watermark_value, fact.seq) == (False, mark, 1)
    assert fact.reason.startswith("no rows from ") and fact.promise.startswith("exact")
    assert (load.states(), load.watermark()) == (["committed"], mark)
    load.execute(f"INSERT INTO {{t}} VALUES (40, '{mark}')")
    (late,) = load.load("three")
    assert (late.records, load.states()) == (1, ["committed", "committed"])


def test_should_claim_for_a_request_that_asks_for_something_else(load):
    assert load.load("two") == []
    again: IngestTable = load.command("three")
    again = again.model_copy(update={"silver": again.silver.model_copy(update={"strategy": "append"})})
    assert load.follow(again) == []
    assert load.states() == ["committed", "empty"]


def test_should_not_ask_ahead_where_that_would_read_a_large_table_twice(load):
    interval = Interval(column="at", sql_type="datetime2(3)", low="2024-01-01", high="2024-02-01")
    with connect(load.connection, read_credentials(load.connection)) as connection:
        table = describe_table(connection, load.name)
    large = table.model_copy(update={"row_estimate": 10_000_000})
    assert is_cheap(large, interval)  # by its index
    assert not is_cheap(large.model_copy(update={"indexed_columns": []}), interval)
    assert is_cheap(table.model_copy(update={"indexed_columns": []}), interval)


@pytest.mark.parametrize("consistency", [SNAPSHOT, VERSIONED, LOCKED])
def test_should_see_of_an_interval_what_a_read_would_see(load, consistency):
    with connect(load.connection, read_credentials(load.connection)) as connection:
        table = describe_table(connection, load.name)
        low, high = "2024-03-04 00:00:00.000", "2024-04-01 00:00:00.000"
        later = Interval(column="at", sql_type="datetime2(3)", low=low, high=high)
        among = later.model_copy(update={"low": "2024-03-03 00:00:00.000"})
        assert holds_no_row(connection, table, later, [consistency])
        assert not holds_no_row(connection, table, among, [consistency])
        assert not holds_no_row(connection, table, later.model_copy(update={"column": "gone"}), [consistency])


def test_should_not_take_a_refusal_for_an_empty_interval(load):
    """Here of a database that has ceased to allow SNAPSHOT; the session goes on as it was."""
    interval = Interval(column="at", sql_type="datetime2(3)", low="2024-03-04", high="2024-04-01")
    with connect(load.connection, read_credentials(load.connection)) as connection:
        table = describe_table(connection, load.name)
        load.execute(f"ALTER DATABASE {load.server.database} SET ALLOW_SNAPSHOT_ISOLATION OFF")
        try:
            assert not holds_no_row(connection, table, interval, [SNAPSHOT, LOCKED])
            assert connection.scalar(f"SELECT COUNT(*) AS n FROM {load.name}") == 3
        finally:
            load.execute(f"ALTER DATABASE {load.server.database} SET ALLOW_SNAPSHOT_ISOLATION ON")
