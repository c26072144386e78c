"""What each type of a file's contract takes, and how: exactly the value that the text is, or not at all.

boolean: true, false in any case, 1, 0. bigint: digits without leading zeros, within 64 bits. double: the nearest of 64 bits, also
with an exponent; NaN, Infinity, -Infinity. decimal(p,s): no more digits than it holds, on either side. date, timestamp: days that
exist, of the years 1 to 9999, by the column's pattern; microseconds, further digits must be zeros. json: kept as written.
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute

from events.files import FileColumn
from flowforge.domain.column_types import ColumnType, parse_type
from flowforge.domain.errors import UnsupportedSource
from flowforge.sources.files.date_patterns import Stamps, stamp_pattern
from flowforge.sources.files.values import COMMA, INTEGER, POINT

pc: Any = pyarrow.compute
SIMPLE = ("text", "boolean", "bigint", "double", "json")
STAMPS = ("date", "timestamp", "timestamp with zone")
TRUTH = r"^(?i:true|false|1|0)$"
EXPONENT = r"(?:[eE][+-]?[0-9]+)?"
WORDS = r"NaN|-?Infinity"
GREATEST, LEAST = "9223372036854775807", "9223372036854775808"


class Conversion(NamedTuple):
    """`convert` gives values (anything where the text is no such value) and which are good (so are NULLs), None where all are;
    `why_not` says of one text that is not good what is wrong, without showing it."""

    type: pa.DataType
    convert: Callable[[pa.Array], tuple[pa.Array, pa.Array | None]]
    why_not: Callable[[str], str]


def conversion(column: FileColumn, where: str) -> Conversion:
    """How a column's texts are cast. Raises UnsupportedSource for a type or a pattern that there is not."""
    if column.operations:
        return _operations(column.operations)
    plain = _plain_conversion(column, where)
    return _without_thousands(plain, column) if column.thousands else plain


def _operations(meanings: Mapping[str, str]) -> Conversion:
    """What became of a record's row, by a value that says it; another value is not good."""
    known, words = pa.array(list(meanings), pa.string()), pa.array(list(meanings.values()), pa.string())

    def convert(values: pa.Array) -> tuple[pa.Array, pa.Array]:
        found = words.take(pc.index_in(pc.cast(values, pa.string()), known))
        return found, pc.is_valid(found)

    return Conversion(pa.string(), convert, lambda text: f"it is none of the operations {', '.join(meanings)}")


def _without_thousands(plain: Conversion, column: FileColumn) -> Conversion:
    """The same for numbers with a sign between each three digits, which stands everywhere or nowhere in a number."""
    sign, grouped = column.thousands, re.escape(column.thousands)
    pattern = rf"^-?[0-9]{{1,3}}(?:{grouped}[0-9]{{3}})+(?:$|[^0-9{grouped}][^{grouped}]*$)"

    def convert(texts: pa.Array) -> tuple[pa.Array, pa.Array | None]:
        has_sign = pc.fill_null(pc.match_substring(texts, sign), False)
        if not pc.any(has_sign, min_count=0).as_py():
            return plain.convert(texts)
        placed = pc.or_(pc.invert(has_sign), _good(texts, pattern))
        values, good = plain.convert(pc.replace_substring(_only(texts, placed), sign, ""))
        return values, placed if good is None else pc.and_(good, placed)

    def why_not(text: str) -> str:
        if sign in text and not re.search(pattern, text, re.ASCII):
            return f"it does not have {sign!r} between each three digits"
        return plain.why_not(text.replace(sign, ""))

    return Conversion(plain.type, convert, why_not)


def _plain_conversion(column: FileColumn, where: str) -> Conversion:
    kind, comma = _type_of(column), column.decimal_comma
    if kind is None:
        raise UnsupportedSource(
            f"{where}: column {column.name} has the type {column.type!r}, which files do not have",
            f"it can be {', '.join((*SIMPLE, *STAMPS))}, decimal(p,s)",
        )
    if kind.base == "text":
        return Conversion(pa.string(), lambda texts: (texts, None), lambda text: "it is no text")
    if kind.base == "boolean":
        return Conversion(pa.bool_(), _booleans, lambda text: "it is none of true, false, 1, 0")
    if kind.base == "bigint":
        return Conversion(pa.int64(), _integers, _why_no_integer)
    if kind.base == "double":
        return Conversion(pa.float64(), lambda texts: _doubles(texts, comma), lambda text: _why_no_double(text, comma))
    if kind.base == "json":
        return Conversion(pa.string(), _json, lambda text: "it is no JSON")
    if kind.base == "decimal":
        return _decimal(column, kind.precision, kind.scale, where)
    stamps = Stamps(stamp_pattern(column, where), kind.base)
    return Conversion(stamps.type, stamps.convert, stamps.why_not)


def _type_of(column: FileColumn) -> ColumnType | None:
    """The column's type where texts are cast to it; None for another one, or one written otherwise."""
    try:
        kind = parse_type(column.type)
    except ValueError:
        return None
    written = f"decimal({kind.precision},{kind.scale})" if kind.base == "decimal" else kind.base
    return kind if written == column.type and kind.base in (*SIMPLE, *STAMPS, "decimal") else None


