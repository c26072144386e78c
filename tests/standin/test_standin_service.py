"""The server as a process: login, TLS, cancelling, breaking, many clients, a clean end."""

# ruff: noqa: E501 - SQL text and data read best unbroken

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading

import mssql_python
import pymssql
import pytest
from cryptography import x509

from flowforge.domain.given import given
from tests.helpers.standin import PASSWORD, start, stop
from tests.helpers.waiting import LIMIT_SECONDS, wait_for

ODBC = """
import sys, mssql_python
mssql_python.native_provider = "mssql-odbc"
try:
    with mssql_python.connect(sys.argv[1]) as connection:
        print(connection.execute("SELECT encrypt_option FROM sys.dm_exec_connections WHERE session_id = @@SPID").fetchone()[0])
except mssql_python.Error as error:
    print(error)
"""


def odbc(standin, options: str, ca_file: str | None = None, host: str = "localhost", password: str = PASSWORD) -> str:
    """What a process of its own prints: the driver reads its CA once per process."""
    environment = {key: value for key, value in os.environ.items() if key != "SSL_CERT_FILE"}
    if ca_file:
        environment["SSL_CERT_FILE"] = str(ca_file)
    text = f"Server={host},{standin.port};Database=BFSI_Test;UID=sa;PWD={password};{options}"
    done = subprocess.run(
        [sys.executable, "-c", ODBC, text],
        env=environment,
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        check=True,
    )
    return done.stdout.strip()


PYMSSQL = """
import sys, pymssql
try:
    pymssql.connect(server="127.0.0.1", port=sys.argv[1], user="sa", password="wrong", database="BFSI_Test")
except pymssql.OperationalError as error:
    print(error)
"""


def test_should_refuse_a_wrong_password_as_sql_server_does(standin):
    # In a process of its own: pymssql keeps some state of a process' first failed login.
    command = [sys.executable, "-c", PYMSSQL, str(standin.port)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_SECONDS, check=True)
    assert "18456" in done.stdout
    assert "Login failed for user 'sa'." in done.stdout
    assert "Login failed for user 'sa'." in odbc(standin, "TrustServerCertificate=yes", password="wrong")


def test_should_refuse_an_unknown_database(standin):
    with pytest.raises(pymssql.OperationalError):
        standin.connect(database="nope")
    with pytest.raises(mssql_python.Error, match=r'Cannot open database "nope" requested by the login\.'):
        standin.odbc(database="nope")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_should_pass_mssql_python_verification_with_its_ca_and_fail_without(standin, host):
    assert odbc(standin, "Encrypt=mandatory", standin.ca_file, host) == "TRUE"
    assert "certificate verify failed" in odbc(standin, "Encrypt=mandatory", None, host)


@pytest.mark.parametrize(
    ("options", "encrypted"),
    [("Encrypt=optional", "FALSE"), ("Encrypt=mandatory;TrustServerCertificate=yes", "TRUE"), ("Encrypt=strict;ServerCertificate={}", "TRUE")],
)  # fmt: skip
def test_should_speak_every_encryption_level(standin, options, encrypted):
    assert odbc(standin, options.format(standin.ca_file.with_name("server.pem"))) == encrypted


def test_should_pass_freetds_verification_with_its_ca_and_fail_with_another(
    standin, tmp_path, tmp_path_factory, monkeypatch
):
    from infra.sqlserver.certificate import ensure_certificate

    other = ensure_certificate(tmp_path_factory.mktemp("other"))
    for ca_file, accepted in ((standin.ca_file, True), (other, False)):
        configuration = tmp_path / "freetds.conf"
        configuration.write_text(f"[global]\nca file = {ca_file}\ncheck certificate hostname = yes\n")
        monkeypatch.setenv("FREETDSCONF", str(configuration))
        if accepted:
            standin.connect(encryption="require").close()
        else:
            with pytest.raises(pymssql.OperationalError):
                standin.connect(encryption="require")


