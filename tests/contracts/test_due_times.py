"""When schedules are due: cron in time zones whose clocks change, rates, and due times that nobody has seen."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from flowforge.domain.due_times import MOST_COUNTED, Cron, read_cron, read_rate, read_zone

# Clocks that change by an hour, by half of one, at midnight, by a whole day, in the other half of the world; and none.
ZONES = (
    *("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Havana", "Africa/Cairo", "Asia/Beirut"),
    *("Pacific/Apia", "America/Santiago", "Africa/Casablanca", "Asia/Kathmandu", "UTC"),
)
MOMENTS = st.datetimes(datetime(2010, 1, 1), datetime(2036, 1, 1), timezones=st.just(UTC))
HOURS, MINUTES = st.integers(0, 23), st.integers(0, 59)


def times(cron: Cron, after: datetime, count: int) -> list[datetime]:
    found = [cron.after(after)]
    while len(found) < count:
        found.append(cron.after(found[-1]))
    return found


@given(st.sampled_from(ZONES), MOMENTS, HOURS, MINUTES)
@example("Pacific/Apia", datetime(2011, 7, 1, tzinfo=UTC), 0, 1)
def test_should_be_due_once_on_every_day_whatever_the_clocks_do(zone, moment, hour, minute):
    cron = read_cron(f"{minute} {hour} * * *", zone)
    found = times(cron, moment, 200)
    days = [time.astimezone(cron.zone).date() for time in found]
    assert all(earlier < later for earlier, later in pairwise(found))
    # Apia left out the whole of 30 December 2011: what was due then is due as soon as the 31st begins.
    twice = {earlier for earlier, later in pairwise(days) if earlier >= later}
    assert twice <= ({date(2011, 12, 31)} if zone == "Pacific/Apia" else set())
    skipped = {earlier for earlier, later in pairwise(days) if later - earlier > timedelta(days=1)}
    assert skipped <= ({date(2011, 12, 29)} if zone == "Pacific/Apia" else set())


@given(st.sampled_from(ZONES), MOMENTS, HOURS, MINUTES)
def test_should_be_due_at_the_time_that_is_named_or_as_soon_as_clocks_have_passed_it(zone, moment, hour, minute):
    cron = read_cron(f"{minute} {hour} * * *", zone)
    for due in times(cron, moment, 60):
        local = due.astimezone(cron.zone)
        named = local.replace(hour=hour, minute=minute, fold=0)
        if (local.hour, local.minute) != (hour, minute):
            there = named.astimezone(UTC).astimezone(cron.zone)
            assert there.replace(fold=0, tzinfo=None) != named.replace(
                tzinfo=None
            )  # a time that this day does not have
            before = (due - timedelta(minutes=1)).astimezone(cron.zone)
            assert local.utcoffset() != before.utcoffset()
        else:
            assert local.fold == 0 or named.astimezone(UTC) > due  # of a time that comes twice, the first


@given(st.sampled_from(ZONES), MOMENTS, st.sampled_from([1, 5, 15, 30]))
def test_should_stay_every_so_many_minutes_while_clocks_change(zone, moment, step):
    found = times(read_cron(f"*/{step} * * * *", zone), moment, 120)
    assert {later - earlier for earlier, later in pairwise(found)} == {timedelta(minutes=step)}


@given(
    st.sampled_from(ZONES),
    MOMENTS,
    MOMENTS,
    st.sampled_from(["0 3 * * *", "*/20 * * * *", "15 1 * * 1-5", "30 2 1 * *"]),
)
def test_should_count_what_has_passed_as_whoever_looks_each_time(zone, one, other, fields):
    cron = read_cron(fields, zone)
    due, now = cron.after(min(one, other)), max(one, other)
    now = max(due, min(now, due + timedelta(days=4)))
    seen = [due]
    while (following := cron.after(seen[-1])) <= now and len(seen) < MOST_COUNTED:
        seen.append(following)
    passed = cron.passed(due, now)
    assert (passed.times, passed.last, passed.following) == (len(seen), seen[-1], following)


@given(MOMENTS, st.integers(1, 5000), st.integers(0, 10_000_000))
def test_should_keep_the_beat_of_a_rate_whenever_it_is_seen(due, minutes, late):
    rate, now = read_rate(f"{minutes} minutes"), due + timedelta(seconds=late)
    passed = rate.passed(due, now)
    assert passed.last <= now < passed.following == passed.last + timedelta(minutes=minutes)
    assert (passed.last - due) % timedelta(minutes=minutes) == timedelta(0)
    assert passed.times == min(MOST_COUNTED, (passed.last - due) // timedelta(minutes=minutes) + 1)


def test_should_find_the_next_time_within_the_hour_that_comes_twice():
    berlin = ZoneInfo("Europe/Berlin")
    cron = read_cron("10,30 2 * * *", "Europe/Berlin")
    second = datetime(2026, 10, 25, 1, 5, tzinfo=UTC)  # 02:05 for the second time
    assert second.astimezone(berlin).fold == 1
    assert cron.after(second) == datetime(2026, 10, 26, 1, 10, tzinfo=UTC)


@pytest.mark.parametrize("text", ["15 minutes", "rate(15 minutes)", " 15 MINUTE "])
def test_should_read_a_rate_as_people_write_it(text):
    assert read_rate(text).period == timedelta(minutes=15)


@pytest.mark.parametrize("text", ["", "0 minutes", "15", "15 seconds", "1.5 hours", "-1 day", "1000000 days"])
def test_should_refuse_what_is_no_rate(text):
    with pytest.raises(ValueError, match="minutes, hours or days"):
        read_rate(text)


@pytest.mark.parametrize(
    "text", ["0 2 * * ? *", "0 0 2 * * *", "* * * *", "60 * * * *", "0 24 * * *", "0 0 31 2 *", "x"]
)
def test_should_refuse_fields_that_are_none_or_never_come(text):
    with pytest.raises(ValueError, match=r"five fields|fifty years"):
        read_cron(text, "UTC")


@pytest.mark.parametrize("name", ["", "Berlin", "CEST", "europe/berlin", "../etc/passwd", "Europe/Berlin/", "+02:00"])
def test_should_refuse_what_is_no_time_zone(name):
    with pytest.raises(ValueError, match="IANA"):
        read_zone(name)
