"""The tables of a request of thousands, some named, all matched by a pattern: each once, by its own settings and names."""

import copy
from collections.abc import Sequence
from typing import Any

import pytest

from events.commands import IngestTable
from events.request import InvalidRequest, parse_job_request
from events.sample_messages import FULL
from events.targets import ConnectionReference, SourceTable
from flowforge.jobs.plan import plan_commands
from flowforge.state.spelling import Loaded

PLACE = ConnectionReference(host="sql", port=1433, database="Bank", secret_id="flowforge/bank", secret_version="1")
MANY = 10_000
CATALOG = [f"[dbo].[Table_{n:05d}]" for n in range(MANY)]


def planned(tables: list[Any], catalog: Sequence[str] = CATALOG, loaded: Sequence[Loaded] = ()) -> list[IngestTable]:
    """The commands of a request for these tables, whose patterns match all of the catalog."""
    document = copy.deepcopy(FULL)
    document["source_config"]["databaseConfig"] = {"tables": tables}
    document["destination_config"] = {}
    return plan_commands(parse_job_request(document, None), "run_1", "batch_1", PLACE, lambda _: catalog, loaded)


def read_by(commands: list[IngestTable]) -> list[SourceTable]:
    return [command.source for command in commands if isinstance(command.source, SourceTable)]


@pytest.mark.parametrize("named", [0, MANY])
def test_should_plan_each_of_ten_thousand_tables_once_by_the_catalogs_spelling(named):
    entries = [{"tableName": name.upper(), "countRows": "never"} for name in CATALOG[:named]]
    commands = planned([*entries, "dbo.*"])
    assert [read.table_name for read in read_by(commands)] == CATALOG
    assert {read.count_rows for read in read_by(commands)} == {"never" if named else "auto"}
    assert commands[7].silver.table == "Table_00007"


def test_should_plan_ten_thousand_tables_by_the_names_that_they_have_in_the_lake():
    loaded = [Loaded(f"dbo.table_{n:05d}", f"bronze_table_{n:05d}", f"table_{n:05d}") for n in range(MANY)]
    commands = planned(["dbo.*"], loaded=loaded)
    assert [command.bronze.table for command in commands] == [one.bronze_table for one in loaded]


def test_should_give_a_table_the_settings_of_the_first_entry_that_means_it():
    entries = [{"tableName": "dbo.TABLE"}, {"tableName": "dbo.Other"}, {"tableName": "DBO.table", "countRows": "never"}]
    with pytest.raises(InvalidRequest, match="would both fill"):
        planned([*entries, "dbo.*"], ["[dbo].[Table]"])
    (first, other) = read_by(planned([*entries[1:], "dbo.*"], ["[dbo].[Table]", "[dbo].[Other]"]))
    assert (first.table_name, other.table_name, other.count_rows) == ("dbo.Other", "[dbo].[Table]", "never")


def test_should_keep_an_entry_whose_spelling_the_catalog_has_beside_a_table_of_another():
    with pytest.raises(InvalidRequest, match=r"dbo\.TABLE and \[dbo\]\.\[Table\] would both fill"):
        planned([{"tableName": "dbo.TABLE"}, "dbo.*"], ["[dbo].[Table]", "[dbo].[TABLE]"])