def test_should_issue_a_certificate_for_this_machine_and_keep_it(standin, tmp_path):
    certificate = x509.load_pem_x509_certificate(standin.ca_file.with_name("server.pem").read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "localhost" in names.get_values_for_type(x509.DNSName)
    assert [str(address) for address in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1"]
    assert standin.ca_file.with_name("server.key").stat().st_mode & 0o077 == 0
    again = start(standin.ca_file.parent)
    try:
        assert certificate == x509.load_pem_x509_certificate(again.ca_file.with_name("server.pem").read_bytes())
    finally:
        stop(again)


def test_should_start_empty_with_its_own_names_and_stop_cleanly(tmp_path):
    settings = {"env": os.environ | {"STANDIN_PASSWORD": "s3cret ü"}}
    own = start(
        tmp_path, "--database", "Other", "--username", "reader", "--password-env", "STANDIN_PASSWORD", **settings
    )
    with pymssql.connect(
        server="127.0.0.1", port=str(own.port), user="reader", password="s3cret ü", database="Other"
    ) as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT DB_NAME(), (SELECT COUNT(*) FROM sys.tables)")
        assert cursor.fetchone() == ("Other", 0)
    assert stop(own) == 0


def test_should_say_that_its_port_is_taken(standin):
    command = [
        sys.executable,
        "-m",
        "infra.sqlserver",
        "--port",
        str(standin.port),
        "--tls-directory",
        str(standin.ca_file.parent),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False)
    assert done.returncode == 1
    assert "cannot listen on 127.0.0.1" in done.stderr
    assert done.stdout == ""


def test_should_print_one_line_of_json_and_end_on_interrupt(tmp_path):
    command = [sys.executable, "-m", "infra.sqlserver", "--tls-directory", str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    ready = json.loads(given(process.stdout).readline())
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=LIMIT_SECONDS)
    assert (process.returncode, rest) == (0, "")
    assert set(ready) == {"host", "port", "database", "ca_file", "pid"}
    assert ready["pid"] == process.pid


def test_should_report_an_error_in_mid_stream(connect):
    cursor = connect().cursor()
    cursor.execute("SELECT value, 100 / (300000 - value) FROM GENERATE_SERIES(1, 400000)")
    with pytest.raises(pymssql.Error, match="Divide by zero"):
        cursor.fetchall()


def test_should_stop_streaming_when_a_client_cancels(connect):
    connection = connect()
    cursor = connection.cursor()
    cursor.execute("SELECT a.customer_id FROM customers a CROSS JOIN customers b CROSS JOIN accounts c")
    assert cursor.fetchone() is not None
    connection._conn.cancel()
    cursor = connection.cursor()
    cursor.execute("SELECT 1")
    assert cursor.fetchall() == [(1,)]


LONG = """SELECT COUNT_BIG(*) FROM transactions a CROSS JOIN transactions b CROSS JOIN transactions c
 WHERE a.amount + b.amount > c.amount"""


def test_should_stop_computing_when_a_client_cancels(standin):
    with standin.odbc() as connection:
        connection.timeout = 1
        with pytest.raises(mssql_python.Error, match=r"(?i)timeout"):
            connection.execute(LONG)
        connection.timeout = 0
        assert connection.execute("SELECT 1").fetchone()[0] == 1


LEAVING = f"""
import sys, pymssql
connection = pymssql.connect(
    server="127.0.0.1", port=sys.argv[1], user="sa", password={PASSWORD!r}, database="BFSI_Test"
)
connection._conn.query_timeout = 1  # from here on: the login may take as long as it does
try:
    connection.cursor().execute(sys.argv[2])
except pymssql.Error as error:
    print(error)
"""


def test_should_stop_computing_when_a_client_leaves(standin, sql):
    # In a process of its own: pymssql's timeout holds for all connections of a process, from then on.
    command = [sys.executable, "-c", LEAVING, str(standin.port), LONG]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_SECONDS, check=True)
    assert "timed out" in done.stdout
    others = "SELECT COUNT(*) FROM sys.dm_exec_requests WHERE session_id <> @@SPID"
    wait_for(lambda: sql(others) == [(0,)], "the computing to stop")


def test_should_break_a_killed_session_and_serve_the_others(connect, sql):
    victim = connect()
    cursor = victim.cursor()
    cursor.execute("SELECT @@SPID")
    ((spid,),) = cursor.fetchall()
    sql(f"KILL {spid}")
    with pytest.raises(pymssql.Error):
        cursor.execute("SELECT 1")
    assert sql("SELECT 1") == [(1,)]


def test_should_serve_many_clients_at_once(standin):
    results = []

    def read() -> None:
        with standin.connect() as connection:
            cursor = connection.cursor()
            cursor.execute("SELECT * FROM transactions")
            results.append(len(cursor.fetchall()))

    threads = [threading.Thread(target=read) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT_SECONDS)
    assert results == [5000] * 20


def test_should_give_a_pooled_connection_back_clean(standin, sql, table):
    name = table("a int")
    left_open = standin.odbc(autocommit=False)
    left_open.execute(f"INSERT INTO {name} VALUES (1)")
    left_open.close()
    with standin.odbc() as connection:
        assert tuple(connection.execute(f"SELECT @@TRANCOUNT, COUNT(*) FROM {name}").fetchone()) == (0, 0)


def test_should_survive_a_client_that_talks_nonsense(standin, sql):
    import socket

    for data in (
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x12\x01\x00\x05",
        b"\x10\x01\x00\x09\x00\x00\x00\x00\x00",
        b"\x16\x03\x01\x00\x05hello",
    ):
        with socket.create_connection(("127.0.0.1", standin.port), 10) as client:
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)
            client.recv(1000)
    assert sql("SELECT 1") == [(1,)]


def test_should_end_cleanly_while_clients_are_busy(tmp_path):
    own = start(tmp_path, "--bank")
    client = own.connect()
    busy = threading.Thread(target=lambda: _ignore(client.cursor().execute, LONG))
    busy.start()
    with own.connect() as other:
        cursor = other.cursor()

        def computes() -> bool:
            cursor.execute("SELECT COUNT(*) FROM sys.dm_exec_requests WHERE session_id <> @@SPID")
            return cursor.fetchone() == (1,)

        wait_for(computes, "the client to be busy")
        assert stop(own) == 0
    busy.join(LIMIT_SECONDS)
    assert not busy.is_alive()


def _ignore(run, text: str) -> None:
    with contextlib.suppress(pymssql.Error):
        run(text)
