"""Parameters of a remote procedure call: TYPE_INFO and value to (SqlType, Python value). [MS-TDS] 2.2.6.6.

Values come out as DuckDB takes them for the representation of `types.py`: integers for ticks, `(ticks, offset)` for
datetimeoffset, Decimal for exact numbers, str for GUIDs.
"""

import datetime as dt
import decimal
import struct
import uuid
from dataclasses import dataclass

from .errors import SqlError
from .types import SqlType

_NO_LENGTH = 0xFFFF  # CHARBIN_NULL, [MS-TDS] 2.2.5.1.1; as the length of a type it means MAX, 2.2.5.4.4
_BATCH_FLAG = 0xFF  # [MS-TDS] 2.2.6.6
_PLP_NULL = 0xFFFFFFFFFFFFFFFF  # [MS-TDS] 2.2.5.2.3
_TICKS_PER_DAY = 864_000_000_000
# Type tokens of fixed and of variable length, [MS-TDS] 2.2.5.4.2 and 2.2.5.4.3
_FIXED = {0x30: ("tinyint", "<B"), 0x34: ("smallint", "<h"), 0x38: ("int", "<i"), 0x7F: ("bigint", "<q"),
          0x32: ("bit", "<?"), 0x3B: ("real", "<f"), 0x3E: ("float", "<d")}  # fmt: skip
_SIZED = {0xE7: "nvarchar", 0xEF: "nchar", 0xA7: "varchar", 0xAF: "char", 0xA5: "varbinary", 0xAD: "binary"}
_LOBS = {0x63: "ntext", 0x23: "text", 0x22: "image"}


@dataclass(frozen=True)
class Parameter:
    name: str
    is_output: bool
    type: SqlType
    value: object


