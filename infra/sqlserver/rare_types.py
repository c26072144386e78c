"""Cells of the types that SQL Server keeps for old times' sake or for special data: one value at a time.

text, ntext, image: a text pointer before the value, [MS-TDS] 2.2.5.5.4. sql_variant: a base type, its properties, the
value, [MS-TDS] 2.2.5.5.4. hierarchyid: the bit string of [MS-SSCLRT] 2.1.2.1, for node numbers 0 to 79.
"""

import datetime as dt
import decimal
import struct
import uuid

from .errors import SqlError
from .types import COLLATION, SqlType

_TEXT_POINTER = b"\x10" + b"flowforge text\0\0" + b"\0" * 8
_TICKS_PER_DAY = 864_000_000_000


def cell(value, sql_type: SqlType) -> bytes:
    """The cell of one value: str or bytes, a {base, txt} mapping for sql_variant, a path for hierarchyid; None is NULL."""
    base = sql_type.base
    if base in ("text", "ntext", "image"):
        if value is None:
            return b"\0"
        data = value if base == "image" else value.encode("utf-16le" if base == "ntext" else "cp1252", "replace")
        return _TEXT_POINTER + struct.pack("<I", len(data)) + data
    if base == "sql_variant":
        data = b"" if value is None or value["base"] is None else _variant(value["base"], value["txt"])
        return struct.pack("<I", len(data)) + data
    if value is None:
        return b"\xff" * 8
    data = hierarchy_bytes(value)
    return struct.pack("<Q", len(data)) + (struct.pack("<I", len(data)) + data if data else b"") + bytes(4)


def _variant(base: str, text: str) -> bytes:
    """Base type byte, count of property bytes, properties, value: [MS-TDS] 2.2.5.5.4."""
    if base in ("tinyint", "smallint", "int", "bigint"):
        token, form = {"tinyint": (0x30, "<B"), "smallint": (0x34, "<h"), "int": (0x38, "<i"), "bigint": (0x7F, "<q")}[
            base
        ]
        return bytes([token, 0]) + struct.pack(form, int(text))
    if base == "bit":
        return bytes([0x32, 0, int(text)])
    if base in ("real", "float"):
        return bytes([0x3B if base == "real" else 0x3E, 0]) + struct.pack("<f" if base == "real" else "<d", float(text))
    if base in ("nvarchar", "nchar"):
        return (
            bytes([0xE7 if base == "nvarchar" else 0xEF, 7])
            + COLLATION
            + struct.pack("<H", 8000)
            + text.encode("utf-16le")
        )
    if base in ("varchar", "char"):
        encoded = text.encode("cp1252", "replace")
        return bytes([0xA7 if base == "varchar" else 0xAF, 7]) + COLLATION + struct.pack("<H", 8000) + encoded
    if base == "decimal":
        number = decimal.Decimal(text)
        scale = max(0, -int(number.as_tuple().exponent))
        with decimal.localcontext(prec=60):
            digits = int(abs(number).scaleb(scale))
        return bytes([0x6C, 2, 38, scale, number >= 0]) + digits.to_bytes(16, "little")
    if base in ("varbinary", "binary"):
        return bytes([0xA5 if base == "varbinary" else 0xAD, 2]) + struct.pack("<H", 8000) + bytes.fromhex(text)
    if base == "money":
        value = int(decimal.Decimal(text).scaleb(4))
        return bytes([0x3C, 0]) + struct.pack("<iI", value >> 32, value & 0xFFFFFFFF)
    if base == "uniqueidentifier":
        return bytes([0x24, 0]) + uuid.UUID(text).bytes_le
    return _variant_moment(base, text)


def _variant_moment(base: str, text: str) -> bytes:
    if base == "date":
        return bytes([0x28, 0]) + (dt.date.fromisoformat(text).toordinal() - 1).to_bytes(3, "little")
    if base in ("datetime", "datetime2"):
        ticks = ticks_from_text(text)
        days, in_day = divmod(ticks, _TICKS_PER_DAY)
        if base == "datetime":
            return bytes([0x3D, 0]) + struct.pack("<iI", days - 693_595, (in_day * 3 + 50_000) // 100_000)
        return bytes([0x2A, 1, 7]) + in_day.to_bytes(5, "little") + days.to_bytes(3, "little")
    raise SqlError(40517, f"The stand-in does not send sql_variant values of base type {base}.")


def ticks_from_text(text: str) -> int:
    """100 ns ticks since 0001-01-01 of `YYYY-MM-DD[ hh:mm:ss[.fffffff]]`."""
    day, _, clock = text.strip().replace("T", " ").partition(" ")
    whole, _, fraction = clock.partition(".")
    hours, minutes, seconds = (int(part) for part in (whole or "0:0:0").split(":"))
    days = dt.date.fromisoformat(day).toordinal() - 1
    in_day = (hours * 3600 + minutes * 60 + seconds) * 10_000_000 + int((fraction + "0" * 7)[:7])
    return days * _TICKS_PER_DAY + in_day


# (first number, last number, bits before, count of number bits): ordinary labels of the published encoding
_LABELS = [(0, 3, "01", 2), (4, 7, "100", 2), (8, 15, "101", 3)]


def hierarchy_bytes(path: str) -> bytes:
    """The binary form of a path such as `/1/2/`. Raises SqlError for node numbers beyond 79 or fractions."""
    bits = ""
    for part in path.strip("/").split("/") if path.strip("/") else []:
        number = int(part) if part.isdigit() else -1
        if 16 <= number <= 79:
            rest = number - 16
            bits += f"110{rest >> 4:02b}0{rest >> 3 & 1:b}1{rest & 7:03b}1"
            continue
        for first, last, prefix, count in _LABELS:
            if first <= number <= last:
                bits += prefix + f"{number - first:0{count}b}" + "1"
                break
        else:
            raise SqlError(40517, f"The stand-in does not encode the hierarchyid {path}.")
    padded = bits + "0" * (-len(bits) % 8)
    return bytes(int(padded[i : i + 8], 2) for i in range(0, len(padded), 8))
