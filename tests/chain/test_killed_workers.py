"""Workers that are killed: their messages come again, their batches are finished, nothing is lost or doubled."""

import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from deltalake import DeltaTable

from flowforge.tables.lake import table_uri
from tests.helpers.stack import Stack, in_lake_of, kill, large_table
from tests.helpers.tracked import ON
from tests.helpers.waiting import wait_for

CHAIN = ("IngestTableFunction", "WatermarkFunction", "RefineSilverFunction", "PublishGoldFunction", "TrackRunFunction")


@pytest.fixture(scope="module")
def quick_stack(tmp_path_factory) -> Iterator[Stack]:
    """A stack whose claims expire soon, so that a dead worker's batch is taken over within the test."""
    options = ("--env", "FLOWFORGE_LEASE_SECONDS=2", "--parameter", "MaxAttempts=3")
    running = Stack(tmp_path_factory.mktemp("quick"), *options)
    with in_lake_of(running):
        try:
            running.http.get("/api/watermarks")  # cold, it answers after the load that a test watches
            yield running
        finally:
            running.stop()


@contextmanager
def stalled(stack: Stack, name: str) -> Iterator[None]:
    """For the block, every read of the table stops amid its rows: who kills its worker is never too late."""
    stack.execute(f"EXEC flowforge_fault 'stall', 1000, 1000, 'FROM [dbo].[{name}]'")
    try:
        yield
    finally:
        stack.execute("EXEC flowforge_fault 'none'")


def claimed(stack: Stack, name: str) -> bool:
    """Whether a load of the table is under way."""
    answer = stack.http.get(f"/api/watermarks/{name}")
    return answer.status_code == 200 and (answer.json()["active_batch"] or {}).get("state") == "claimed"


def test_should_finish_the_batch_of_a_worker_that_was_killed_while_it_read(quick_stack, name):
    rows = large_table(quick_stack, name, 2)
    with stalled(quick_stack, name):
        run_id = quick_stack.post(quick_stack.request({"tableName": name})).json()["run_id"]
        wait_for(lambda: claimed(quick_stack, name), "the claim")
        for pid in quick_stack.workers("IngestTableFunction"):
            kill(pid)
    (table,) = quick_stack.finished(run_id)["tables"]
    assert (table["status"], table["records"], table["silver_rows"]) == ("published", rows, rows)
    found = quick_stack.client("s3").list_objects_v2(
        Bucket=quick_stack.facts["bucket"], Prefix=f"bronze/bronze_{name}/"
    )
    assert [entry["Key"] for entry in found["Contents"]] == [table["bronze_key"]]
    history = quick_stack.http.get(f"/api/watermarks/{name}").json()["history"]
    assert [(batch["seq"], batch["records"]) for batch in history] == [(1, rows)]


def test_should_read_again_at_once_when_the_source_ends_the_connection(quick_stack, name):
    rows = large_table(quick_stack, name, 60)
    run_id = quick_stack.post(quick_stack.request({"tableName": name})).json()["run_id"]
    wait_for(lambda: claimed(quick_stack, name), "the claim")
    readers = quick_stack.ask("SELECT session_id FROM sys.dm_exec_sessions WHERE program_name = 'flowforge'")
    for (session,) in readers:
        quick_stack.execute(f"KILL {session}")
    (table,) = quick_stack.finished(run_id)["tables"]
    assert (table["status"], table["records"], table["silver_rows"]) == ("published", rows, rows)


def test_should_give_up_a_load_that_kills_every_worker_and_let_the_next_one_through(quick_stack, name):
    rows = large_table(quick_stack, name, 2)
    killed: set[int] = set()

    def ended() -> bool:
        batch = quick_stack.http.get(f"/api/watermarks/{name}").json().get("active_batch")
        if batch and batch["state"] == "claimed" and batch["attempts"] not in killed:
            killed.add(batch["attempts"])
            for pid in quick_stack.workers("IngestTableFunction"):
                kill(pid)
        return quick_stack.http.get(f"/api/runs/{run_id}").json()["status"] in ("failed", "succeeded")

    with stalled(quick_stack, name):
        run_id = quick_stack.post(quick_stack.request({"tableName": name})).json()["run_id"]
        wait_for(ended, "the run to end")
    assert killed == {1, 2, 3}
    (table,) = quick_stack.finished(run_id)["tables"]
    assert (table["status"], table["error"]["step"]) == ("failed", "ingest")
    assert "died" in table["error"]["cause"]
    after = quick_stack.load({"tableName": name})
    assert (after["status"], after["records"]) == ("published", rows)


