"""Values of a query's answer as JSON has them."""

import base64
import math
from datetime import date, datetime
from datetime import time as time_of_day
from decimal import Decimal
from typing import Any


def json_value(value: Any) -> Any:
    """`value` as JSON has it: decimals and times as exact strings, bytes as base64, NaN and infinity as strings."""
    if isinstance(value, dict):
        return {str(key): json_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [json_value(item) for item in value]
    return _json_scalar(value)


def _json_scalar(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, datetime | date | time_of_day):
        return value.isoformat()
    if isinstance(value, bytes | bytearray | memoryview):
        return base64.b64encode(bytes(value)).decode("ascii")
    return format(value, "f") if isinstance(value, Decimal) else str(value)