def _only(texts: pa.Array, good: pa.Array) -> pa.Array:
    """The texts that are good; NULL for the others, so that nothing in them stops the cast."""
    return texts if pc.all(good, min_count=0).as_py() else pc.if_else(good, texts, pa.scalar(None, pa.string()))


def _good(texts: pa.Array, pattern: str) -> pa.Array:
    return pc.fill_null(pc.match_substring_regex(texts, pattern), True)


def _booleans(texts: pa.Array) -> tuple[pa.Array, pa.Array]:
    good = _good(texts, TRUTH)
    return pc.cast(pc.utf8_lower(_only(texts, good)), pa.bool_()), good


def _integers(texts: pa.Array) -> tuple[pa.Array, pa.Array]:
    good = _good(texts, INTEGER)
    digits = pc.utf8_ltrim(texts, "-")
    length = pc.utf8_length(digits)
    if (pc.max(length).as_py() or 0) >= len(GREATEST):
        most = pc.if_else(pc.starts_with(texts, "-"), LEAST, GREATEST)
        held = pc.or_(pc.less(length, 19), pc.and_(pc.equal(length, 19), pc.less_equal(digits, most)))
        good = pc.and_(good, pc.fill_null(held, True))
    return pc.cast(_only(texts, good), pa.int64()), good


def _why_no_integer(text: str) -> str:
    if re.fullmatch(r"-?(0|[1-9][0-9]*)", text, re.ASCII):
        return "it is beyond 64 bits; decimal(38,0) or text hold it"
    return f"it is no whole number{_odd_number(text)}"


def _number_pattern(comma: bool) -> str:
    return (COMMA if comma else POINT).removesuffix("$")


def _doubles(texts: pa.Array, comma: bool) -> tuple[pa.Array, pa.Array]:
    number = _number_pattern(comma) + EXPONENT
    good = _good(texts, f"{number}$|^(?:{WORDS})$")
    kept = _only(texts, good)
    values = pc.cast(pc.replace_substring(kept, ",", ".") if comma else kept, pa.float64())
    vanished = pc.and_(pc.equal(values, 0), pc.match_substring_regex(kept, r"^[^eE]*[1-9]"))
    overflown = pc.and_(pc.is_inf(values), pc.invert(pc.match_substring(kept, "Inf")))
    return values, pc.and_(good, pc.fill_null(pc.invert(pc.or_(vanished, overflown)), True))


def _why_no_double(text: str, comma: bool) -> str:
    if re.search(_number_pattern(comma) + EXPONENT + r"\Z", text, re.ASCII):
        return "it is too great, or too small, for 64 bits"
    return f"it is no number with {'a comma' if comma else 'a point'}{_odd_number(text)}"


def _decimal(column: FileColumn, precision: int, scale: int, where: str) -> Conversion:
    if not (1 <= precision <= 38 and scale <= precision):
        raise UnsupportedSource(
            f"{where}: column {column.name} has the type {column.type}",
            "a decimal has 1 to 38 digits, its scale among them",
        )
    kind, sign = pa.decimal128(precision, scale), "," if column.decimal_comma else "."
    whole = rf"0|[1-9][0-9]{{0,{precision - scale - 1}}}" if precision > scale else "0"
    part = rf"(?:[{sign}][0-9]{{1,{scale}}})?" if scale else ""

    def convert(texts: pa.Array) -> tuple[pa.Array, pa.Array]:
        good = _good(texts, f"^-?(?:{whole}){part}$")
        kept = _only(texts, good)
        return pc.cast(pc.replace_substring(kept, ",", ".") if sign == "," else kept, kind), good

    def why_not(text: str) -> str:
        if not re.search(_number_pattern(column.decimal_comma) + r"\Z", text, re.ASCII):
            return f"it is no number with {'a comma' if sign == ',' else 'a point'}{_odd_number(text)}"
        digits = len(text.partition(sign)[2])
        if digits > scale:
            return f"it has {digits:,} digits behind the {'comma' if sign == ',' else 'point'}, {kind_name} has {scale}"
        return f"it has more digits than {kind_name} holds"

    kind_name = f"decimal({precision},{scale})"
    return Conversion(kind, convert, why_not)


def _odd_number(text: str) -> str:
    """What keeps a text from being a number, where that is easily told."""
    if re.fullmatch(r"-?0[0-9]+([.,][0-9]+)?", text, re.ASCII):
        return ": it has leading zeros, which text keeps"
    if text.startswith("+"):
        return ": it begins with +, which text keeps"
    if re.fullmatch(r"-?[0-9]+([.,][0-9]+)?[eE][+-]?[0-9]+", text, re.ASCII):
        return ": it has an exponent"
    if text != text.strip():
        return ": it has blanks around it"
    return ": it is empty" if not text else ""


def _json(texts: pa.Array) -> tuple[pa.Array, pa.Array]:
    return texts, pa.array([text is None or _is_json(text) for text in texts.to_pylist()], pa.bool_())


def _is_json(text: str) -> bool:
    try:
        json.loads(text, parse_int=str, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return False
    return True


def _no_constant(name: str) -> None:
    raise ValueError(name)