class Reader:
    """Reads the parameters of one RPC request from its payload."""

    def __init__(self, data: bytes, position: int = 0):
        self._data, self.position = data, position

    def at_end(self) -> bool:
        return self.position >= len(self._data)

    def at_next_call(self) -> bool:
        """Whether a batch flag stands here: several calls share one request, [MS-TDS] 2.2.6.6."""
        if self.at_end() or self._data[self.position] != _BATCH_FLAG:
            return False
        self.position += 1
        return True

    def take(self, count: int) -> bytes:
        piece = self._data[self.position : self.position + count]
        if len(piece) != count:
            raise SqlError(8009, "The incoming tabular data stream (TDS) remote procedure call (RPC) is incorrect.")
        self.position += count
        return piece

    def number(self, form: str):
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def short_text(self) -> str:
        return self.take(2 * self.number("<B")).decode("utf-16le")

    def parameter(self) -> Parameter:
        name = self.short_text().lstrip("@").lower()
        status = self.number("<B")
        sql_type, value = self._typed_value()
        return Parameter(name, bool(status & 1), sql_type, value)

    def _typed_value(self) -> tuple[SqlType, object]:
        token = self.number("<B")
        if token in _SIZED:
            return self._sized(_SIZED[token])
        if token in _LOBS:
            return self._lob(_LOBS[token])
        if token == 0xF1:
            self.take(1)
            return SqlType("xml"), _decoded("nvarchar", self._chunks())
        if token in _FIXED:
            base, form = _FIXED[token]
            return SqlType(base), self.number(form)
        if token == 0x1F:
            return SqlType("nvarchar", 1), None
        return self._short(token)

    def _sized(self, base: str) -> tuple[SqlType, object]:
        size = self.number("<H")
        if base not in ("varbinary", "binary"):
            self.take(5)  # the collation
        if size == _NO_LENGTH:
            return SqlType(base, -1), _decoded(base, self._chunks())
        length = self.number("<H")
        sql_type = SqlType(base, max(1, size // 2 if base in ("nvarchar", "nchar") else size))
        return sql_type, None if length == _NO_LENGTH else _decoded(base, self.take(length))

    def _chunks(self) -> bytes | None:
        if self.number("<Q") == _PLP_NULL:
            return None
        parts = []
        while length := self.number("<I"):
            parts.append(self.take(length))
        return b"".join(parts)

    def _lob(self, base: str) -> tuple[SqlType, object]:
        self.take(4 if base == "image" else 9)
        length = self.number("<i")
        modern = {"ntext": "nvarchar", "text": "varchar", "image": "varbinary"}[base]
        return SqlType(modern, -1), None if length < 0 else _decoded(modern, self.take(length))

    def _short(self, token: int) -> tuple[SqlType, object]:
        """Types whose values carry one length byte."""
        precision = scale = size = 0
        if token in (0x26, 0x68, 0x6D, 0x6E, 0x6F, 0x24):
            size = self.number("<B")
        elif token in (0x6A, 0x6C):
            size, precision, scale = self.take(3)
        elif token in (0x29, 0x2A, 0x2B):
            scale = self.number("<B")
        elif token != 0x28:
            raise SqlError(8009, f"The stand-in does not read parameters of wire type 0x{token:02X}.")
        data = self.take(self.number("<B"))
        sql_type = _short_type(token, size, precision, scale)
        return sql_type, _short_value(sql_type, data) if data else None


def _decoded(base: str, data: bytes | None):
    if data is None or base in ("varbinary", "binary"):
        return data
    return data.decode("utf-16le") if base in ("nvarchar", "nchar") else data.decode("cp1252", "replace")


def _short_type(token: int, size: int, precision: int, scale: int) -> SqlType:
    if token in (0x6A, 0x6C):
        return SqlType("decimal", 0, precision, scale)
    if token in (0x29, 0x2A, 0x2B):
        return SqlType({0x29: "time", 0x2A: "datetime2", 0x2B: "datetimeoffset"}[token], 0, 0, scale)
    names = {(0x26, 1): "tinyint", (0x26, 2): "smallint", (0x26, 4): "int", (0x26, 8): "bigint", (0x6D, 4): "real",
             (0x6D, 8): "float", (0x6E, 4): "smallmoney", (0x6E, 8): "money", (0x6F, 4): "smalldatetime",
             (0x6F, 8): "datetime"}  # fmt: skip
    return SqlType({0x68: "bit", 0x24: "uniqueidentifier", 0x28: "date"}.get(token) or names[token, size])


def _short_value(sql_type: SqlType, data: bytes):
    base = sql_type.base
    if base in ("tinyint", "smallint", "int", "bigint"):
        return int.from_bytes(data, "little", signed=base != "tinyint")
    if base == "bit":
        return bool(data[0])
    if base in ("real", "float"):
        return struct.unpack("<f" if base == "real" else "<d", data)[0]
    if base == "decimal":
        with decimal.localcontext(prec=60):
            return decimal.Decimal(int.from_bytes(data[1:], "little") * (1 if data[0] else -1)).scaleb(-sql_type.scale)
    if base == "smallmoney":
        return decimal.Decimal(int.from_bytes(data, "little", signed=True)).scaleb(-4)
    if base == "money":
        high, low = struct.unpack("<iI", data)
        return decimal.Decimal(high << 32 | low).scaleb(-4)
    if base == "uniqueidentifier":
        return str(uuid.UUID(bytes_le=data))
    return _moment(sql_type, data)


def _moment(sql_type: SqlType, data: bytes):
    base = sql_type.base
    if base == "datetime":
        days, ticks = struct.unpack("<iI", data)
        return dt.datetime(1900, 1, 1) + dt.timedelta(days=days, milliseconds=(ticks * 10 + 1) // 3)
    if base == "smalldatetime":
        days, minutes = struct.unpack("<HH", data)
        return dt.datetime(1900, 1, 1) + dt.timedelta(days=days, minutes=minutes)
    if base == "date":
        return dt.date.fromordinal(int.from_bytes(data, "little") + 1)
    width = sql_type.time_width
    in_day = int.from_bytes(data[:width], "little") * 10 ** (7 - sql_type.scale)
    if base == "time":
        return in_day
    ticks = int.from_bytes(data[width : width + 3], "little") * _TICKS_PER_DAY + in_day
    return ticks if base == "datetime2" else (ticks, struct.unpack("<h", data[width + 3 :])[0])
