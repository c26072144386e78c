"""A server with the sample bank: a stand-in of these tests' own, as a process, or the one that FLOWFORGE_TEST_SQLSERVER names."""

import itertools
import os
from collections.abc import Callable, Iterator

import pytest

from flowforge.sources.sqlserver.connection import SourceConnection, connect
from flowforge.sources.sqlserver.statement import quote_identifier
from tests.helpers.outside import SQLSERVER, bank_database, skip_without_standin
from tests.helpers.source_server import Server, server_of, start_server, stop_server


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The server that most tests share."""
    if os.environ.get(SQLSERVER):
        with bank_database(tmp_path_factory.mktemp("sample")) as login:
            yield server_of(login, tmp_path_factory.mktemp("tls"))
        return
    started = start_server(tmp_path_factory.mktemp("tls"), "--bank")
    before = os.environ.get("FLOWFORGE_SOURCE_CA_FILE")
    os.environ["FLOWFORGE_SOURCE_CA_FILE"] = started.ca_file
    yield started
    if before is None:
        os.environ.pop("FLOWFORGE_SOURCE_CA_FILE")
    else:
        os.environ["FLOWFORGE_SOURCE_CA_FILE"] = before
    stop_server(started)


@pytest.fixture
def bank(server: Server) -> Iterator[SourceConnection]:
    """A connection to the sample bank."""
    with connect(server.reference, server.credentials) as connection:
        yield connection


@pytest.fixture
def other(server: Server) -> Iterator[SourceConnection]:
    """A second session, for transactions that are open while the first looks."""
    with connect(server.reference, server.credentials) as connection:
        yield connection


_numbers = itertools.count(1)


@pytest.fixture
def scratch(bank: SourceConnection) -> Iterator[Callable[..., str]]:
    """Creates tables that go when the test ends: `scratch("id int, …")` returns the quoted name."""
    created = []

    def create(columns: str, name: str | None = None) -> str:
        quoted = f"[dbo].{quote_identifier(name or f'scratch_{next(_numbers)}')}"
        bank.run(f"CREATE TABLE {quoted} ({columns})")
        created.append(quoted)
        return quoted

    yield create
    for quoted in created:
        bank.run(f"DROP TABLE {quoted}")


@pytest.fixture
def checked(server: Server) -> None:
    """For tests of what becomes of a certificate that is checked."""
    if server.reference.trust_server_certificate:
        pytest.skip("FLOWFORGE_SOURCE_CA_FILE does not say by what to check the server's certificate")


@pytest.fixture
def faults() -> None:
    """For tests that have the server fail or wait on demand: only the stand-in does."""
    skip_without_standin()
