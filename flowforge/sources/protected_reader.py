"""A reader whose protected columns are what `protection` makes of them: nothing behind it sees a value of theirs."""

import hashlib
import hmac
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa

from flowforge.domain.source_columns import SourceColumn
from flowforge.sources.base import BatchReader
from flowforge.sources.reader_around import ReaderAround

Change = Callable[[Any], Any]


class ProtectedReader(ReaderAround):
    """A BatchReader over another one; `keys` are those of `protection.keys_of`.

    Resource management: closes the reader below.
    """

    def __init__(self, reader: BatchReader, columns: Sequence[SourceColumn], keys: dict[str, bytes]):
        super().__init__(reader)
        self._changes: dict[int, Change | None] = {}
        fields = list(reader.schema)
        for n, column in enumerate(columns):
            if column.protection is None:
                continue
            how, _, width = column.protection.how.rstrip(")").partition("(")
            self._changes[n] = _change(how, int(width or 0), keys.get(column.protection.secret, b""))
            kind = pa.string() if how in ("hmac", "partial") else fields[n].type
            notes = {**(fields[n].metadata or {}), b"protection": column.protection.text.encode()}
            fields[n] = pa.field(fields[n].name, kind, fields[n].nullable or how == "null", metadata=notes)
        self.schema = pa.schema(fields, metadata=reader.schema.metadata)

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        for batch in self._below:
            arrays = [self._array(n, batch.column(n)) for n in range(batch.num_columns)]
            yield pa.RecordBatch.from_arrays(arrays, schema=self.schema)

    def _array(self, place: int, array: pa.Array) -> pa.Array:
        if place not in self._changes:
            return array
        change, kind = self._changes[place], self.schema.field(place).type
        if change is None:
            return pa.nulls(len(array), kind)
        known = array.dictionary_encode()  # each value once
        values = [None if value is None else change(value) for value in known.dictionary.to_pylist()]
        return pa.array(values, kind).take(known.indices)


def canonical(value: Any) -> bytes:
    """A value in the one form that hmac is taken of; see `protection`."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, bool):
        return b"1" if value else b"0"
    if isinstance(value, Decimal):
        text = format(value, "f")
        text = text.rstrip("0").rstrip(".") if "." in text else text
        return b"0" if text == "-0" else text.encode()
    if isinstance(value, datetime):
        text = value.replace(tzinfo=None).isoformat(sep=" ")
        return (text.rstrip("0").rstrip(".") if "." in text else text).encode()
    return str(value).rstrip(" ").encode("utf-8", "surrogatepass")


def hashed(value: bytes, key: bytes) -> str:
    """What stands for a value in its canonical form: its HMAC, as 64 hexadecimal digits."""
    return hmac.digest(key, value, hashlib.sha256).hex()


def _change(how: str, width: int, key: bytes) -> Change | None:
    """What is done with each value; None where it becomes NULL."""
    if how == "hmac":
        return lambda value: hashed(canonical(value), key)
    if how == "partial":
        return lambda value: _partial(str(value), width)
    if how == "bucket":
        return (lambda value: _multiple(value, width)) if width else _first_of_year
    return None


def _partial(text: str, shown: int) -> str:
    hidden = len(text) - shown if len(text) > shown else len(text)
    return "*" * hidden + text[hidden:]


def _multiple(value: Any, width: int) -> Any:
    """Towards zero: no multiple is outside of the type that holds the value."""
    found = abs(int(value)) // width * width * (1 if value >= 0 else -1)
    return Decimal(found) if isinstance(value, Decimal) else found


def _first_of_year(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.replace(month=1, day=1, hour=0, minute=0, second=0, microsecond=0)
    return date(value.year, 1, 1)
