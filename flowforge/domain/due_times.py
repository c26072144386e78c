"""When a schedule is due: by cron fields in a time zone, or at a rate. Pure; all moments are in UTC, whole minutes for cron.

Cron has the five fields of a crontab, as Debian's cron reads them. Where clocks change: a fixed time that spring leaves out is
due as soon as clocks have changed, one that autumn has twice is due once; where the field of minutes or of hours begins with `*`
they follow the clock as it runs, so that every fifteen minutes stays every fifteen minutes. A rate counts real time from when it
was set.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError

MOST_COUNTED = 1_000  # due times that were missed
FIELDS = (
    'expected the five fields of a crontab: minute hour day-of-month month day-of-week, such as "30 2 * * 1-5" for half past '
    "two on working days; no seconds, no year, and * for ?"
)
RATE = 'expected a number of minutes, hours or days, such as "15 minutes"'
NEVER = "no such day comes in the next fifty years"
_RATE = re.compile(r"([1-9]\d{0,5})\s*(minute|hour|day)s?")
_UNITS = {"minute": timedelta(minutes=1), "hour": timedelta(hours=1), "day": timedelta(days=1)}


@dataclass(frozen=True)
class Missed:
    """Due times up to now: how many, at most MOST_COUNTED, the last one of them, and the next one after now."""

    times: int
    last: datetime
    following: datetime


@dataclass(frozen=True)
class Rate:
    """Due every `period`, counted from the due time before."""

    period: timedelta

    def after(self, moment: datetime) -> datetime:
        """The due time after one, or after the moment at which the rate was set."""
        return moment + self.period

    def passed(self, due: datetime, now: datetime) -> Missed:
        """The due times from `due` to `now`; `due` is not after `now`."""
        whole = (now - due) // self.period
        last = due + whole * self.period
        return Missed(min(whole + 1, MOST_COUNTED), last, last + self.period)


@dataclass(frozen=True)
class Cron:
    """Due as a crontab in a time zone says."""

    fields: str
    zone: ZoneInfo

    def after(self, moment: datetime) -> datetime:
        """The first due time after a moment. Raises ValueError where none comes."""
        start = moment
        while True:
            try:
                found = next(CronSim(self.fields, start.astimezone(self.zone))).astimezone(UTC)
            except StopIteration:
                raise ValueError(NEVER) from None
            if found > moment:
                return found
            start += timedelta(minutes=1)  # clocks have gone back, and this fixed time was due before they did

    def passed(self, due: datetime, now: datetime) -> Missed:
        """The due times from `due` to `now`; `due` is not after `now`."""
        last, times = due, 1
        while times < MOST_COUNTED and (following := self.after(last)) <= now:
            last, times = following, times + 1
        return Missed(times, last, self.after(now))


def read_rate(text: str) -> Rate:
    """A rate as people write it: `15 minutes`. Raises ValueError that says what was expected."""
    found = _RATE.fullmatch(_inner(text, "rate").lower())
    if found is None:
        raise ValueError(RATE)
    return Rate(int(found[1]) * _UNITS[found[2]])


def read_cron(text: str, timezone: str) -> Cron:
    """Cron fields as people write them. Raises ValueError that says what was expected."""
    fields = " ".join(_inner(text, "cron").split())
    if len(fields.split()) != 5:
        raise ValueError(FIELDS)
    cron = Cron(fields, read_zone(timezone))
    try:
        cron.after(datetime.now(UTC))
    except CronSimError as error:
        raise ValueError(f"{str(error).lower()}: {FIELDS}") from None
    return cron


def read_zone(name: str) -> ZoneInfo:
    """A time zone by its IANA name. Raises ValueError for what is none."""
    if name not in available_timezones():
        raise ValueError('expected the IANA name of a time zone, such as "Europe/Berlin" or "UTC"')
    return ZoneInfo(name)


def _inner(text: str, word: str) -> str:
    """What is within `word(…)`, or the text itself."""
    plain = text.strip()
    return plain[len(word) + 1 : -1].strip() if plain.lower().startswith(f"{word}(") and plain.endswith(")") else plain
