"""Parts of a table's settings: which of its columns, which of its rows, which part of its delta column."""

from collections.abc import Iterator
from typing import Any

from pydantic import Field, StrictBool, StrictInt, field_validator

from events.choices import FilterOperator
from events.model import Request
from events.request.destinations import different_columns


class ColumnChoice(Request):
    """Which of a table's columns are loaded: all but those that are excluded, or those that are included and no other."""

    exclude: list[str] = Field(default_factory=list, description="columns to leave out; no key, no delta column")
    include: list[str] = Field(
        default_factory=list, description="the columns to load, keys and delta column among them"
    )

    _names = field_validator("exclude", "include")(different_columns)

    @classmethod
    def contradictions(cls, given: dict[str, Any]) -> Iterator[str | tuple[str, str]]:
        """One of both: what is not included is left out already."""
        if given.get("exclude") and given.get("include"):
            yield "exclude", "what is not in include is left out already: give one of both"


class RowFilter(Request):
    """A condition on one column; of several all must hold. NULL fits none but `is null`, as in SQL."""

    column: str = Field(min_length=1)
    operator: FilterOperator = "="
    value: str | StrictInt | StrictBool | list[str | StrictInt | StrictBool] | None = Field(
        None, description="as the column holds it: text, whole number, true or false; a decimal as text; a list for in"
    )

    @property
    def values(self) -> list[str]:
        """The values as text; true is 1."""
        one = self.value
        given = one if isinstance(one, list) else [] if one is None else [one]
        return [str(int(value)) if isinstance(value, bool | int) else value for value in given]

    @classmethod
    def contradictions(cls, given: dict[str, Any]) -> Iterator[str | tuple[str, str]]:
        """A value where the operator takes one, a list where it takes several."""
        operator, value = given.get("operator", "="), given.get("value")
        if operator in ("is null", "is not null"):
            if value is not None:
                yield "value", f"{operator} takes none: leave it out"
        elif operator in ("in", "not in"):
            if not isinstance(value, list) or not value:
                yield "value", f"{operator} takes a list of values"
        elif value is None or isinstance(value, list):
            yield "value", "expected one value (for NULL the operator is null, for several the operator in)"


class Window(Request):
    """A part of a table that is read once more, by its delta column: from `from` on, below `to`; or all that is loaded, for the
    sake of a `column` that its rows lack."""

    from_: str | StrictInt | None = Field(None, alias="from", description="inclusive; default: the beginning")
    to: str | StrictInt | None = Field(None, description="exclusive; default: the watermark")
    column: str | None = Field(None, min_length=1, description="one that was added, or left out until now")

    @classmethod
    def contradictions(cls, given: dict[str, Any]) -> Iterator[str | tuple[str, str]]:
        """A bound at least, and none that is empty; with a column none."""
        bounds = [name for name in ("from", "to") if given.get(name) is not None]
        if not bounds and given.get("column") is None:
            yield "expected from, to or both, or column: all rows are a full load"
        if bounds and given.get("column") is not None:
            yield (
                "column",
                f"stands alone: all that is loaded is read for it; {' and '.join(bounds)} would leave rows out",
            )
        for name in bounds:
            if isinstance(given[name], str) and not given[name].strip():
                yield name, "is empty: leave it out"
