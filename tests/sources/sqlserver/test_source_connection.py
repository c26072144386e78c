"""Connecting: TLS that is verified, and failures that say what to do."""

import os
import subprocess
import sys
import traceback

import pytest

from flowforge.domain.errors import (
    FlowForgeError,
    LoginRefused,
    QueryRefused,
    SourceUnavailable,
    UnknownColumn,
    UnknownTable,
    UnsupportedSource,
)
from flowforge.domain.source_columns import SourceColumn
from flowforge.sources.sqlserver.catalog import describe_table
from flowforge.sources.sqlserver.connection import connect
from flowforge.sources.sqlserver.database_facts import connection_facts, server_identity
from flowforge.sources.sqlserver.reader import open_reader
from flowforge.sources.sqlserver.selection import Selection
from flowforge.sources.sqlserver.statement import Statement
from flowforge.sources.target import Credentials
from tests.helpers.waiting import LIMIT_SECONDS

DRIVERS = ("pymssql", "mssql-python")
ONE = Selection("SELECT 1 AS a", [SourceColumn(name="a", sql_type="int")])


@pytest.fixture
def foreign_ca(server, checked, tmp_path, monkeypatch):
    """A process environment that trusts another authority than the server's."""
    from infra.sqlserver.certificate import ensure_certificate

    monkeypatch.setenv("FLOWFORGE_SOURCE_CA_FILE", str(ensure_certificate(tmp_path)))


def test_should_connect_over_tls_and_tell_what_the_login_sees(bank):
    facts = connection_facts(bank)
    assert facts["encrypted"] is True
    assert facts["sees_open_transactions"] is True
    assert facts["login"] == "sa"
    assert facts["database"] == bank.reference.database
    assert facts["tables"] >= 3
    assert facts["server_version"].startswith("Microsoft SQL Server")


def test_should_identify_the_database_and_the_table_behind_a_name(bank):
    identity = server_identity(bank, describe_table(bank, "customers"))
    assert identity["database"] == bank.reference.database
    assert identity["server_name"] and len(identity["database_created"]) == 23
    assert identity["object_id"] == bank.scalar("SELECT OBJECT_ID(%s) AS n", ("dbo.customers",))


def test_should_refuse_a_certificate_of_another_authority(server, foreign_ca):
    with pytest.raises(SourceUnavailable) as caught, connect(server.reference, server.credentials):
        pass
    assert "FLOWFORGE_SOURCE_CA_FILE" in caught.value.remedy


