"""A column of a file, as a request names it."""

import re
from collections.abc import Iterator
from typing import Any

from pydantic import Field, field_validator

from events.choices import ChangeType
from events.files import Thousands
from events.model import Request

COLUMN_TYPE = re.compile(
    r"text|boolean|bigint|double|json|date|timestamp|timestamp with zone|decimal\([1-9]\d?,\d\d?\)"
)


class FileColumnConfig(Request):
    """One column: `name` in the lake, `field` in the file (default: the same), and its type."""

    name: str = Field(min_length=1, max_length=128)
    field: str | None = Field(
        None, min_length=1, description="its name in the header, path in JSON, or place from 1 where there is no header"
    )
    type: str = Field(
        "text", description="text, boolean, bigint, double, decimal(p,s), date, timestamp, timestamp with zone, json"
    )
    pattern: str = Field("", description="of a date or timestamp, such as dd.MM.yyyy; default: ISO 8601")
    decimalComma: bool = False
    thousands: Thousands = Field(
        default="", description="a sign between each three digits: . , ' or a blank; default: none"
    )
    nullable: bool = True
    start: int | None = Field(None, ge=1, description="fixed width: its first character, from 1")
    width: int | None = Field(None, ge=1, description="fixed width: its characters")
    operations: dict[str, ChangeType] | None = Field(
        None,
        min_length=1,
        description="the column tells what became of the row: its values, and what each means (before: how the row was)",
    )

    @field_validator("type")
    @classmethod
    def _known(cls, value: str) -> str:
        if not COLUMN_TYPE.fullmatch(value):
            raise ValueError(
                "expected text, boolean, bigint, double, decimal(p,s), date, timestamp, timestamp with zone or json"
            )
        return value

    @classmethod
    def contradictions(cls, given: dict[str, Any]) -> Iterator[str | tuple[str, str]]:
        """A setting fits the column's type."""
        kind = given.get("type", "text")
        if given.get("pattern") and kind not in ("date", "timestamp", "timestamp with zone"):
            yield "pattern", "is of a date or timestamp: give the column that type"
        if given.get("thousands") and not str(kind).startswith(("bigint", "double", "decimal")):
            yield "thousands", "is of a bigint, double or decimal(p,s): give the column that type"
        elif kind != "bigint" and given.get("thousands") == ("," if given.get("decimalComma") is True else "."):
            yield "thousands", "is the sign before the decimals, too: set decimalComma, or another sign"
        if given.get("decimalComma") is True and kind != "double" and not str(kind).startswith("decimal"):
            yield "decimalComma", "is of a double or decimal(p,s): give the column that type"
        if given.get("operations") and kind != "text":
            yield "operations", "are values as text: leave the column's type out"
        if (given.get("start") is None) != (given.get("width") is None):
            yield "start and width stand together"
