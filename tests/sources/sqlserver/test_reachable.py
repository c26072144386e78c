"""A source is where a setting lets it be, by the address that is connected to and not by how its name is written."""

import socket
from collections.abc import Iterator

import pytest

from flowforge.domain.errors import SourceUnavailable, UnsupportedSource
from flowforge.runtime.settings import settings
from flowforge.sources.reachable import check_host, check_peers
from flowforge.sources.sqlserver.connection import connect
from flowforge.sources.sqlserver.probe import ONE_ROW
from flowforge.sources.sqlserver.reader import open_reader

LISTED = "FLOWFORGE_SOURCE_NETWORKS"
OWN = ["169.254.169.254", "2852039166", "0xa9fea9fe", "0251.0376.0251.0376", "169.254.43518", "169.254.1.2", "0xA9.254.0251.254",
       "fe80::1", "fd00:ec2::254", "::ffff:169.254.169.254", "::ffff:a9fe:a9fe", "::a9fe:a9fe", "64:ff9b::a9fe:a9fe",
       "2002:a9fe:a9fe::1", "100.100.100.200", "168.63.129.16", "0.0.0.1", "::", "224.0.0.1", "ff02::1"]  # fmt: skip


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A port of this machine that nobody is to connect to."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        yield listening


@pytest.mark.parametrize("host", OWN)
@pytest.mark.parametrize("driver", ["questions", "pymssql", "mssql-python"])
def test_should_open_no_connection_to_an_address_of_the_machines_own(server, host, driver):
    reference = server.reference.model_copy(update={"host": host})
    with pytest.raises(UnsupportedSource, match="no source") as refused:
        opened(driver, reference, server.credentials)
    assert LISTED in refused.value.remedy


def opened(driver, reference, credentials) -> None:
    """Connects for questions, or for rows by a driver; and closes."""
    if driver == "questions":
        with connect(reference, credentials):
            return
    open_reader(reference, credentials, ONE_ROW, driver).close()


@pytest.mark.parametrize("driver", ["questions", "pymssql", "mssql-python"])
@pytest.mark.parametrize("listed", ["10.0.0.0/8, fd00::/8", "sql.example.com", "*.localhost", "10.1.2.3"])
def test_should_go_to_what_is_listed_and_nowhere_else(server, listener, monkeypatch, driver, listed):
    monkeypatch.setenv(LISTED, listed)
    reference = server.reference.model_copy(update={"host": "127.0.0.1", "port": listener.getsockname()[1]})
    with pytest.raises(UnsupportedSource, match="outside the networks"):
        opened(driver, reference, server.credentials)
    with pytest.raises(BlockingIOError):  # nobody has come
        listener.accept()


@pytest.mark.parametrize("driver", ["questions", "pymssql", "mssql-python"])
@pytest.mark.parametrize("listed", ["", "127.0.0.0/8, ::1", "LOCALHOST.", " localhost , 10.0.0.0/8"])
def test_should_reach_what_may_be_reached(server, monkeypatch, driver, listed):
    monkeypatch.setenv(LISTED, listed)
    opened(driver, server.reference, server.credentials)


@pytest.mark.parametrize(
    ("listed", "host", "may"),
    [
        ("169.254.7.0/24", "169.254.7.7", True),
        ("169.254.7.0/24", "169.254.169.254", False),
        ("0.0.0.0/0, ::/0", "169.254.169.254", False),
        ("0.0.0.0/0, ::/0", "::ffff:169.254.169.254", False),
        ("0.0.0.0/0, ::/0", "192.0.2.1", True),
        ("*.example.com, 169.254.169.254", "169.254.169.254", True),
        ("169.254.169.254", "10.0.0.1", False),
    ],
)
def test_should_open_a_link_local_address_for_a_network_of_its_own_only(monkeypatch, listed, host, may):
    monkeypatch.setenv(LISTED, listed)
    if may:
        check_host(host, 1433)
        return
    with pytest.raises(UnsupportedSource):
        check_host(host, 1433)


def test_should_look_at_where_a_socket_is_connected_to(listener, monkeypatch):
    port = listener.getsockname()[1]
    with socket.create_connection(("127.0.0.1", port)) as connected:
        check_peers([connected.fileno()], "sql.example.com", port)
        monkeypatch.setenv(LISTED, "10.0.0.0/8")
        with pytest.raises(UnsupportedSource, match=r"sql\.example\.com"):
            check_peers([connected.fileno()], "sql.example.com", port)


def test_should_say_that_a_name_means_nothing(server):
    reference = server.reference.model_copy(update={"host": "no-such-host.invalid"})
    for driver in ("questions", "pymssql", "mssql-python"):
        with pytest.raises(SourceUnavailable, match="cannot be resolved"):
            opened(driver, reference, server.credentials)


@pytest.mark.parametrize("listed", ["10.0.0.0/33", "10.0.0.1/8", "::g/8"])
def test_should_not_begin_with_a_list_that_means_nothing(monkeypatch, listed):
    monkeypatch.setenv(LISTED, listed)
    with pytest.raises(ValueError, match="source_networks"):
        settings()
