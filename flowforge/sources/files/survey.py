"""What all records of a file are, by the reader that loads them: columns, what their values could be, what does not fit.

Memory is that of a portion and of some figures a column.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute

from events.files import FileColumn, FileContract
from flowforge.sources.files.casting import no_column
from flowforge.sources.files.container import Content
from flowforge.sources.files.conversions import Conversion, conversion
from flowforge.sources.files.records import open_records
from flowforge.sources.files.rejected import Portion, Rejected
from flowforge.sources.files.values import ColumnValues

pc: Any = pyarrow.compute
SHOWN = 10
MOST_FOOTER = 10
Progress = Callable[[int], None]


@dataclass
class Survey:
    """`records` are those that were read, `rows` the first of them; `rejected` counts the others, `trailing` are those behind the
    last record, up to one more than a footer may have."""

    columns: dict[str, ColumnValues] = field(default_factory=dict)
    records: int = 0
    rows: list[dict[str, Any]] = field(default_factory=list)
    rejected: int = 0
    first_rejected: list[Rejected] = field(default_factory=list)
    trailing: list[Rejected] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, portion: Portion) -> None:
        texts, numbers = portion.texts, portion.row_numbers
        for name in texts.schema.names:
            column = self.columns.setdefault(name, ColumnValues(name))
            values = texts.column(name)
            told = pc.is_valid(values)
            column.add(values.filter(told), numbers.filter(told))
        if len(self.rows) < SHOWN:
            self.rows += texts.slice(0, SHOWN - len(self.rows)).to_pylist()
        self.records += len(numbers)
        self.rejected += len(portion.rejected)
        self.first_rejected = [*self.first_rejected, *portion.rejected][:SHOWN]
        last = pc.max(numbers).as_py() or 0
        held = [*self.trailing, *portion.rejected]
        self.trailing = [one for one in held if one.row_number > last][: MOST_FOOTER + 1]


def survey(content: Content, contract: FileContract, progress: Progress) -> Survey:
    """Goes through all records. Raises UnsupportedSource for what a load would refuse, too."""
    found = Survey()
    with open_records(content, contract) as records:
        for name in records.fields:
            found.columns[name] = ColumnValues(name)
        for portion in records:
            found.add(portion)
            progress(found.records)
        found.notes = list(records.notes)
    if found.records and not found.columns:
        raise no_column(found.records)
    return found


def disproved(content: Content, contract: FileContract, progress: Progress) -> dict[str, str]:
    """The columns of the contract, by field, that a load could not cast as they are, each with the reason."""
    casts = {one.field: conversion(one, content.name) for one in contract.columns if one.type != "text"}
    found: dict[str, str] = {}
    records = 0
    with open_records(content, contract) as opened:
        for portion in opened if casts else ():
            for name, why in _bad(portion, casts):
                del casts[name]
                found[name] = why
            records += portion.texts.num_rows
            progress(records)
            if not casts:
                break
    return found


def _bad(portion: Portion, casts: dict[str, Conversion]) -> Iterator[tuple[str, str]]:
    for name, one in list(casts.items()):
        if name not in portion.texts.schema.names:
            continue
        values = portion.texts.column(name)
        if not pa.types.is_string(values.type):
            continue
        good = one.convert(values)[1]
        if good is not None and not pc.all(good, min_count=0).as_py():
            place = pc.index(good, False).as_py()
            number = portion.row_numbers[place].as_py()
            yield name, f"record {number:,}: {one.why_not(values[place].as_py())}"


def as_column(name: str, field_name: str, values: ColumnValues, kind: str) -> FileColumn:
    """The contract's column for a proposed type."""
    base, _, pattern = kind.partition(" ")
    zone = pattern.endswith(" with zone")
    return FileColumn(
        name=name,
        field=field_name,
        type=f"{base} with zone" if zone else base,
        pattern=pattern.removesuffix(" with zone"),
        decimal_comma=base.startswith("decimal(") and values.has_comma,
    )
