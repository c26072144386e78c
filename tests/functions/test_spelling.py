"""One table, however requests spell it: one bronze table, one watermark; and what is refused where names meet."""

import copy

import pytest

from events.export import FULL
from events.request import InvalidRequest
from flowforge.errors import ConflictingTarget
from flowforge.jobs.submission import new_run_id, submit
from flowforge.state import table
from tests.functions.loads import Loads


def requested(load: Loads, **config) -> dict:
    document = copy.deepcopy(FULL)
    where = load.connection
    connection = {
        "host": where.host,
        "port": where.port,
        "database": where.database,
        "secretId": where.secret_id,
    }
    document["source_config"] |= {"connection": connection, "databaseConfig": config}
    document["destination_config"] = {}
    return document


def test_should_take_every_spelling_of_a_loaded_table_for_the_same(loads):
    load = loads()
    load.load("r1")
    before = load.watermark()
    for written in (load.name.upper(), f"DBO.{load.name.title()}", f"[Dbo].[{load.name.swapcase()}]"):
        load.aws.messages("IngestQueue")
        accepted = submit(
            requested(load, tableName=written, isIncremental=True, deltaColumn="at"), new_run_id(), "http"
        )
        assert accepted.tables == [f"bronze_{load.name}"]
        (command,) = load.submitted_again()
        assert (command.silver.table, command.gold.table) == (load.name, load.name)
        load.follow(command.model_copy(update={"connection": load.connection}))
    assert before is not None and len(table.read_state(load.key).watermarks) == 1
    assert [item["bronze_table"] for item in table.list_tables() if load.name in item["sk"].lower()] == [
        f"bronze_{load.name}"
    ]


def test_should_refuse_a_second_lake_table_that_differs_by_case_only(loads):
    load = loads()
    load.load("r1")
    command = load.command("r2", table_name=load.name.upper())
    upper = f"bronze_{load.name.upper()}"
    with pytest.raises(ConflictingTarget) as caught:
        load.follow(command.model_copy(update={"bronze": command.bronze.model_copy(update={"table": upper})}))
    assert f"bronze_{load.name};" in str(caught.value) and upper in str(caught.value)
    assert f"dbo.{load.name}" in caught.value.remedy


def test_should_find_the_watermark_of_a_database_in_another_case(loads):
    load = loads()
    load.load("r1")
    other = load.command("r2").connection.model_copy(update={"database": load.connection.database.lower()})
    load.follow(load.command("r2").model_copy(update={"connection": other}))
    assert len(load.states()) + 1 >= 2 and load.states()[0] != "claimed"
    assert [item["sk"] for item in table.list_tables() if load.name in item["sk"]] == [load.key]


def test_should_offer_both_names_where_two_tables_would_share_one(loads):
    load = loads()
    load.load("r1")
    other = loads()
    command = other.command("r1")
    shared = command.model_copy(update={"silver": command.silver.model_copy(update={"table": load.name.upper()})})
    with pytest.raises(ConflictingTarget, match="is filled from") as caught:
        other.follow(shared)
    assert f"dbo.{load.name}" in caught.value.remedy and f"dbo__{other.name}" in caught.value.remedy


def test_should_refuse_default_names_that_meet_within_a_request(loads):
    load = loads()
    for first, second in (("dbo.sales_orders", "sales.orders"), ("dbo.cs", "dbo.Cs")):
        request = requested(load, tables=[first, second])
        with pytest.raises(InvalidRequest, match="would both fill silver table") as caught:
            submit(request, new_run_id(), "http")
        assert first in str(caught.value) and second in str(caught.value) and "tableName" in str(caught.value)


def test_should_load_a_table_once_that_is_named_in_another_case_and_matched_by_a_pattern(loads):
    load = loads()
    settings = {"tableName": load.name.upper(), "isIncremental": True, "deltaColumn": "at"}
    document = requested(load, tables=[settings, f"dbo.{load.name}*"])
    accepted = submit(document, new_run_id(), "http")
    assert accepted.tables == [f"bronze_{load.name}"]
    (command,) = load.submitted_again()
    assert (command.source.table_name, command.source.delta_column) == (f"[dbo].[{load.name}]", "at")