@pytest.mark.parametrize("trusting_first", [False, True])
def test_should_refuse_a_foreign_certificate_through_the_fast_driver_too(server, foreign_ca, trusting_first):
    """In a process of its own: that driver looks at its authorities once."""
    reference, password = server.reference.model_dump(), server.credentials.password.get_secret_value()
    code = f"""
from events.targets import ConnectionReference
from flowforge.domain.errors import SourceUnavailable
from flowforge.sources.target import Credentials
from flowforge.sources.sqlserver.reader import open_reader
from flowforge.sources.sqlserver.selection import Selection
from flowforge.domain.source_columns import SourceColumn
reference, columns = ConnectionReference(**{reference!r}), [SourceColumn(name="a", sql_type="int")]
def attempt(trust):
    target = reference.model_copy(update=dict(trust_server_certificate=trust))
    login = Credentials(username="sa", password={password!r})
    with open_reader(target, login, Selection("SELECT 1 AS a", columns), "mssql-python") as r:
        return [b.num_rows for b in r]
if {trusting_first}:
    assert attempt(True) == [1]
try:
    attempt(False)
except SourceUnavailable as error:
    print("refused:", error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False
    )
    assert done.stdout.startswith("refused:"), done.stdout + done.stderr
    assert "certificate" in done.stdout


def test_should_skip_the_check_but_keep_tls_when_told_to_trust(server, foreign_ca):
    trusting = server.reference.model_copy(update={"trust_server_certificate": True})
    with connect(trusting, server.credentials) as connection:
        assert connection_facts(connection)["encrypted"] is True
    with open_reader(trusting, server.credentials, ONE, "mssql-python") as reader:
        assert [b.num_rows for b in reader] == [1]


def test_should_refuse_to_connect_unverified_when_the_ca_file_is_missing(server, checked, tmp_path, monkeypatch):
    monkeypatch.setenv("FLOWFORGE_SOURCE_CA_FILE", str(tmp_path / "none.pem"))
    with pytest.raises(UnsupportedSource, match=r"none\.pem"), connect(server.reference, server.credentials):
        pass


def test_should_leave_the_environments_own_certificate_bundle_alone(server, checked, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", "/somewhere/else.pem")
    with open_reader(server.reference, server.credentials, ONE, "mssql-python") as reader:
        assert [b.num_rows for b in reader] == [1]
    assert os.environ["SSL_CERT_FILE"] == "/somewhere/else.pem"


def test_should_connect_where_it_is_told_to_whatever_freetds_variables_say(server, checked, monkeypatch):
    for name, value in {"TDSHOST": "127.0.0.9", "TDSPORT": "9", "TDSVER": "4.2"}.items():
        monkeypatch.setenv(name, value)
    with connect(server.reference, server.credentials) as connection:
        assert connection_facts(connection)["encrypted"] is True


@pytest.mark.parametrize("driver", ["question", *DRIVERS])
def test_should_refuse_a_wrong_password_without_repeating_it(server, driver):
    wrong = Credentials.model_validate({"username": "sa", "password": "hunter2-and-more"})
    with pytest.raises(LoginRefused) as caught:
        _open(driver, server.reference, wrong)
    assert "hunter2" not in "".join(traceback.format_exception(caught.value)) + caught.value.remedy
    assert "'sa'" in str(caught.value)


@pytest.mark.parametrize("driver", ["question", *DRIVERS])
def test_should_say_that_it_is_the_database_that_cannot_be_opened(server, driver):
    with pytest.raises(LoginRefused, match="Nowhere"):
        _open(driver, server.reference.model_copy(update={"database": "Nowhere"}), server.credentials)


@pytest.mark.parametrize("driver", ["question", *DRIVERS])
@pytest.mark.parametrize("change", [{"port": 1}, {"host": "no-such-host.invalid"}])
def test_should_call_an_unreachable_server_unavailable_even_after_a_refused_login(server, driver, change):
    with pytest.raises(LoginRefused):
        _open("question", server.reference, Credentials.model_validate({"username": "sa", "password": "wrong"}))
    with pytest.raises(SourceUnavailable) as caught:
        _open(driver, server.reference.model_copy(update=change), server.credentials)
    assert str(next(iter(change.values()))) in str(caught.value)
    assert "host" in caught.value.remedy


def test_should_not_let_a_host_name_write_into_the_drivers_configuration(server):
    hostile = server.reference.model_copy(update={"host": "localhost\n\tencryption = off"})
    with pytest.raises(UnsupportedSource):
        _open("question", hostile, server.credentials)


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT * FROM dbo.nope", UnknownTable),
        ("SELECT nope FROM dbo.customers", UnknownColumn),
        ("SELEC 1", QueryRefused),
        ("SELECT 1 / 0 AS a", QueryRefused),
    ],
)
def test_should_class_what_the_server_refuses_and_go_on(bank, sql, expected):
    with pytest.raises(expected) as caught:
        bank.rows(sql)
    assert f"{bank.reference.database} on {bank.reference.host}" in str(caught.value)
    assert bank.scalar("SELECT 1 AS a") == 1


def test_should_answer_what_was_asked_together_without_another_request_once(bank):
    open_now = Statement(("SELECT @@TRANCOUNT AS n",))
    many = Statement(("SELECT TOP (1000) a.object_id FROM sys.columns AS a CROSS JOIN sys.columns AS b",))
    none = Statement(("SELECT 1 AS a, 2 AS b WHERE 1 = 0",))
    bank.ask_together(open_now, many, none)
    bank.run("BEGIN TRANSACTION")
    try:
        assert bank.scalar(open_now) == 0  # of the moment when it was asked
        assert bank.scalar(open_now) == 1
    finally:
        bank.run("ROLLBACK")
    assert (len(bank.rows(many)), bank.rows(none)) == (1_000, [])
    bank.ask_together(open_now)
    bank.ask_together(none)
    bank.run("BEGIN TRANSACTION")
    try:
        assert bank.scalar(open_now) == 1  # the next questions have taken the place of an answer that nobody wanted
    finally:
        bank.run("ROLLBACK")


@pytest.mark.parametrize("refused", ["SELECT * FROM sys.nope", "SELECT 1 / 0 AS n", "SELEC 1"])
def test_should_meet_a_refusal_among_questions_where_its_answer_is_wanted(bank, refused):
    first, last = Statement(("SELECT 1 AS n",)), Statement(("SELECT 3 AS n",))
    bank.ask_together(first, Statement((refused,)), last)
    assert (bank.scalar(first), bank.scalar(last)) == (1, 3)
    with pytest.raises(FlowForgeError):
        bank.rows(refused)
    assert bank.scalar(first) == 1


def test_should_bind_hostile_values_as_values(bank):
    hostile = "x'; DROP TABLE dbo.customers; -- \\\nनमस्ते %s ?"
    assert bank.scalar("SELECT %s AS echoed", (hostile,)) == hostile
    assert describe_table(bank, "customers").columns


def test_should_run_each_statement_in_its_own_transaction(bank):
    assert bank.scalar("SELECT @@TRANCOUNT AS n") == 0


def _open(driver, reference, credentials):
    if driver == "question":
        with connect(reference, credentials):
            pass
    else:
        with open_reader(reference, credentials, ONE, driver):
            pass
