"""Columns that are loaded as another type (`databaseConfig.cast`), as T-SQL: pure.

A cast changes a type and never a value. Plain CAST cuts text, rounds decimals and times, makes `*` of a number that does not fit
a text, 0 of an empty text and `?` of a letter that a code page lacks, all without a word ("CAST and CONVERT" in the T-SQL
reference, "Truncating and rounding results"). Guarantees: a value that the new type does not hold exactly ends the statement with
an error whose text names the column and holds no value; a pair of types without a rule here is refused before anything is read. A
text becomes a number or a time from that one's own plain notation alone, as in silver (`'007'` is no 7). No expression depends on
the session's language or on a collation's idea of digits.
"""

from typing import NamedTuple

from flowforge.domain.errors import UnsupportedSource
from flowforge.sources.sqlserver.packing import WIDTHS
from flowforge.sources.sqlserver.sql_types import INTEGERS, LONGEST_NVARCHAR, MAX, STRINGS, SqlType, parse_sql_type

MISFIT = "FlowForge: a value that its cast does not hold, of column "
EXACT = ("bit", *INTEGERS, "decimal", "money", "smallmoney")
NUMBERS = (*EXACT, "real", "float")
MOMENTS = ("date", "smalldatetime", "datetime", "datetime2", "datetimeoffset")
TARGETS = (*NUMBERS, "date", "datetime2", "datetimeoffset", "varchar", "nvarchar")
_SHAPES = {"bit": (1, 0), "tinyint": (3, 0), "smallint": (5, 0), "int": (10, 0), "bigint": (19, 0)}
_SHAPES |= {"money": (19, 4), "smallmoney": (10, 4)}
_STYLES = {"date": 23, "smalldatetime": 120, "datetime": 121, "datetime2": 121, "datetimeoffset": 121}
_STYLES |= {"money": 2, "smallmoney": 2}
_DATE = "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]"
_TIME = "[0-9][0-9]:[0-9][0-9]:[0-9][0-9]"


class Rule(NamedTuple):
    """How a value (`{0}`) becomes another type; `fits` is the condition under which that holds it exactly (None: always)."""

    converted: str
    fits: str | None = None


def target_type(written: str) -> SqlType:
    """The type that a column is cast to. Raises ValueError, which says what to write."""
    try:
        kind = parse_sql_type(written)
    except UnsupportedSource:
        raise ValueError(f"{written!r} is no type of SQL Server: write one of {', '.join(TARGETS)}") from None
    if kind.base in ("char", "nchar", "datetime", "smalldatetime"):
        other = {"char": "varchar", "nchar": "nvarchar"}.get(kind.base, "datetime2")
        raise ValueError(f"{written!r} pads or rounds values: write {other}(n)")
    if kind.base not in TARGETS:
        raise ValueError(f"{written!r} is no type that columns are cast to: write one of {', '.join(TARGETS)}")
    if kind.base in STRINGS and "(" not in written:
        raise ValueError(f"{written!r} needs a length, such as {written.strip()}(100)")
    longest = {"varchar": 8_000, "nvarchar": LONGEST_NVARCHAR}.get(kind.base, MAX)
    if kind.base in STRINGS and kind.length != MAX and not 1 <= kind.length <= longest:
        raise ValueError(f"{written!r}: a length is 1 to {longest:,}, or max")
    if kind.base == "decimal" and not (1 <= kind.precision <= 38 and kind.scale <= kind.precision):
        raise ValueError(f"{written!r}: a decimal has 1 to 38 digits, no more of them behind the point than in all")
    if kind.base in ("datetime2", "datetimeoffset") and kind.scale > 7:
        raise ValueError(f"{written!r}: seconds have up to 7 digits")
    return kind


