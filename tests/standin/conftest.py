"""A stand-in as a real process, and real drivers to talk to it."""

import itertools
from collections.abc import Callable, Iterator

import pymssql
import pytest

from tests.helpers.standin import StandIn, start, stop


@pytest.fixture(scope="session")
def standin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    """The stand-in that the tests share: the sample bank and the type zoo."""
    started = start(tmp_path_factory.mktemp("tls"), "--bank", "--typezoo", "--reader", "looker")
    yield started
    stop(started)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    """A stand-in whose settings of the database the tests of one module alone switch on and off."""
    started = start(tmp_path_factory.mktemp("tls"), "--reader", "looker")
    yield started
    stop(started)


@pytest.fixture
def opened(alone: StandIn) -> Iterator[Callable[..., Callable[[str], list[tuple]]]]:
    """Opens connections to it; each runs batches and gives the rows of their last result."""
    connections: list[pymssql.Connection] = []

    def open_one(**options) -> Callable[[str], list[tuple]]:
        connections.append(alone.connect(**options))
        cursor = connections[-1].cursor()

        def run(text: str) -> list[tuple]:
            cursor.execute(text)
            return list(cursor.fetchall()) if cursor.description else []

        return run

    yield open_one
    for connection in connections:
        connection.close()


@pytest.fixture
def connect(standin: StandIn) -> Iterator[Callable[..., pymssql.Connection]]:
    """Opens connections that close when the test ends."""
    opened = []

    def open_one(**options) -> pymssql.Connection:
        opened.append(standin.connect(**options))
        return opened[-1]

    yield open_one
    for connection in opened:
        connection.close()


@pytest.fixture
def sql(connect) -> Callable[..., list[tuple]]:
    """Runs a batch on one connection; returns the rows of its last result set, or [] when it has none."""
    cursor = connect().cursor()

    def run(text: str, parameters: tuple | None = None) -> list[tuple]:
        cursor.execute(text, parameters)
        rows = cursor.fetchall() if cursor.description else []
        while cursor.nextset():
            rows = cursor.fetchall() if cursor.description else rows
        return rows

    return run


_numbers = itertools.count(1)


@pytest.fixture
def table(sql) -> Iterator[Callable[[str], str]]:
    """Creates a table from its columns; returns its name. It goes when the test ends."""
    created = []

    def create(columns: str) -> str:
        created.append(f"t{next(_numbers)}")
        sql(f"CREATE TABLE {created[-1]} ({columns})")
        return created[-1]

    yield create
    for name in created:
        sql(f"DROP TABLE IF EXISTS {name}")
