"""One table, however requests spell it: one bronze table, one watermark; and what is refused where names meet."""

import copy
from dataclasses import replace

import pytest

from events.facts import BronzeLanded
from events.request import InvalidRequest
from events.sample_messages import FULL
from events.targets import ConnectionReference
from flowforge.bronze.ingest import ingest
from flowforge.domain.errors import ConflictingTarget, UnknownTable
from flowforge.domain.interval import Interval
from flowforge.domain.run_ids import new_run_id
from flowforge.domain.source_key import SourceKey
from flowforge.jobs.submission import submit
from flowforge.state import claims, run_stories, runs, table
from flowforge.state.leases import release
from tests.helpers.loads import ROWS, Loads, keep_login
from tests.helpers.standin import start, stop


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
    for first, second in (("dbo.sales_orders", "sales.orders"), ("dbo.cs", "dbo.Cs"), ("t", "t")):
        request = requested(load, tables=[{"tableName": first}, {"tableName": second}])
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


@pytest.fixture
def mixed(loads) -> Loads:
    """A table whose name has capitals, of which the lake has nothing."""
    load = loads()
    named = replace(load, name=f"Mixed_{load.name}")
    named.execute("CREATE TABLE {t} (id int PRIMARY KEY, at datetime2(3))", ROWS)
    return named


def accepted(load: Loads, written: str, silver: dict | None = None, gold: dict | None = None):
    """The command of a request that writes the table so, and names no bronze table."""
    document = requested(load, tableName=written, isIncremental=True, deltaColumn="at")
    document["destination_config"] = {"silverConfig": silver or {}} | ({"goldConfig": gold} if gold else {})
    submit(document, new_run_id(), "http")
    (command,) = load.submitted_again()
    return command.model_copy(update={"connection": load.connection})


def keys_of(load: Loads) -> list[str]:
    return [item["sk"] for item in table.list_tables() if load.name.lower() in item["sk"].lower()]


def test_should_name_a_new_table_as_the_catalog_does(mixed):
    command = accepted(mixed, f"DBO.{mixed.name.upper()}")
    (landed,) = ingest(command).facts
    assert isinstance(landed, BronzeLanded)
    assert (landed.bronze_table, landed.source_table) == (f"bronze_{mixed.name}", f"dbo.{mixed.name}")
    assert mixed.name in landed.bronze_key
    run_stories.record(landed)
    (shown,) = runs.read_run(command.run_id)["tables"]
    assert (shown["table"], shown["status"]) == (f"bronze_{mixed.name}", "landed")
    mixed.commit(landed)
    again = accepted(mixed, mixed.name.lower())
    assert (again.bronze.table, again.silver.table, again.gold.table) == (
        f"bronze_{mixed.name}",
        mixed.name,
        mixed.name,
    )
    assert not mixed.follow(again)
    assert keys_of(mixed) == [mixed.key] and mixed.watermark() is not None
    assert table.resolve(f"bronze_{mixed.name.lower()}").source_key == mixed.key


def test_should_bring_two_spellings_that_wait_at_once_into_one_table(mixed):
    waiting = [accepted(mixed, written) for written in (mixed.name.upper(), mixed.name.lower(), mixed.name)]
    landed = [fact for command in waiting for fact in mixed.follow(command)]
    assert [fact.records for fact in landed] == [3] and keys_of(mixed) == [mixed.key]


def test_should_keep_the_names_that_a_request_gives(mixed):
    written = mixed.name.lower()
    own = accepted(mixed, written, {"tableName": written})
    read = accepted(
        mixed, written, gold={"models": [{"tableName": f"m_{written}", "sql": f"SELECT * FROM silver.{written}"}]}
    )
    assert own.default_names == ["bronze"] and read.default_names == ["bronze", "silver", "gold"]
    mixed.follow(read)
    assert keys_of(mixed)[0].endswith(f">bronze_{written}")
    assert table.read_state(keys_of(mixed)[0]).silver_table == written
    assert not mixed.follow(own) and len(keys_of(mixed)) == 1


def test_should_go_on_under_the_name_that_an_earlier_version_took_from_a_request(mixed):
    upper = mixed.name.upper()
    before = mixed.command("r1", table_name=upper)
    targets = {"bronze": before.bronze.model_copy(update={"table": f"bronze_{upper}"})}
    targets["silver"] = before.silver.model_copy(update={"table": upper})
    assert mixed.follow(before.model_copy(update=targets))
    for written in (mixed.name, mixed.name.lower(), upper):
        command = accepted(mixed, written)
        assert (command.bronze.table, command.silver.table) == (f"bronze_{upper}", upper)
        assert not mixed.follow(command)
    (key,) = keys_of(mixed)
    assert key.endswith(f"/dbo.{mixed.name}>bronze_{upper}") and table.read_state(key).silver_table == upper


