"""Lineage of a whole chain: run events in the lake, and at a receiver that is a real HTTP server."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.helpers.lineage_events import archived
from tests.helpers.receiver import Receiver, receiving
from tests.helpers.stack import BRIEF, Stack, in_lake_of, own, put
from tests.helpers.waiting import wait_for

KEY = "lineage-key-of-the-test"


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory, receiver: Receiver) -> Iterator[Stack]:
    """A stack that sends lineage to the receiver."""
    options = ["--parameter", f"LineageEndpoint={receiver.url}", "--parameter", "LineageSecret=flowforge/lineage/key"]
    running = Stack(tmp_path_factory.mktemp("lineage"), BRIEF, "--parameter", "MaxAttempts=1", *options)
    text = json.dumps({"apiKey": KEY})
    running.client("secretsmanager").create_secret(Name="flowforge/lineage/key", SecretString=text)
    with in_lake_of(running):
        try:
            yield running
        finally:
            running.stop()


def wait_for_each(receiver: Receiver, *jobs: str) -> None:
    """Waits for an event of each: steps tell of themselves side by side, and a later one may be heard first."""
    for job in jobs:
        wait_for(lambda job=job: receiver.of(job), f"an event of {job}")


def run_of(event: dict[str, Any]) -> str | None:
    """The load that an event belongs to."""
    return event["run"]["facets"].get("parent", {}).get("run", {}).get("runId")


def kept(stack: Stack, output: str) -> dict[str, dict[str, Any]]:
    """The lake's events of a table, by run id."""
    events = archived(stack.client("s3"), stack.facts["bucket"])
    return {event["run"]["runId"]: event for event in events if event["outputs"][0]["name"] == output}


def origins(event: dict[str, Any], column: str) -> list[tuple[str, str, str, str]]:
    """A column's origins: dataset, column, type and subtype."""
    (output,) = event["outputs"]
    return [
        (one["name"], one["field"], role["type"], role["subtype"])
        for one in output["facets"]["columnLineage"]["fields"][column]["inputFields"]
        for role in one["transformations"]
    ]


def test_should_tell_each_step_of_a_load_with_its_columns(told, receiver, name):
    told.execute(f"CREATE TABLE {name} (id int PRIMARY KEY, v decimal(9,2))", f"INSERT INTO {name} VALUES (1, 10)")
    put(told, f"{name}_sum", f"SELECT sum(v) AS total\nFROM gold.{name}\nWHERE id > 0")
    run = told.run(told.request({"tableName": name}, **own(name)))
    assert run["status"] == "succeeded"
    wait_for_each(receiver, f"bronze.bronze_{name}", f"silver.{name}", f"gold.{name}")

    (landed,), (refined,) = receiver.of(f"bronze.bronze_{name}"), receiver.of(f"silver.{name}")
    (copied,) = receiver.of(f"gold.{name}")
    # The model's own file starts a build, too, which may find the table that it reads, or not.
    sums = f"gold.{name}_sum"
    (summed,) = wait_for(lambda: [e for e in receiver.of(sums) if run_of(e) == run_of(landed)], "the sum")
    server = told.facts["sqlserver"]
    assert landed["inputs"][0]["namespace"] == f"mssql://{server['host']}:{server['port']}"
    assert landed["inputs"][0]["name"] == f"{server['database']}.dbo.{name}"
    assert landed["outputs"][0]["namespace"] == f"s3://{told.facts['bucket']}"
    assert landed["outputs"][0]["outputFacets"]["outputStatistics"]["rowCount"] == 1
    assert origins(landed, "v") == [(f"{server['database']}.dbo.{name}", "v", "DIRECT", "IDENTITY")]
    assert origins(refined, "v") == [(f"bronze/bronze_{name}", "v", "DIRECT", "IDENTITY")]
    assert origins(refined, "_sk_id") == [(f"bronze/bronze_{name}", "id", "DIRECT", "TRANSFORMATION")]
    assert origins(copied, "v") == [(f"silver/{name}", "v", "DIRECT", "IDENTITY")]
    assert origins(summed, "total") == [(f"gold/{name}", "v", "DIRECT", "AGGREGATION")]
    (filtered,) = summed["outputs"][0]["facets"]["columnLineage"]["dataset"]
    assert (filtered["field"], filtered["transformations"][0]["subtype"]) == ("id", "FILTER")
    assert summed["job"]["facets"]["sql"]["query"].startswith("SELECT sum(v)")
    types = {field["name"]: field["type"] for field in refined["outputs"][0]["facets"]["schema"]["fields"]}
    assert (types["id"], types["v"]) == ("integer", "decimal(9,2)")

    events = [landed, refined, copied, summed]
    assert len({run_of(event) for event in events}) == 1
    for event in events:
        (begun,) = [e for e in receiver.of(event["job"]["name"], "START") if e["run"]["runId"] == event["run"]["runId"]]
        assert begun["eventTime"] <= event["eventTime"]
        output = event["outputs"][0]["name"]
        assert kept(told, output)[event["run"]["runId"]] == event
    assert (receiver.keys, receiver.paths) == ({f"Bearer {KEY}"}, {"/api/v1/lineage"})
    assert told.connection["password"] not in json.dumps(receiver.events)


