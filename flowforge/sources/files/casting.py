"""Texts become the contract's types, exactly or not at all. Vectorised; one step that counts.

Guarantees: rows and rejects are together the records that came in. Nothing is rounded, cut or guessed: a text that its type does
not hold as it stands makes its record a reject, with the first such column and the reason, which shows no value.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import pyarrow as pa
import pyarrow.compute

from events.files import FileColumn, UnknownColumns
from flowforge.domain.errors import LakeChanged, UnsupportedSource
from flowforge.domain.own_columns import CHANGE_TYPE
from flowforge.sources.files.conversions import Conversion, conversion
from flowforge.sources.files.rejected import Portion, Rejected, cut_raw

pc: Any = pyarrow.compute
ROW_NUMBER, RESCUED = "_row_number", "_rescued"
OWN = (ROW_NUMBER, RESCUED)


class Cast(NamedTuple):
    """Typed rows in the contract's order with `_row_number`, and all rejects of the portion: its own and those of the cast."""

    rows: pa.RecordBatch
    rejected: list[Rejected]


@dataclass(frozen=True)
class Casting:
    """How a file's texts become rows. `absent` are columns of the contract that the file does not have: NULL in all rows;
    `unknown` are fields of the file that the contract does not have."""

    columns: tuple[FileColumn, ...]
    absent: tuple[str, ...]
    unknown: tuple[str, ...]
    rescues: bool
    conversions: tuple[Conversion, ...]

    @property
    def schema(self) -> pa.Schema:
        """The columns in order, `_row_number`, and `_rescued` where unknown fields are kept there."""
        fields = [
            pa.field(column.name, one.type, nullable=column.nullable)
            for column, one in zip(self.columns, self.conversions, strict=True)
        ]
        fields.append(pa.field(ROW_NUMBER, pa.int64(), nullable=False))
        return pa.schema([*fields, pa.field(RESCUED, pa.string())] if self.rescues else fields)


def casting_for(fields: Sequence[str], columns: Sequence[FileColumn], unknown: UnknownColumns, where: str) -> Casting:
    """How a file with these fields is cast. No columns: all fields, as text.

    `refuse`: fields and columns must be the same. `add`: unknown fields become columns of text behind the others. `rescue`: they
    go as JSON to `_rescued`. With both, columns that the file lacks are NULL, unless the contract says that they never are.
    Raises UnsupportedSource.
    """
    listed = list(columns) or [FileColumn(name=name, field=name) for name in fields]
    _check_names(fields, "the file", where)
    wanted = {column.field for column in listed}
    if fields and wanted.isdisjoint(fields):
        raise UnsupportedSource(
            f"{where}: none of its {len(fields):,} fields is a column of the job, so it is another table or has no such header",
            "look at the delimiter; say where the header is (hasHeader, skipRows, headerRow), or mend the job's columns",
        )
    extra = tuple(name for name in fields if name not in wanted)
    absent = tuple(column.name for column in listed if column.field not in set(fields))
    _check_fit(extra, absent, listed, unknown, where)
    if unknown == "add":
        listed += [FileColumn(name=name, field=name) for name in extra]
    _check_names([column.name for column in listed], "the columns", where)
    if taken := next((column.name for column in listed if column.name.lower() in OWN), None):
        raise UnsupportedSource(
            f"{where}: a column is named {taken}", "that name is this lake's own; map it to another"
        )
    return Casting(tuple(listed), absent, extra, unknown == "rescue", tuple(conversion(one, where) for one in listed))


def cast_portion(portion: Portion, casting: Casting) -> Cast:
    """The rows of a portion, typed, and its rejects in their order. Columns that have their type already are left as they are.

    Raises UnsupportedSource for records without any column, and for a field that the casting does not know and that it does not
    rescue, LakeChanged where rows and rejects are not together the records: that is a fault of this program, and nothing lands.
    """
    texts, count = portion.texts, len(portion.row_numbers)
    if count and not casting.columns:
        raise no_column(count)
    unknown = _unknown_of(portion, casting)
    arrays, alive = [], None
    reasons: dict[int, tuple[str, str]] = {}
    for column, one in zip(casting.columns, casting.conversions, strict=True):
        values = _texts_of(texts, column.field)
        typed = values.type == one.type and not pa.types.is_string(values.type)
        array, good = (values, None) if typed else one.convert(values)
        if not column.nullable:
            present = pc.is_valid(values)
            good = present if good is None else pc.and_(good, present)
        arrays.append(array)
        if good is None or pc.all(good, min_count=0).as_py():
            continue
        for place in pc.indices_nonzero(pc.invert(good)).to_pylist():
            told = column.field if column.name == CHANGE_TYPE else column.name  # the file knows no _change_type
            reasons.setdefault(place, (told, _reason(one, values[place].as_py())))
        alive = good if alive is None else pc.and_(alive, good)
    arrays.append(portion.row_numbers)
    if casting.rescues:
        arrays.append(_rescued(texts, unknown))
    rows = pa.RecordBatch.from_arrays(arrays, schema=casting.schema) if alive is None else _kept(arrays, alive, casting)
    rejected = [*portion.rejected, *_rejects(portion, reasons)]
    if rows.num_rows + len(reasons) != count:
        raise LakeChanged(
            f"{count:,} records became {rows.num_rows:,} rows and {len(reasons):,} rejects", "report it; nothing landed"
        )
    return Cast(rows, sorted(rejected, key=lambda one: one.row_number))