@pytest.fixture(scope="module")
def counts_case(server):
    """A server whose collation takes `cs` and `Cs` for two names, and whose database has signs in its name."""
    started = start(server.ca_file.parent, "--collation", "Latin1_General_CS_AS", "--database", "Bank/East 50%>#")
    keep_login("flowforge/counts/case", "sa", started.port)
    yield started
    stop(started)


@pytest.fixture
def there(loads, counts_case) -> Loads:
    """Loads from that server; its `name` is to be replaced."""
    where = {"host": "localhost", "port": counts_case.port, "database": counts_case.database, "driver": "pymssql"}
    return replace(
        loads(), server=counts_case, connection=ConnectionReference(**where, secret_id="flowforge/counts/case")
    )


def test_should_take_names_that_differ_by_case_for_two_tables_where_the_server_does(there):
    lower, capital = (replace(there, name=name) for name in ("cs", "Cs"))
    for load, rows in ((lower, "(1, '2024-01-01')"), (capital, "(2, '2024-01-01'), (3, '2024-01-01')")):
        load.execute("CREATE TABLE {t} (id int PRIMARY KEY, at datetime2(3))", f"INSERT INTO {{t}} VALUES {rows}")
    there.aws.messages("IngestQueue")
    assert [fact.records for fact in lower.follow(accepted(lower, "dbo.cs"))] == [1]
    with pytest.raises(ConflictingTarget, match=r"is filled from .*/dbo\.cs>") as caught:
        capital.follow(accepted(capital, "dbo.Cs"))
    assert "dbo__Cs" in caught.value.remedy
    apart = capital.command("r1").model_copy(update={"default_names": []})
    named = {
        layer: getattr(apart, layer).model_copy(update={"table": "capital"}) for layer in ("bronze", "silver", "gold")
    }
    assert [fact.records for fact in capital.follow(apart.model_copy(update=named))] == [2]
    assert not lower.follow(accepted(lower, "cs"))
    with pytest.raises(UnknownTable, match=r"dbo\.CS does not exist") as caught:
        ingest(lower.command("r9", table_name="CS"))
    assert "dbo.Cs" in caught.value.remedy


def test_should_keep_tables_apart_whose_names_meet_without_their_signs(there):
    there.execute("CREATE SCHEMA [a.b]", "CREATE SCHEMA [a]")
    there.aws.messages("IngestQueue")
    dotted, plain = (replace(there, name=name) for name in ("c/d>e", "b.c/d>e"))
    for schema, load, rows in (("a.b", dotted, "(1, NULL)"), ("a", plain, "(2, NULL), (3, NULL)")):
        load.execute(f"CREATE TABLE [{schema}].[{load.name}] (id int PRIMARY KEY, at datetime2(3))")
        load.execute(f"INSERT INTO [{schema}].[{load.name}] VALUES {rows}")
    (first,) = dotted.follow(accepted(dotted, "[a.b].[c/d>e]"))
    where = f"localhost:{there.connection.port}/Bank%2FEast 50%>#"
    assert first.source_key == f"{where}/a%2Eb.c/d>e>{first.bronze_table}"
    assert (first.records, first.source_table) == (1, "a.b.c/d>e")
    other = accepted(plain, "[a].[b.c/d>e]")
    with pytest.raises(ConflictingTarget, match="is filled from") as caught:
        plain.follow(other)
    assert "a__b_c_d_e_" in caught.value.remedy
    own = {layer: getattr(other, layer).model_copy(update={"table": "apart"}) for layer in ("bronze", "silver", "gold")}
    (second,) = plain.follow(other.model_copy(update=own))
    assert (second.source_key, second.records) == (f"{where}/a.b.c/d>e>apart", 2)


def test_should_go_on_with_a_key_in_which_an_earlier_version_escaped_nothing(there):
    there.execute("CREATE TABLE [old/er] (id int PRIMARY KEY, at datetime2(3))")
    there.execute("INSERT INTO [old/er] VALUES (1, '2024-01-01'), (2, '2024-02-02')")
    load = replace(there, name="old/er")
    load.aws.messages("IngestQueue")
    command = accepted(load, "[old/er]")
    before = SourceKey.of(load.connection, "dbo", "old/er", command.bronze.table).unescaped
    assert "/Bank/East 50%>#/dbo.old/er>bronze_old_er_" in before
    interval = Interval(column="at", sql_type="datetime2(3)", high="2024-01-15 00:00:00.000")
    release(claims.claim(table.read_state(before), command, "dbo.old/er", interval, {}, []))
    landed = [load.follow(command), load.follow(accepted(load, "dbo.old/er"))]
    assert [(fact.source_key, fact.records) for facts in landed for fact in facts] == [(before, 1), (before, 1)]
    assert [item["sk"] for item in table.list_tables() if "old/er" in item["sk"]] == [before]
