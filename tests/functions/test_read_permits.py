"""Reads of one source at the same time: never more than it allows, and none is lost with its worker."""

import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from events.targets import ConnectionReference
from flowforge.aws import items
from flowforge.bronze.heartbeat import reading_permitted
from flowforge.domain.errors import Wait
from flowforge.domain.given import given
from flowforge.runtime.settings import settings
from flowforge.state.read_permits import ReadPermit, give_back, renew_permit, take_permit
from tests.helpers.waiting import LIMIT_SECONDS, wait_for


@pytest.fixture
def short_lease(monkeypatch):
    """One that is renewed every two seconds, and that a busy machine keeps all the same."""
    monkeypatch.setenv("FLOWFORGE_LEASE_SECONDS", "8")


def source(name: str, allowed: int | None) -> ConnectionReference:
    return ConnectionReference(host=name, database="Bank", secret_id="flowforge/x", max_concurrent_reads=allowed)


def test_should_never_let_more_read_than_the_source_allows(aws, unique):
    where, lock, now, most, done = source(unique("host"), 3), threading.Lock(), 0, 0, 0

    def work(_: int) -> None:
        nonlocal now, most, done
        while True:
            try:
                with reading_permitted(where):
                    with lock:
                        now += 1
                        most = max(most, now)
                    together.wait(LIMIT_SECONDS)  # as many read at once as may, or nobody goes on
                    with lock:
                        now -= 1
                        done += 1
                return
            except Wait:
                continue

    together = threading.Barrier(3)
    with ThreadPoolExecutor(6) as threads:
        list(threads.map(work, range(12)))
    assert (most, done) == (3, 12)


@pytest.mark.parametrize("trusts", [True, False])
def test_should_log_that_a_load_trusts_any_certificate(aws, unique, caplog, trusts):
    where = source(unique("host"), 1).model_copy(update={"trust_server_certificate": trusts})
    with caplog.at_level(logging.WARNING, logger="flowforge"), reading_permitted(where):
        pass
    told = [line for line in caplog.records if "certificate is not checked" in line.getMessage()]
    assert [line.server for line in told] == ([f"{where.host}:1433"] if trusts else [])


def test_should_take_the_deployments_number_where_a_connection_names_none(aws, unique):
    where = source(unique("host"), None)
    places = [take_permit(where).place for _ in range(settings().reads_per_source)]
    assert sorted(places) == list(range(8))
    with pytest.raises(Wait, match="8 reads are under way"):
        take_permit(where)


def test_should_count_each_database_and_each_server_alone(aws, unique):
    one = source(unique("host"), 1)
    take_permit(one)
    take_permit(one.model_copy(update={"database": "Other"}))
    take_permit(source(unique("host"), 1))
    with pytest.raises(Wait):
        take_permit(one.model_copy(update={"host": one.host.upper()}))


def test_should_let_fewer_read_where_a_load_allows_fewer(aws, unique):
    host = unique("host")
    take_permit(source(host, 1))
    with pytest.raises(Wait):
        take_permit(source(host, 1))
    assert take_permit(source(host, 2)).place == 1


def test_should_free_the_place_of_a_reader_that_ends_at_once(aws, unique):
    where = source(unique("host"), 1)
    with pytest.raises(ZeroDivisionError), reading_permitted(where):
        raise ZeroDivisionError
    with reading_permitted(where):
        pass


@pytest.mark.usefixtures("short_lease")
def test_should_free_the_place_of_a_worker_that_died_and_not_of_one_that_lives(aws, unique):
    dead, living = source(unique("host"), 1), source(unique("host"), 1)
    lost = take_permit(dead)
    _end_lease(lost)  # nobody renewed it
    held = replace(lost, source=lost.source.replace(dead.host, living.host))
    with reading_permitted(living):
        first = _lease_until(held)
        wait_for(lambda: _lease_until(held) > first, "the living worker's heartbeat")
        with pytest.raises(Wait):
            take_permit(living)
    taken = take_permit(dead)
    assert not renew_permit(lost)
    give_back(lost)  # a worker that was only slow must not free what is another's by now
    with pytest.raises(Wait):
        take_permit(dead)
    assert renew_permit(taken)


def _end_lease(permit: ReadPermit) -> None:
    items.update(settings().watermarks_table, permit.key, "SET lease_until = :past", {":past": time.time() - 1})


def _lease_until(permit: ReadPermit) -> float:
    return float(given(items.get(settings().watermarks_table, permit.key))["lease_until"])
