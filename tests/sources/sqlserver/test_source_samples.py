"""Bounds for integer cursors: which sample may be trusted when."""

import random

from flowforge.domain.given import given
from flowforge.sources.sqlserver.integer_samples import (
    MAX_SAMPLES,
    bound_above,
    newest_settled,
    remember,
    taken_before,
)


def sample(newest, open_ids=(), at="2026-11-23 06:00:00.0000000"):
    return {"max": newest, "open": list(open_ids), "at": at}


def test_should_take_the_newest_sample_whose_transactions_have_all_ended():
    samples = [sample("10"), sample("20", [7]), sample("30", [7, 9])]
    assert given(newest_settled(samples, {9}))["max"] == "20"
    assert given(newest_settled(samples, {7, 9}))["max"] == "10"
    assert given(newest_settled(samples, set()))["max"] == "30"


def test_should_find_no_bound_while_every_sample_waits():
    assert newest_settled([sample("10", [7])], {7}) is None


def test_should_keep_only_the_newest_samples():
    samples = []
    for n in range(MAX_SAMPLES + 5):
        samples = remember(samples, sample(str(n)))
    assert [s["max"] for s in samples] == [str(n) for n in range(5, MAX_SAMPLES + 5)]


def test_should_include_the_newest_number_in_a_half_open_interval_beyond_what_a_float_holds():
    assert bound_above(sample("9223372036854775807"), "0") == "9223372036854775808"
    assert bound_above(sample("99999999999999999999999999999999999998"), "0") == "9" * 38
    assert bound_above(sample(None), "-2147483648") == "-2147483648"


def test_should_trust_only_samples_that_are_old_enough_where_nobody_can_look():
    samples = [sample("1", at="2026-11-23 05:00:00.0000000"), sample("2", at="2026-11-23 05:58:00.0000000")]
    assert [one["max"] for one in taken_before(samples, "2026-11-23 05:55:00.0000000")] == ["1"]
    assert taken_before(samples, "2026-11-23 04:00:00.0000000") == []


def test_should_lose_no_number_in_random_schedules_of_late_committers():
    """Transactions draw numbers when they start and commit in any order; loads run in between. Seeded, so it repeats."""
    for seed in range(200):
        chance = random.Random(seed)
        drawn, committed, running, samples, low, read = 0, set(), {}, [], 0, []
        for step in range(120):
            action = chance.random()
            if action < 0.5:
                drawn += 1
                running[step] = drawn
            elif action < 0.8 and running:
                committed.add(running.pop(chance.choice(list(running))))
            else:
                newest = str(max(committed)) if committed else None
                samples = remember(samples, sample(newest, running))
                settled = newest_settled(samples, running)
                high = int(bound_above(settled, "0")) if settled else 0
                if high > low:
                    read += [n for n in committed if low <= n < high]
                    low = high
        missed = {n for n in committed if n < low} - set(read)
        assert not missed, f"seed {seed}: lost {missed}"
        assert not [n for n in running.values() if n < low], (
            f"seed {seed}: a running transaction's number is below the bound"
        )
        assert len(read) == len(set(read))
