"""Delta gives what a table format has to give, with a log that stays short to read."""

import os

import pytest
from deltalake import DeltaTable

from flowforge.domain.given import given
from flowforge.domain.names import TableName
from flowforge.engines.registry import ENGINE
from flowforge.operations.upkeep import maintain
from flowforge.tables.base import once
from flowforge.tables.delta.access import storage_options
from flowforge.tables.delta.tables import Delta, Handle
from flowforge.tables.lake import table_uri
from infra.local.aws_calls import ask_for_calls
from tests.helpers.lake import Lake
from tests.helpers.outside import S3
from tests.helpers.servers import AWS_KEYS
from tests.tables.conformance import TableConformance

INTERVAL = "delta.checkpointInterval"
NAME = TableName("silver", "people")


class TestDelta(TableConformance):
    """The suite over Delta."""

    tables = Delta()


@pytest.fixture
def uri(lake: Lake) -> str:
    return table_uri(lake.bucket, NAME.layer, NAME.table)


def opened(uri: str) -> Handle:
    return given(Delta().open(uri))


def made(uri: str) -> Handle:
    with ENGINE.session() as session:
        return Delta().create(uri, session.sql("SELECT 1 AS id LIMIT 0"), {})


def reads() -> int:
    """Objects that were asked for so far, of the embedded S3."""
    calls = ask_for_calls(os.environ["AWS_ENDPOINT_URL"], *AWS_KEYS.values())
    return calls.get("S3 GetObject", 0)


@pytest.mark.skipif(bool(os.environ.get(S3)), reason="only the embedded S3 counts what it is asked")
def test_should_read_no_more_of_a_long_log_than_of_a_short_one(uri: str):
    table, found = made(uri), dict[int, int]()
    for version in range(1, 23):
        table.swap([], [], once({f"batch/{version}": 1, "newest": version}))
        before = reads()
        table = table.at(version)  # nothing is kept of what is opened so
        found[version] = reads() - before
    assert max(found[version] for version in range(19, 23)) <= max(found[version] for version in range(1, 19)), found
    assert [table.transaction_version(name) for name in ("batch/1", "batch/12", "batch/22")] == [1, 1, 1]
    assert [table.at(version).transaction_version("newest") for version in (1, 9, 10, 21)] == [1, 9, 10, 21]
    assert [entry["version"] for entry in table.history()] == list(range(22, -1, -1))


def test_should_give_tables_of_an_earlier_version_checkpoints_and_leave_what_their_owner_has_set(lake: Lake, uri: str):
    schema = made(f"{uri}_other").schema()
    DeltaTable.create(uri, schema, storage_options=storage_options())
    assert INTERVAL not in opened(uri).properties()
    version = opened(uri).data_version()
    maintain(NAME, lake.bucket, 168)
    assert (opened(uri).properties()[INTERVAL], opened(uri).data_version()) == ("10", version)
    at = opened(uri).version()
    maintain(NAME, lake.bucket, 168)
    assert opened(uri).version() - at <= 2, "vacuum alone"
    opened(uri).set_properties({INTERVAL: "7"}, once())
    maintain(NAME, lake.bucket, 168)
    assert opened(uri).properties()[INTERVAL] == "7"