def no_column(records: int) -> UnsupportedSource:
    """The error for records of which none has a field: a row of nothing is no row."""
    return UnsupportedSource(
        f"none of its first {records:,} records has a field: its objects are empty, and the job has no columns",
        "look at what wrote the file; give columns in the request, where such records are rows of NULL",
    )


def _unknown_of(portion: Portion, casting: Casting) -> list[str]:
    """The fields of a portion without a column: objects may have some that those before had not."""
    known = {column.field for column in casting.columns}
    found = [name for name in portion.texts.schema.names if name not in known]
    if found and not casting.rescues:
        first = portion.row_numbers[0].as_py() if len(portion.row_numbers) else 0
        raise UnsupportedSource(
            f"records from {first:,} on have fields that have no column: {_shown(found)}",
            "add them to the job's columns, or set unknownColumns to rescue",
        )
    return found


def _kept(arrays: list[pa.Array], alive: pa.Array, casting: Casting) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([array.filter(alive) for array in arrays], schema=casting.schema)


def _texts_of(texts: pa.RecordBatch, name: str) -> pa.Array:
    place = texts.schema.get_field_index(name)
    return texts.column(place) if place >= 0 else pa.nulls(texts.num_rows, pa.string())


def _reason(one: Conversion, text: str | None) -> str:
    return "it is NULL, and the column never is" if text is None else one.why_not(text)


def _rejects(portion: Portion, reasons: dict[int, tuple[str, str]]) -> Iterator[Rejected]:
    """The rejects of the cast; the raw text of one is the record as a JSON object of its fields."""
    known = portion.places() if reasons else ()
    for place, (column, reason) in reasons.items():
        record = {name: portion.texts.column(name)[place].as_py() for name in portion.texts.schema.names}
        line, offset = (None if one is None else one[place].as_py() for one in known)
        raw = cut_raw(json.dumps(record, ensure_ascii=False, default=str))
        yield Rejected(portion.row_numbers[place].as_py(), line, offset, raw, reason, column)


def _rescued(texts: pa.RecordBatch, unknown: Sequence[str]) -> pa.Array:
    """The unknown fields of each record as JSON, those that are not NULL; NULL where there is none."""
    found = [(name, _texts_of(texts, name).to_pylist()) for name in unknown]
    records = (
        {name: values[row] for name, values in found if values[row] is not None} for row in range(texts.num_rows)
    )
    return pa.array([json.dumps(one, ensure_ascii=False, default=str) if one else None for one in records], pa.string())


def _check_names(names: Sequence[str], what: Literal["the file", "the columns"], where: str) -> None:
    seen: dict[str, str] = {}
    for name in names:
        if other := seen.get(name.lower()):
            raise UnsupportedSource(
                f"{where}: two of {what} have one name: {other!r} and {name!r}",
                "rename one, in the file or in a column mapping" if what == "the columns" else "rename one in the file",
            )
        seen[name.lower()] = name


def _check_fit(
    extra: Sequence[str], absent: Sequence[str], columns: Sequence[FileColumn], unknown: UnknownColumns, where: str
) -> None:
    if extra and unknown == "refuse":
        raise UnsupportedSource(
            f"{where} has columns that the job does not know: {_shown(extra)}",
            "add them to the job's columns, or set unknownColumns to add or rescue",
        )
    never = {column.name for column in columns if not column.nullable}
    missing = [name for name in absent if unknown == "refuse" or name in never]
    if missing:
        raise UnsupportedSource(
            f"{where} lacks columns of the job: {_shown(missing)}",
            "deliver them, or take them out of the job's columns",
        )


def _shown(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:10])) + (f" and {len(names) - 10:,} more" if len(names) > 10 else "")
