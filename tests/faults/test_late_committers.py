"""Late committers: rows that commit after others with greater cursors. None may be lost and none may come twice.

Random schedules of writers, clocks and loads, for every kind of cursor, for a login that sees open transactions and one that
does not. A naive reader runs beside the product on the same schedules, and loses.
"""

import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import pytest

from events.targets import ConnectionReference
from flowforge.cloud.clients import client
from flowforge.settings import settings
from tests.faults.play import Verdict, play
from tests.faults.schedules import KINDS, WRITERS, Schedule, make_schedule, shrink
from tests.functions.conftest import aws  # noqa: F401 - a fixture
from tests.standin.conftest import PASSWORD, StandIn, start, stop

WORKERS = 2
SCHEDULES, QUICK_SCHEDULES = 12, 2  # of each kind, sighted and blind
LOGINS = {True: "sa", False: "reader"}
SILVER_EVERY = 3  # bronze is checked after every load, silver at the end of every third schedule
_worker: dict[str, Any] = {}


def _start_worker(servers: Any) -> None:
    """Each worker has a server of its own, since all sessions of one share its clock."""
    server = StandIn(None, *servers.get())
    os.environ["FLOWFORGE_SOURCE_CA_FILE"] = str(server.ca_file)
    settings.cache_clear()
    connections = [server.connect() for _ in range(WRITERS + 1)]
    for connection in connections[:WRITERS]:
        connection.cursor().execute("SET LOCK_TIMEOUT 0")  # nobody would let go while this one waits
    _worker.update(server=server, connections=connections)


def _played(schedule: Schedule, silver: bool) -> Verdict:
    server, login = _worker["server"], LOGINS[schedule.sighted]
    reference = ConnectionReference(
        host="localhost", port=server.port, database=server.database, secret_id=f"late/{login}"
    )
    return play(schedule, _worker["connections"], reference, client("s3"), silver)


def _try(schedule: Schedule) -> tuple[Verdict, str]:
    """Plays a schedule; one that fails is shrunk and told."""
    silver = schedule.seed % SILVER_EVERY == 0
    verdict = _played(schedule, silver)
    if not verdict.lost and not verdict.doubled:
        return verdict, ""
    smallest = shrink(schedule, lambda s: bool((v := _played(s, silver)).lost or v.doubled))
    return verdict, f"lost {verdict.lost}, doubled {verdict.doubled}; the smallest schedule that does so:\n{smallest}"


@pytest.fixture(scope="module")
def workers(aws, tmp_path_factory) -> Iterator[Callable[[list[Schedule]], list[tuple[Verdict, str]]]]:  # noqa: F811
    """Plays schedules in processes of their own."""
    for login in LOGINS.values():
        secret = json.dumps({"username": login, "password": PASSWORD})
        client("secretsmanager").create_secret(Name=f"late/{login}", SecretString=secret)
    directory = tmp_path_factory.mktemp("late")
    servers = [start(directory / str(n), "--reader", LOGINS[False]) for n in range(WORKERS)]
    context = get_context("spawn")
    queue = context.Queue()
    for server in servers:
        queue.put((server.port, server.database, server.ca_file))
    try:
        with ProcessPoolExecutor(WORKERS, context, _start_worker, (queue,)) as pool:
            yield lambda schedules: list(pool.map(_try, schedules))
    finally:
        queue.close()
        for server in servers:
            stop(server)


@pytest.mark.timeout(600)  # a failure is shrunk, which plays it again many times
@pytest.mark.parametrize("sighted", [True, False], ids=["sighted", "blind"])
@pytest.mark.parametrize("kind", KINDS)
def test_should_lose_and_double_no_row(workers, seed, tally, quick, kind, sighted):
    count = QUICK_SCHEDULES if quick else SCHEDULES
    schedules = [make_schedule(seed * 1000 + n, KINDS[kind], sighted) for n in range(count)]
    told = []
    for verdict, failure in workers(schedules):
        figures = {"rows_checked": verdict.rows_checked, "control_lost": verdict.control_lost}
        figures |= {"lost": len(verdict.lost), "doubled": len(verdict.doubled)}
        tally.add(f"late committers, {kind}", schedules=1, **figures)
        told += [failure] * bool(failure)
    assert not told, "\n".join(told)


def test_should_see_the_naive_reader_lose_rows_on_the_same_schedules(tally):
    """Runs after the others. A control that loses nothing would mean that the schedules are too tame to prove anything."""
    played = {what: figures for what, figures in tally.tried.items() if what.startswith("late committers, ")}
    if not played:
        pytest.skip("no schedule was played in this run")
    assert sum(figures.control_lost for figures in played.values()) > 0
