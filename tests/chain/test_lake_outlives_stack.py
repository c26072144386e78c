"""A lake on an S3 of its own outlives the stack that filled it; the next stack starts with an empty state, or with its own."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.servers import AWS_KEYS, ROOT, embedded_aws
from tests.helpers.stack import BRIEF, Stack, flowforge, in_lake_of
from tests.helpers.standin import stand_in

pytestmark = pytest.mark.timeout(400)
ROWS = {
    "customers": "customer_id, last_name, city, annual_income",
    "accounts": "account_id, balance, status",
    "transactions": "transaction_id, amount, status",
}


class Place:
    """An S3 and a SQL Server that stay while stacks come and go; the first stack has filled the lake, and its state is kept."""

    def __init__(self, folder: Path, s3: str, source: dict[str, Any]):
        self.folder, self.s3, self.source, self.started = folder, s3, source, []

    def start(self, *options: str) -> Stack:
        trust = f"FLOWFORGE_SOURCE_CA_FILE={self.source['ca_file']}"
        state = self.folder / f"stack{len(self.started)}" / ".flowforge"
        stack = Stack(state, BRIEF, "--no-sqlserver", "--s3-endpoint", self.s3, "--env", trust, *options)
        self.started.append(stack)
        return stack.use(self.source)

    def stop(self) -> None:
        for stack in self.started:
            if stack.process.poll() is None:
                stack.stop()


HISTORY = {"silverConfig": {"mergeStrategy": "append"}}
KEYED, KEPT = "keyed_by_number", "kept_by_number"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("place")
    names = {
        "FLOWFORGE_S3_ACCESS_KEY_ID": "aws_access_key_id",
        "FLOWFORGE_S3_SECRET_ACCESS_KEY": "aws_secret_access_key",
    }
    with (
        pytest.MonkeyPatch.context() as environment,
        embedded_aws(folder / "s3.log") as s3,
        stand_in(folder, "--bank") as source,
    ):
        for name, key in names.items():
            environment.setenv(name, AWS_KEYS[key])
        here = Place(folder, s3, source)
        try:
            first = here.start("--data-dir", str(folder / "data"))
            submit(first, "bank.json")
            for table, destination in ((KEYED, HISTORY), (KEPT, {})):
                first.execute(
                    f"CREATE TABLE {table} (id int PRIMARY KEY, v int, rv rowversion)",
                    f"INSERT INTO {table} (id, v) VALUES (1, 1), (2, 2)",
                )
                assert first.load(by_version(table), **destination)["status"] == "published"
            first.stop()
            yield here
        finally:
            here.stop()


@pytest.fixture(scope="module")
def second(place: Place) -> Iterator[Stack]:
    """A stack with an empty state, on the lake that the first has filled."""
    running = place.start()
    with in_lake_of(running):
        yield running
    running.stop()


def by_version(table: str) -> dict[str, Any]:
    return {"tableName": table, "isIncremental": True, "deltaColumn": "rv"}


def submit(stack: Stack, file: str) -> dict[str, Any]:
    document = json.loads((ROOT / "examples" / file).read_text())
    document["source_config"]["connection"] = stack.connection
    run = stack.run(document)
    assert run["status"] == "succeeded", [table["error"] for table in run["tables"]]
    return {table["source_table"].removeprefix("dbo."): table for table in run["tables"]}


def assert_same(stack: Stack) -> None:
    for table, columns in ROWS.items():
        query = f"SELECT {columns} FROM {{}}{table} ORDER BY 1"
        source = [tuple(map(str, row)) for row in stack.ask(query.format("dbo."))]
        assert [tuple(map(str, row)) for row in stack.lake(query.format("silver."))] == source, table


def change(stack: Stack) -> None:
    stack.execute(
        "UPDATE customers SET city = N'Elsewhere', modified_date = GETDATE() WHERE customer_id <= 20",
        "UPDATE accounts SET balance = balance + 1, modified_date = GETDATE() WHERE account_id <= 1010",
        "INSERT INTO transactions (account_id, amount, transaction_date, transaction_time, transaction_type, status) "
        "SELECT TOP (5) account_id, amount, transaction_date, transaction_time, transaction_type, status FROM transactions",
    )
    stack.settle()


def test_should_load_what_changed_into_a_lake_that_has_outlived_its_stack(second):
    change(second)
    loaded = submit(second, "bank-incremental.json")
    assert_same(second)
    assert "the lake holds batches that the watermark table does not know" in " ".join(loaded["customers"]["notes"])
    change(second)
    again = submit(second, "bank-incremental.json")
    assert not any("the lake holds" in note for table in again.values() for note in table["notes"])
    assert_same(second)


def test_should_restore_and_compare_with_tables_and_lake_in_different_places(second, tmp_path):
    second.execute(f"UPDATE {KEYED} SET v = 10 WHERE id = 1")
    refused = second.load(by_version(KEYED), **HISTORY)
    command = f"flowforge watermark rebuild --table bronze_{KEYED} --write"
    assert (refused["status"], refused["error"]["error"]) == ("failed", "LakeChanged")
    assert command in refused["error"]["remedy"]
    ended = flowforge(second, *command.split()[1:])
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert second.load(by_version(KEYED), **HISTORY)["status"] == "published"
    assert second.lake(f"SELECT id, v FROM silver.{KEYED} ORDER BY ALL") == [(1, 1), (1, 10), (2, 2)]
    assert second.load({"tableName": "customers"})["status"] == "published"
    request = second.request({"tableName": "customers"})
    request["source_config"]["connection"]["trustServerCertificate"] = True
    (tmp_path / "request.json").write_text(json.dumps(request))
    compared = flowforge(second, "reconcile", "customers", "--json", "--request", str(tmp_path / "request.json"))
    assert compared.returncode == 0, compared.stdout + compared.stderr


def test_should_refuse_another_lake_than_the_one_that_the_state_knows(place, tmp_path):
    with embedded_aws(tmp_path / "other.log") as other:
        third = place.start("--data-dir", str(place.folder / "data"), "--s3-endpoint", other)
        third.execute(f"INSERT INTO {KEPT} (id) VALUES (3)")
        refused = third.load(by_version(KEPT))
        assert refused["error"]["error"] == "LakeChanged", refused
        assert "has nothing of the table" in refused["error"]["cause"]
        third.stop()
