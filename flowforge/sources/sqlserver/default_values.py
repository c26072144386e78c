"""The value that a constant default of SQL Server gives to a row, as plain text of the column's neutral type.

Guarantees: pure. Only what cannot be misread is a constant here: a number without rounding, a text within its length (padded as
char is), a date whose order of day and month no language changes. Everything else (getdate(), a sum, a sequence) is None.
"""

import re
from datetime import datetime

from flowforge.sources.sqlserver.sql_types import INTEGERS, MAX, SqlType

_NUMBER = re.compile(r"-?\d+(\.\d*)?")
_FLOATING = re.compile(r"-?\d+(\.\d*)?([eE][-+]?\d+)?")
_TEXT = re.compile(r"N?'((?:[^']|'')*)'", re.DOTALL)
_BYTES = re.compile(r"0[xX]((?:[0-9a-fA-F]{2})*)")
_GUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_UNAMBIGUOUS = re.compile(r"\d{8}|\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}")  # in every language and date format
_ISO = re.compile(r"\d{4}-\d{2}-\d{2}( \d{2}:\d{2}:\d{2})?")  # read as year, month, day by date and datetime2 only
_DIGITS = {"money": 4, "smallmoney": 4}


def constant_of(definition: str | None, kind: SqlType) -> str | None:
    """The value of the default `definition`, as sys.default_constraints has it: digits, hexadecimal digits of bytes, an ISO date
    or time, true or false, or the text. None where it is no constant, or one that the server may read in another way."""
    if not definition:
        return None
    bare = _bare(definition)
    text = _TEXT.fullmatch(bare)
    value = text[1].replace("''", "'") if text else bare
    if kind.base in INTEGERS or kind.base == "bit":
        return _integer(value, kind)
    if kind.base == "decimal" or kind.base in _DIGITS:
        return _exact(value, kind)
    if kind.base in ("float", "real") and not text and _FLOATING.fullmatch(value):
        return value
    if kind.base in ("varbinary", "binary"):
        return _bytes(bare, kind)
    if not text or not (value.isascii() or (bare.startswith("N") and kind.base in ("nchar", "nvarchar"))):
        return None  # a code page may have another letter, or a question mark, in place of one that it lacks
    return _from_text(value, kind)


def _bare(definition: str) -> str:
    """Without the parentheses that the server adds around the whole."""
    text = definition.strip()
    while text.startswith("(") and text.endswith(")") and _encloses(text):
        text = text[1:-1].strip()
    return text


def _encloses(text: str) -> bool:
    """Whether the first parenthesis is closed by the last character."""
    depth, quoted = 0, False
    for position, letter in enumerate(text):
        quoted ^= letter == "'"
        depth += 0 if quoted else (letter == "(") - (letter == ")")
        if depth == 0 and not quoted:
            return position == len(text) - 1
    return False


def _integer(value: str, kind: SqlType) -> str | None:
    if not re.fullmatch(r"-?\d{1,19}", value):
        return None
    if kind.base == "bit":
        return "false" if int(value) == 0 else "true"
    low, high = INTEGERS[kind.base]
    return value if low <= int(value) <= high else None


def _exact(value: str, kind: SqlType) -> str | None:
    if not _NUMBER.fullmatch(value):
        return None
    whole, _, fraction = value.lstrip("-").partition(".")
    scale = _DIGITS.get(kind.base, kind.scale)
    precision = kind.precision or (19 if kind.base == "money" else 10)
    fits = len(fraction.rstrip("0")) <= scale and len(whole.lstrip("0")) <= precision - scale
    return value if fits else None


def _bytes(value: str, kind: SqlType) -> str | None:
    found = _BYTES.fullmatch(value)
    if not found:
        return None
    size = len(found[1]) // 2
    fits = kind.length == MAX or (size <= kind.length if kind.base == "varbinary" else size == kind.length)
    return found[1] if fits else None


def _from_text(value: str, kind: SqlType) -> str | None:
    if kind.base in ("char", "nchar", "varchar", "nvarchar"):
        left = kind.length - len(value.encode("utf-16-le", errors="surrogatepass")) // 2
        if kind.length != MAX and left < 0:
            return None
        return value + " " * left if kind.base in ("char", "nchar") else value
    if kind.base == "uniqueidentifier":
        return value.lower() if _GUID.fullmatch(value) else None
    if kind.base in ("date", "datetime", "smalldatetime", "datetime2"):
        return _moment(value, kind)
    return None


def _moment(value: str, kind: SqlType) -> str | None:
    forms = (_UNAMBIGUOUS, _ISO) if kind.base in ("date", "datetime2") else (_UNAMBIGUOUS,)
    if not any(form.fullmatch(value) for form in forms):
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    if kind.base == "date":
        return moment.date().isoformat()
    if kind.base == "smalldatetime" and moment.second:
        return None  # the server rounds it
    return moment.isoformat(sep=" ")
