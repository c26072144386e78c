"""What a load promises is told by every run, also by one that had nothing to read."""

import io

import pytest
from rich.console import Console

from events.facts import BronzeLanded
from flowforge.bronze.ingest import ingest
from flowforge.cli import rendering
from flowforge.operations.watermarks import commit_landed
from flowforge.state import run_stories, runs
from tests.helpers.loads import READER


def status_of(load, run: str, column: str) -> tuple[dict, str]:
    """Loads once; the run's table as the API tells it, and what `flowforge status RUN` prints."""
    command = load.command(run, column)
    runs.open_run(command.run_id, "w", "j", run, "http", [(command.bronze.table, load.name)])
    for fact in ingest(command).facts:
        run_stories.record(fact)
        if isinstance(fact, BronzeLanded):
            commit_landed(fact)
    told = runs.read_run(command.run_id)
    console = Console(file=(shown := io.StringIO()), width=200)
    console.print(rendering.run_summary(told))
    return told["tables"][0], " ".join(shown.getvalue().split())


@pytest.mark.parametrize("column", ["at", "id"])
def test_should_say_with_every_run_that_rows_may_be_missed_where_transactions_are_hidden(loads, monkeypatch, column):
    monkeypatch.setenv("FLOWFORGE_CURSOR_LAG_SECONDS", "0")
    load = loads(login=READER)
    for run, status in (("one", None), ("two", "empty"), ("three", "empty")):
        table, shown = status_of(load, run, column)
        assert status in (None, table["status"])
        assert "may miss" in table["promise"]
        assert f"{column}: 0 s behind" in shown and "GRANT VIEW SERVER" in shown


@pytest.mark.parametrize("column", ["at", "id"])
def test_should_tell_the_promise_of_an_interval_without_rows(loads, column):
    load = loads()
    promises = [status_of(load, run, column)[0]["promise"] for run in ("one", "two")]
    assert promises[0].startswith("exact") and promises[1] == promises[0]
