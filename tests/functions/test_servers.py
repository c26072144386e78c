"""Servers other than SQL Server 2022: each refuses what it lacks, and a load does without, with the promise that then holds."""

import json

import pytest

from events.facts import BronzeLanded
from events.targets import ConnectionReference
from flowforge.aws.clients import client
from flowforge.bronze.ingest import ingest
from flowforge.domain.errors import LoginRefused, QueryRefused, SourceUnavailable, UnsupportedSource
from flowforge.domain.given import given
from flowforge.sources.sqlserver.catalog import describe_table, list_tables
from flowforge.sources.sqlserver.connection import connect
from flowforge.sources.sqlserver.database_facts import connection_facts
from flowforge.sources.sqlserver.optional import optional_rows
from flowforge.sources.sqlserver.query_columns import describe_query
from flowforge.sources.target import Credentials
from tests.helpers.loads import ROWS, Loads
from tests.helpers.standin import PASSWORD, start, stop

LOGIN = Credentials.model_validate({"username": "sa", "password": PASSWORD})
EXACT, BLIND, NO_VIEW = (
    "exact",
    "this login cannot see open transactions; GRANT {} makes it exact",
    "this server has no view",
)
PROFILES = {
    "2014": (EXACT, []),
    "azure-sql": (BLIND.format("VIEW DATABASE STATE"), []),
    "babelfish": (
        NO_VIEW,
        ["sys.allocation_units is not there on this server", "this server joins columns to text otherwise"],
    ),
    "few-rights": (
        BLIND.format("VIEW SERVER STATE"),
        ["sys.databases may not be asked", "sys.partitions may not be asked", "sys.allocation_units may not be asked"],
    ),
}


@pytest.fixture(scope="module", params=[*PROFILES, "synapse"])
def other(request, aws, tmp_path_factory):
    """A server of another kind, with the login's secret; its profile's name beside it."""
    started = start(tmp_path_factory.mktemp("tls"), "--bank", "--profile", request.param)
    secret = json.dumps({"username": "sa", "password": PASSWORD, "host": "localhost", "port": started.port})
    client("secretsmanager").create_secret(Name=f"servers/{request.param}", SecretString=secret)
    yield request.param, started
    stop(started)


@pytest.fixture
def reference(other, monkeypatch):
    profile, server = other
    monkeypatch.setenv("FLOWFORGE_SOURCE_CA_FILE", str(server.ca_file))
    where = {"host": "localhost", "port": server.port, "database": server.database, "driver": "pymssql"}
    yield ConnectionReference(**where, secret_id=f"servers/{profile}")
    monkeypatch.undo()


@pytest.fixture
def kind(other):
    return other[0] if other[0] in PROFILES else pytest.skip("a warehouse is refused")


@pytest.fixture
def load(aws, other, reference, unique, kind):
    made = Loads(aws, other[1], unique("t"), reference)
    made.execute("CREATE TABLE {t} (id int PRIMARY KEY, at datetime2(3))", ROWS, "CREATE INDEX by_at ON {t} (at)")
    return made


def test_should_tell_what_a_login_sees_and_describe_its_tables(reference, kind):
    with connect(reference, LOGIN) as source:
        facts = connection_facts(source)
        assert (facts["encrypted"], facts["sees_open_transactions"]) == (True, PROFILES[kind][0] == EXACT)
        listed = {table.name: table.row_estimate for table in list_tables(source)}
        assert listed["customers"] == (None if kind == "few-rights" else 500)
        described = describe_table(source, "customers")
        assert described.primary_key == ["customer_id"]
        declared = {column.name.lower(): column.sql_type for column in described.columns}
        expected = {
            "customer_id": "int",
            "annual_income": "decimal(15,2)",
            "phone": "nvarchar(20)",
            "modified_date": "datetime",
        }
        assert expected.items() <= declared.items()
        query = describe_query(source, "SELECT customer_id, annual_income AS income FROM dbo.customers")
        assert [(column.name, column.sql_type) for column in query] == [
            ("customer_id", "int"),
            ("income", "decimal(15,2)"),
        ]
        with pytest.raises(QueryRefused):
            describe_query(source, "SELEC 1")


def test_should_load_all_of_a_table_and_say_what_the_server_lacks(load, kind):
    (fact,) = load.load("full", None)
    assert fact.records == 3
    for lacking in PROFILES[kind][1]:
        assert [note for note in fact.notes if note.startswith(lacking)], (lacking, fact.notes)
    assert len(fact.notes) == len(PROFILES[kind][1])


def test_should_load_by_a_timestamp_with_the_promise_that_holds_there(load, kind):
    (fact,) = load.load("one")
    assert fact.records == 3
    assert PROFILES[kind][0] in fact.promise
    load.execute("INSERT INTO {t} VALUES (40, '2024-04-04'); UPDATE {t} SET at = '2024-04-04' WHERE id = 10")
    outcome = ingest(load.command("two"))
    assert [type(found).__name__ for found in outcome.facts] == [
        "IntervalEmpty"
    ]  # stamped below the watermark: not promised


def test_should_bound_numbers_by_what_can_be_seen_of_transactions(load, kind):
    outcome = ingest(load.command("one", "id"))
    if PROFILES[kind][0] == EXACT:
        (landed,) = outcome.facts
        assert isinstance(landed, BronzeLanded)
        assert (landed.records, given(landed.promise)[:5]) == (3, EXACT)
    else:
        assert outcome.wait_seconds
        assert "nobody can see" in outcome.reason


def test_should_load_by_row_versions_or_name_what_the_server_lacks(load, kind):
    load.execute("ALTER TABLE {t} ADD version rowversion")
    if kind != "babelfish":
        (fact,) = load.load("one", "version")
        assert (fact.records, fact.promise[:5]) == (3, EXACT)
        return
    with pytest.raises(
        UnsupportedSource, match=r"MIN_ACTIVE_ROWVERSION.*is not there on this server \(Babelfish"
    ) as caught:
        ingest(load.command("one", "version"))
    assert "timestamp column" in caught.value.remedy


def test_should_refuse_a_warehouse_in_one_sentence(other, reference):
    if other[0] in PROFILES:
        pytest.skip("not a warehouse")
    with connect(reference, LOGIN) as source, pytest.raises(UnsupportedSource, match="keys are not enforced") as caught:
        connection_facts(source)
    assert "docs/servers.md" in caught.value.remedy


def test_should_tell_a_database_that_cannot_be_opened_by_the_logins_own_failure(reference):
    with pytest.raises(LoginRefused), connect(reference.model_copy(update={"database": "Nowhere"}), LOGIN):
        pass


def test_should_not_take_a_failure_for_a_lack(reference, other):
    with connect(reference, LOGIN) as source:
        with pytest.raises(QueryRefused):
            optional_rows(source, "SELECT 1 / 0 AS a")
        session = source.scalar("SELECT @@SPID AS session_id")
        with connect(reference, LOGIN) as killer:
            killer.run(f"KILL {session}")
        with pytest.raises(SourceUnavailable):
            optional_rows(source, "SELECT COUNT(*) AS n FROM sys.allocation_units")
