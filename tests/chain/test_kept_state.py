"""`up --data-dir`: watermarks, runs, connections and lake are there again after the stack was killed, whenever that was."""

import random
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.helpers.stack import BRIEF, Stack, in_lake_of
from tests.helpers.standin import stand_in
from tests.helpers.waiting import wait_for

TABLES = 2
KILLS = 2
MOMENTS = ["queued", "landed", "refined", "published"]

pytestmark = pytest.mark.timeout(400)


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Iterator[dict]:
    with stand_in(tmp_path_factory.mktemp("source")) as ready:
        yield ready


def start(folder: Path, source: dict) -> Stack:
    trust = f"FLOWFORGE_SOURCE_CA_FILE={source['ca_file']}"
    options = (
        BRIEF,
        "--no-sqlserver",
        "--data-dir",
        str(folder / "data"),
        "--env",
        trust,
        "--env",
        "FLOWFORGE_LEASE_SECONDS=2",
    )
    return Stack(folder / ".flowforge", *options).use(source)


def rows(stack: Stack, layer: str, name: str) -> list[tuple]:
    query = f"SELECT id, v FROM {layer}{name} ORDER BY id"
    return stack.ask(query) if layer == "dbo." else stack.lake(query)


def has_reached(stack: Stack, run_id: str, states: list[str]) -> bool:
    return any(table["status"] in states for table in stack.http.get(f"/api/runs/{run_id}").json()["tables"])


def test_should_go_on_after_the_stack_was_killed_in_mid_load(source, name, tmp_path):
    """Each load is interrupted at a random moment; the run that was accepted comes to its end in the next stack."""
    chance = random.Random(name)
    stack = start(tmp_path, source)
    assert stack.http.post("/api/connections", json={"id": "bank", **stack.connection}).status_code == 201
    tables = [f"{name}_{n}" for n in range(TABLES)]
    for table in tables:
        stack.execute(f"CREATE TABLE {table} (id int PRIMARY KEY, v int, rv rowversion)")
    config = {"tables": [{"tableName": table, "isIncremental": True, "deltaColumn": "rv"} for table in tables]}
    for load in range(KILLS):
        for table in tables:
            values = ", ".join(f"({load * 100 + n}, {n})" for n in range(100))
            stack.execute(
                f"INSERT INTO {table} (id, v) VALUES {values}", f"UPDATE {table} SET v = v + 1 WHERE id % 7 = {load}"
            )
        request = stack.request(config)
        request["source_config"]["connection"] = {"connectionId": "bank"}
        run_id = stack.post(request).json()["run_id"]
        reached = MOMENTS[chance.randrange(len(MOMENTS)) :]
        wait_for(partial(has_reached, stack, run_id, reached), "the moment to kill the stack")
        stack.kill()
        known, stack = stack.facts, start(tmp_path, source)
        assert all(stack.facts[name] == known[name] for name in ("token", "aws_access_key_id", "aws_secret_access_key"))
        run = stack.finished(run_id)
        assert run["status"] == "succeeded", run
    with in_lake_of(stack):
        for table in tables:
            expected = rows(stack, "dbo.", table)
            assert len(expected) == 100 * KILLS
            assert rows(stack, "silver.", table) == expected
            assert rows(stack, "gold.", table) == expected
            assert {one["generation"] for one in stack.http.get(f"/api/watermarks/{table}").json()["history"]} == {1}
        assert len(stack.http.get("/api/runs").json()["runs"]) == KILLS
    stack.stop()