def cast_expression(value: str, column: str, declared: str, wanted: str) -> str:
    """The expression that holds a (quoted) value of the type `declared` as `wanted`; `column` is what an error calls it.

    Raises UnsupportedSource for a pair of types that is not cast.
    """
    rule = cast_rule(declared, wanted)
    converted = rule.converted.format(value)
    if rule.fits is None:
        return converted
    target = parse_sql_type(wanted).declaration
    name = (MISFIT + column).replace("'", "''")
    # Of the column, so that no server works it out before it looks at the rows.
    none = f"LEFT(CONVERT(nvarchar(20), DATALENGTH({value})), 0)"
    raised = f"CONVERT({target}, CONVERT(nvarchar(20), CONVERT(int, N'{name}' + {none})))"
    return f"CASE WHEN {value} IS NULL THEN NULL WHEN {rule.fits.format(value)} THEN {converted} ELSE {raised} END"


def misfit_condition(value: str, declared: str, wanted: str) -> str | None:
    """The condition that finds a value which the cast does not hold; None where there is none."""
    fits = cast_rule(declared, wanted).fits
    return None if fits is None else f"({value} IS NOT NULL AND CASE WHEN {fits.format(value)} THEN 0 ELSE 1 END = 1)"


def cast_rule(declared: str, wanted: str) -> Rule:
    """How values of one type become another. Raises UnsupportedSource for a pair of types that is not cast."""
    of, to = parse_sql_type(declared), parse_sql_type(wanted)
    if of == to:
        return Rule("{0}")
    rule = _rule(of, to)
    if rule is None:
        raise UnsupportedSource(
            f"{of.declaration} is not cast to {to.declaration}", f"{of.declaration} {_possible(of)}; or load a view"
        )
    return rule


def _rule(of: SqlType, to: SqlType) -> Rule | None:
    if of.base in STRINGS:
        if to.base in STRINGS:
            return _text_to_text(of, to)
        if to.base in EXACT:
            return _text_to_number(of, to)
        return _text_to_moment(of, to) if to.base in ("date", "datetime2") else None
    if of.base in NUMBERS and to.base in NUMBERS:
        return Rule(f"CONVERT({to.declaration}, {{0}})", None if _is_wider(of, to) else _comes_back(of, to))
    if of.base in MOMENTS and to.base in ("date", "datetime2"):
        whole = of.base == "date" or (of.base == to.base and of.scale <= to.scale)
        has_zone = of.base == "datetimeoffset"
        return None if has_zone else Rule(f"CONVERT({to.declaration}, {{0}})", None if whole else _comes_back(of, to))
    if of.base == to.base == "datetimeoffset":
        return Rule(f"CONVERT({to.declaration}, {{0}})", None if of.scale <= to.scale else _comes_back(of, to))
    if to.base in STRINGS and (width := _printed_width(of)):
        style = f", {_STYLES[of.base]}" if of.base in _STYLES else ""
        fits = to.length == MAX or to.length >= width
        return Rule(f"CONVERT({to.declaration}, {{0}}{style})") if fits else None
    return None


def _possible(of: SqlType) -> str:
    if of.base in STRINGS:
        return f"becomes one of {', '.join((*EXACT, 'date', 'datetime2', 'varchar', 'nvarchar'))}"
    width = _printed_width(of)
    text = f"varchar({width}) or longer" if width else ""
    others = NUMBERS if of.base in NUMBERS else ("datetimeoffset",) if of.base == "datetimeoffset" else ()
    others = others or (("date", "datetime2") if of.base in MOMENTS else ())
    shown = ", ".join(filter(None, (*others, text)))
    return f"becomes one of {shown}" if shown else "stays as it is"


def _comes_back(of: SqlType, to: SqlType) -> str:
    return f"TRY_CONVERT({of.declaration}, TRY_CONVERT({to.declaration}, {{0}})) = {{0}}"


def _is_wider(of: SqlType, to: SqlType) -> bool:
    """Whether every number of one type is one of the other."""
    if of.base in ("real", "float") or to.base in ("real", "float"):
        small = _SHAPES.get(of.base, (of.precision, of.scale))
        whole = small[1] == 0 and of.base != "decimal" and small[0] < {"real": 7, "float": 15}.get(to.base, 0)
        return whole or (of.base == "real" and to.base == "float")
    if to.base == "bit":
        return False
    if of.base in INTEGERS and to.base in INTEGERS:
        return INTEGERS[to.base][0] <= INTEGERS[of.base][0] and INTEGERS[of.base][1] <= INTEGERS[to.base][1]
    if to.base in ("smallmoney", "money", *INTEGERS):
        return of.base == "bit" or (to.base == "money" and of.base in ("smallmoney", "tinyint", "smallint", "int"))
    before, scale = _SHAPES.get(of.base, (of.precision, of.scale))
    return to.precision - to.scale >= before - scale and to.scale >= scale


