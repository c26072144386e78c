"""Reads that end amid the rows: a deadlock, a reset, a stalled server, a deadline, a reader that is closed from another thread.
Each raises as something to try again, with both drivers; none passes for the whole table or keeps its thread."""

import threading
import time

import pytest

from flowforge.domain.errors import Retriable, SourceUnavailable
from flowforge.sources.sqlserver.catalog import describe_table
from flowforge.sources.sqlserver.connection import connect
from flowforge.sources.sqlserver.reader import open_reader
from flowforge.sources.sqlserver.selection import Selection
from tests.helpers.source_server import start_server, stop_server
from tests.helpers.waiting import LIMIT_SECONDS

DRIVERS = ("pymssql", "mssql-python")
ROWS = 60_000


@pytest.fixture(scope="module")
def faulty(tmp_path_factory):
    started = start_server(tmp_path_factory.mktemp("tls"), "--bank", "--rows", f"transactions={ROWS}")
    started.reference = started.reference.model_copy(update={"trust_server_certificate": True})
    yield started
    stop_server(started)


@pytest.fixture
def source(faulty):
    with connect(faulty.reference, faulty.credentials) as connection:
        yield connection
        connection.run("EXEC flowforge_fault 'none'")


def reader_of(source, faulty, driver, **limits):
    description = describe_table(source, "transactions")
    selection = Selection(description, description.source_columns)
    return open_reader(faulty.reference, faulty.credentials, selection, driver, 1000, **limits)


def drained(reader):
    return sum(batch.num_rows for batch in reader)


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("fault", ["deadlock", "reset"])
def test_should_try_again_after_a_fault_amid_the_rows(source, faulty, driver, fault):
    source.run(f"EXEC flowforge_fault '{fault}', 20000, 1, 'FROM [dbo].[transactions]'")
    with pytest.raises(Retriable) as caught, reader_of(source, faulty, driver) as reader:
        drained(reader)
    assert isinstance(caught.value, SourceUnavailable)
    with reader_of(source, faulty, driver) as reader:
        assert drained(reader) == ROWS


@pytest.mark.parametrize("driver", DRIVERS)
def test_should_end_at_the_deadline_while_the_server_sends_nothing(source, faulty, driver):
    source.run("EXEC flowforge_fault 'stall', 20000, 1, 'FROM [dbo].[transactions]'")
    with (
        pytest.raises(SourceUnavailable, match="not finished by its deadline") as caught,
        reader_of(source, faulty, driver, deadline=time.monotonic() + 2) as reader,
    ):
        drained(reader)
    assert "more time" in caught.value.remedy


@pytest.mark.parametrize("driver", DRIVERS)
def test_should_refuse_a_deadline_that_has_passed(source, faulty, driver):
    with (
        pytest.raises(SourceUnavailable, match="not finished by its deadline"),
        reader_of(source, faulty, driver, deadline=time.monotonic() - 1) as reader,
    ):
        drained(reader)


@pytest.mark.parametrize("driver", DRIVERS)
def test_should_be_given_up_by_another_thread_while_the_server_sends_nothing(source, faulty, driver):
    source.run("EXEC flowforge_fault 'stall', 20000, 1, 'FROM [dbo].[transactions]'")
    reader, failures, first = reader_of(source, faulty, driver), [], threading.Event()

    def read():
        try:
            for _ in reader:
                first.set()
        except SourceUnavailable as error:
            failures.append(error)

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    assert first.wait(LIMIT_SECONDS)
    reader.close()
    thread.join(LIMIT_SECONDS)
    assert not thread.is_alive()
    assert "given up" in str(failures[0])


@pytest.mark.parametrize("driver", DRIVERS)
def test_should_be_given_up_between_two_batches_while_the_server_sends_nothing(source, faulty, driver):
    source.run("EXEC flowforge_fault 'stall', 20000, 1, 'FROM [dbo].[transactions]'")
    reader = reader_of(source, faulty, driver)
    assert next(iter(reader)).num_rows
    closing = threading.Thread(target=reader.close, daemon=True)
    closing.start()
    closing.join(LIMIT_SECONDS)
    assert not closing.is_alive()
