"""Late committers: rows that commit after others with greater cursors. None may be lost and none may come twice.

Random schedules of writers, clocks and loads, for every kind of cursor, for a login that sees open transactions and one that
does not. A naive reader runs beside the product on the same schedules, and loses.
"""

import json
from collections.abc import Callable, Iterator

import pytest

from events.targets import ConnectionReference
from flowforge.aws.clients import client
from tests.faults.play import Verdict, play
from tests.faults.schedules import KINDS, WRITERS, Schedule, make_schedule, shrink
from tests.helpers.standin import LOGIN, connect, stand_in

SCHEDULES, QUICK_SCHEDULES = 10, 2  # of each kind, sighted and blind
LOGINS = {True: LOGIN["username"], False: "reader"}
SILVER_EVERY = 3  # bronze is checked after every load, silver at the end of every third schedule
TRIES_OF_CONTROL = 20

Play = Callable[[Schedule], Verdict]


@pytest.fixture(scope="module")
def play_schedule(world, tmp_path_factory) -> Iterator[Play]:
    """Plays schedules on a server of their own, since all sessions of one share its clock."""
    with (
        stand_in(tmp_path_factory.mktemp("late"), "--reader", LOGINS[False]) as source,
        pytest.MonkeyPatch.context() as environment,
    ):
        for login in LOGINS.values():
            where = {"host": "localhost", "port": source["port"]}
            secret = json.dumps({"username": login, "password": LOGIN["password"], **where})
            client("secretsmanager").create_secret(Name=f"late/{login}", SecretString=secret)
        environment.setenv("FLOWFORGE_SOURCE_CA_FILE", source["ca_file"])
        connections = [connect(source) for _ in range(WRITERS + 1)]
        for connection in connections[:WRITERS]:
            connection.cursor().execute("SET LOCK_TIMEOUT 0")  # nobody would let go while this one waits
        place = {"host": "localhost", "port": source["port"], "database": source["database"]}

        def play_one(schedule: Schedule) -> Verdict:
            reference = ConnectionReference(**place, secret_id=f"late/{LOGINS[schedule.sighted]}")
            return play(schedule, connections, reference, client("s3"), schedule.seed % SILVER_EVERY == 0)

        yield play_one
        for connection in connections:
            connection.close()


def failure_of(play_schedule: Play, schedule: Schedule, verdict: Verdict) -> str:
    """'' when all went well; otherwise the smallest schedule that fails."""
    if not verdict.lost and not verdict.doubled:
        return ""
    smallest = shrink(schedule, lambda s: bool((v := play_schedule(s)).lost or v.doubled))
    return f"lost {verdict.lost}, doubled {verdict.doubled}; the smallest schedule that does so:\n{smallest}"


@pytest.mark.timeout(600)  # a failure is shrunk, which plays it again many times
@pytest.mark.parametrize("sighted", [True, False], ids=["sighted", "blind"])
@pytest.mark.parametrize("kind", KINDS)
def test_should_lose_and_double_no_row(play_schedule, seed, tally, quick, kind, sighted):
    count = QUICK_SCHEDULES if quick else SCHEDULES
    told = []
    for schedule in [make_schedule(seed * 1000 + n, KINDS[kind], sighted) for n in range(count)]:
        verdict = play_schedule(schedule)
        figures = {"rows_checked": verdict.rows_checked, "control_lost": verdict.control_lost}
        figures |= {"lost": len(verdict.lost), "doubled": len(verdict.doubled)}
        tally.add(f"late committers, {kind}", schedules=1, **figures)
        told.append(failure_of(play_schedule, schedule, verdict))
    assert not any(told), "\n".join(told)


@pytest.mark.timeout(600)
def test_should_see_the_naive_reader_lose_rows_on_the_same_schedules(play_schedule, seed, tally):
    """A control that loses nothing would mean that the schedules are too tame to prove anything."""
    lost = 0
    for n in range(TRIES_OF_CONTROL):
        verdict = play_schedule(make_schedule(seed * 1000 + n, KINDS["datetime2(7)"], True))
        lost = verdict.control_lost
        tally.add("late committers, the control", schedules=1, rows_checked=verdict.rows_checked, control_lost=lost)
        if lost:
            break
    assert lost > 0