def _printed_width(of: SqlType) -> int | None:
    """The most characters that a value takes as text; None for what is not printed here."""
    if of.base == "decimal":
        return of.precision + 3  # sign, point, and a zero before it
    if of.base in ("datetime2", "datetimeoffset"):
        return 19 + (of.scale + 1 if of.scale else 0) + (7 if of.base == "datetimeoffset" else 0)
    return WIDTHS.get(of.base) if of.base != "uniqueidentifier" else None


def _unicode(of: SqlType, value: str) -> str:
    length = of.length if 0 < of.length <= LONGEST_NVARCHAR else "max"
    return f"CONVERT(nvarchar({length}), {value})"


def _like(text: str, *patterns: str) -> str:
    """The condition that a text is like no pattern that begins with an exclamation mark, and like all others."""
    tests = [f"{text} {'NOT LIKE' if p.startswith('!') else 'LIKE'} N'{p.removeprefix('!')}'" for p in patterns]
    return " AND ".join(tests)


def _plain(of: SqlType) -> str:
    """A text without blanks at its end, in signs that compare by their code."""
    return f"{_unicode(of, 'RTRIM({0})')} COLLATE Latin1_General_BIN2"


def _too_fine(digits: int) -> str:
    """The pattern of a text with more digits behind its point than these, zeros not counted."""
    return f"!%.{'[0-9]' * digits}%[1-9]%"


def _text_to_number(of: SqlType, to: SqlType) -> Rule:
    text = _plain(of)
    if to.base == "bit":
        return Rule("CONVERT(bit, {0})", f"{text} IN (N'0', N'1')")
    scale = {"money": 4, "smallmoney": 4}.get(to.base, to.scale)
    patterns = ["%[0-9]%", "!%[^0-9.-]%", "!_%-%", "!0[0-9]%", "!-0[0-9]%"]
    patterns += [_too_fine(scale)] if to.base not in INTEGERS else []
    return Rule(
        f"CONVERT({to.declaration}, {{0}})",
        f"{_like(text, *patterns)} AND TRY_CONVERT({to.declaration}, {{0}}) IS NOT NULL",
    )


def _text_to_moment(of: SqlType, to: SqlType) -> Rule:
    text = _plain(of)
    style = _STYLES[to.base]
    as_written = "RTRIM({0})" if to.base == "date" else "REPLACE(RTRIM({0}), 'T', ' ')"
    if to.base == "date":
        shape = _like(text, _DATE)
    else:
        rest = f"SUBSTRING({text}, 20, 9)"
        shape = f"{_like(text, f'{_DATE}[ T]{_TIME}%', _too_fine(to.scale))} AND LEN({text}) <= 27"
        shape += f" AND ({rest} = N'' OR ({_like(rest, '.[0-9]%', '!_%[^0-9]%')}))"
    attempt = f"TRY_CONVERT({to.declaration}, {as_written}, {style})"
    return Rule(f"CONVERT({to.declaration}, {as_written}, {style})", f"{shape} AND {attempt} IS NOT NULL")


def _text_to_text(of: SqlType, to: SqlType) -> Rule:
    converted = f"CONVERT({to.declaration}, {{0}})"
    longer = to.length == MAX or 0 < of.length <= to.length
    if longer and (of.base.startswith("n") == to.base.startswith("n")):
        return Rule(converted)
    own = of.declaration.replace("char(", "varchar(") if of.base in ("char", "nchar") else of.declaration
    back = f"CONVERT({own}, {converted})"
    same = f"{_unicode(of, back)} = {_unicode(of, '{0}')} COLLATE Latin1_General_BIN2"
    return Rule(converted, f"DATALENGTH({back}) = DATALENGTH({{0}}) AND {same}")