def test_should_end_right_when_every_kind_of_worker_is_killed_on_the_way(quick_stack, name):
    names = [f"{name}_{n}" for n in range(3)]
    for table in names:
        large_table(quick_stack, table, 2)
    run_id = quick_stack.post(quick_stack.request({"tables": [{"tableName": t} for t in names]})).json()["run_id"]
    for function in CHAIN:
        pids = quick_stack.workers(function)
        for pid in pids:
            kill(pid)
    run = quick_stack.finished(run_id)
    assert {t["status"] for t in run["tables"]} == {"published"}
    for table in names:
        source = quick_stack.ask(f"SELECT COUNT(*), SUM(amount) FROM {table}")
        assert quick_stack.lake(f"SELECT COUNT(*), SUM(amount) FROM silver.{table}") == source
        assert quick_stack.lake(f"SELECT COUNT(*), SUM(amount) FROM gold.{table}") == source


@contextmanager
def moving(stack: Stack, accounts: list[str]) -> Iterator[None]:
    """For the block, money moves between two tables, a transaction each time; what both hold stays the same."""
    over = threading.Event()

    def move() -> None:
        with stack.source(autocommit=False) as connection, connection.cursor() as cursor:
            while not over.wait(0.02):
                amount, account = random.randint(1, 9), random.randint(1, 3)
                for table, sign in zip(accounts, "+-", strict=True):
                    cursor.execute(f"UPDATE {table} SET held = held {sign} {amount} WHERE id = {account}")
                connection.commit()

    with ThreadPoolExecutor(1) as mover:
        moved = mover.submit(move)
        try:
            yield
        finally:
            over.set()
        moved.result()


def test_should_never_publish_a_sum_that_is_off_while_money_moves_and_a_worker_dies(quick_stack, name):
    accounts, total = [f"{name}_{n}" for n in range(2)], f"{name}_total"
    quick_stack.execute(ON)
    for table in accounts:
        quick_stack.execute(
            f"CREATE TABLE {table} (id int PRIMARY KEY, held int NOT NULL)",
            f"ALTER TABLE {table} ENABLE CHANGE_TRACKING",
            f"INSERT INTO {table} VALUES (1, 100), (2, 100), (3, 100)",
        )
    sums = " + ".join(f"(SELECT sum(held) FROM silver.{table})" for table in accounts)
    tables = [{"tableName": table, "isIncremental": True, "changeTracking": True} for table in accounts]
    request = quick_stack.request(
        {"consistentCut": True, "tables": tables},
        goldConfig={"models": [{"tableName": total, "sql": f"SELECT {sums} AS held"}]},
    )
    runs = []
    with moving(quick_stack, accounts):
        runs.append(quick_stack.run(request))
        quick_stack.execute(f"EXEC flowforge_fault 'stall', 0, 1, 'JOIN [dbo].[{accounts[1]}]'")
        run_id = quick_stack.post(request).json()["run_id"]
        wait_for(lambda: claimed(quick_stack, accounts[1]), "the claim")
        for pid in quick_stack.workers("IngestTableFunction"):
            kill(pid)
        quick_stack.execute("EXEC flowforge_fault 'none'")
        runs.append(quick_stack.finished(run_id))
    runs.append(quick_stack.run(request))
    assert [{table["status"] for table in run["tables"]} for run in runs] == [{"published"}] * 3, runs
    assert set(versions_of(quick_stack, total)) == {600}
    for table in accounts:
        assert quick_stack.lake(f"SELECT id, held FROM silver.{table} ORDER BY id") == quick_stack.ask(
            f"SELECT id, held FROM {table} ORDER BY id"
        )


def versions_of(stack: Stack, gold: str) -> list[int]:
    """What each version of a gold table of one value has told."""
    table = DeltaTable(table_uri(stack.facts["bucket"], "gold", gold), storage_options={"AWS_ALLOW_HTTP": "true"})
    found: list[int] = []
    for version in range(table.version() + 1):
        table.load_as_version(version)
        found += [row["held"] for row in table.to_pyarrow_table().to_pylist()]
    return found