def test_should_keep_one_event_however_often_it_is_told(told, receiver, name):
    told.execute(f"CREATE TABLE {name} (id int PRIMARY KEY)", f"INSERT INTO {name} VALUES (1)")
    told.load({"tableName": name}, **own(name))
    wait_for_each(receiver, f"silver.{name}", f"gold.{name}")
    tell_again(told, f"lineage/latest/silver/{name}.json")
    before = kept(told, f"silver/{name}")
    wait_for(lambda: len(receiver.of(f"silver.{name}")) == 2, "the second telling")
    first, second = receiver.of(f"silver.{name}")
    assert first == second
    assert kept(told, f"silver/{name}") == before == {first["run"]["runId"]: first}


def tell_again(stack: Stack, key: str) -> None:
    """Announces the batch of an event once more, as the sweeper does."""
    body = stack.client("s3").get_object(Bucket=stack.facts["bucket"], Key=key)["Body"].read()
    tags = {tag["key"]: tag["value"] for tag in json.loads(body)["run"]["facets"]["tags"]["tags"]}
    (table,) = stack.http.get(f"/api/runs/{tags['run']}").json()["tables"]
    source = f"{stack.facts['sqlserver']['host']}:{stack.facts['sqlserver']['port']}"
    key = f"{source}/{stack.facts['sqlserver']['database']}/{table['source_table']}>{table['table']}"
    landed = {
        "run_id": tags["run"], "bronze_table": table["table"], "source_key": key, "generation": 1, "seq": 1,
        "source_table": table["source_table"], "batch_id": "b", "bronze_file_path": "", "records": 1, "columns": 1,
        "bronze_key": table["bronze_key"], "file_size_bytes": 1,
    }  # fmt: skip
    bus = next(b for b in stack.client("events").list_event_buses()["EventBuses"] if b["Name"].endswith("-events"))
    entry = {"Source": "flowforge", "DetailType": "BronzeLanded", "Detail": json.dumps(landed)}
    stack.client("events").put_events(Entries=[entry | {"EventBusName": bus["Name"]}])


def test_should_not_hold_up_a_load_while_the_receiver_is_down_and_tell_it_later(told, receiver, name):
    told.execute(f"CREATE TABLE {name} (id int PRIMARY KEY)", f"INSERT INTO {name} VALUES (1)")
    receiver.refuse(3)
    assert told.load({"tableName": name}, **own(name))["status"] == "published"
    wait_for_each(receiver, f"bronze.bronze_{name}", f"silver.{name}", f"gold.{name}")
    assert len(receiver.refused) == 3
    assert set(kept(told, f"gold/{name}")) == {event["run"]["runId"] for event in receiver.of(f"gold.{name}")}


def test_should_tell_a_step_that_failed_with_its_cause(told, receiver, name):
    told.run(told.request({"tableName": f"{name}_missing"}, **own(name)))
    (failed,) = wait_for(lambda: receiver.of(f"bronze.bronze_{name}", "FAIL"), "the failure")
    assert "does not exist" in failed["run"]["facets"]["errorMessage"]["message"]
    assert failed["outputs"][0]["name"] == f"bronze/bronze_{name}"


def test_should_tell_which_model_failed(told, receiver, name):
    told.execute(f"CREATE TABLE {name} (id int PRIMARY KEY)", f"INSERT INTO {name} VALUES (1)")
    put(told, f"{name}_wrong", f"SELECT nmae FROM silver.{name}")
    assert told.load({"tableName": name}, **own(name))["status"] == "failed"
    (failed,) = wait_for(lambda: receiver.of(f"gold.{name}_wrong", "FAIL"), "the failure")
    assert "nmae" in failed["run"]["facets"]["errorMessage"]["message"]
    told.client("s3").delete_object(Bucket=told.facts["bucket"], Key=f"models/{name}_wrong.sql")
