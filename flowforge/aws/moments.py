"""The times in AWS's answers: an object's change in each GET and each entry of a listing.

botocore reads them by dateutil, which guesses at any form and takes 0.1 ms of CPU for it, a tenth of a call.
"""

import re
from datetime import UTC, datetime
from typing import Any

from botocore.utils import parse_timestamp

_ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3}|\.\d{6})?Z")  # in bodies of S3
_HTTP = re.compile(r"[A-Z][a-z]{2}, (\d\d) ([A-Z][a-z]{2}) (\d{4}) (\d\d):(\d\d):(\d\d) GMT")  # in headers (RFC 9110)
_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]


def read_moment(value: Any) -> datetime:
    """A time as AWS writes it; in any other form as botocore reads it, which raises ValueError for what is none."""
    if isinstance(value, str):
        if _ISO.fullmatch(value):
            return datetime.fromisoformat(value)
        if (found := _HTTP.fullmatch(value)) and found[2] in _MONTHS:
            day, month, year, *time = found.groups()
            return datetime(int(year), _MONTHS.index(month) + 1, int(day), *map(int, time), tzinfo=UTC)
    return parse_timestamp(value)
