"""Functions of text and binary strings."""

from ..conversion import convert
from ..errors import not_supported
from ..types import ANSI, BINARIES, CHARACTERS, UNICODE, SqlType
from ..values import BINARY, INT, Typed, collation_of, quote_text
from .registry import Call, function


@function("LEN", arguments=(1, 1))
def _len(it: Call) -> Typed:
    value = it.text(0)
    return Typed(f"CAST(length(rtrim({value.sql}, ' ')) AS INTEGER)", INT, value.nullable)


@function("DATALENGTH", arguments=(1, 1))
def _datalength(it: Call) -> Typed:
    value = it.value(0)
    kind = value.type
    if kind is None:
        return Typed("CAST(NULL AS INTEGER)", INT)
    if kind.base in BINARIES:
        text = f"octet_length({value.sql})"
    elif kind.base in UNICODE:
        text = f"2 * length({value.sql})"
    elif kind.base in CHARACTERS:
        text = f"length({value.sql})"
    elif kind.base == "sql_variant":
        text = f"variant_length({value.sql})"
    else:
        text = f"CASE WHEN {value.sql} IS NULL THEN NULL ELSE {kind.payload_width} END"
    return Typed(f"CAST({text} AS INTEGER)", INT, value.nullable)


@function("UPPER", "LOWER", "LTRIM", "RTRIM", "REVERSE", "TRIM", arguments=(1, 1))
def _same_length(it: Call) -> Typed:
    value = it.text(0)
    blank = ", ' '" if it.name.endswith("TRIM") else ""
    base = value.kind.base
    if blank and base in ("char", "nchar"):
        base = base.replace("char", "varchar")
    return Typed(f"{it.name.lower()}({value.sql}{blank})", SqlType(base, value.kind.length), value.nullable)


@function("LEFT", "RIGHT", arguments=(2, 2))
def _end(it: Call) -> Typed:
    value = it.text(0)
    return Typed(f"{it.name.lower()}({value.sql}, {it.converted(1, INT)})", _varying(value.kind), value.nullable)


def _varying(kind: SqlType) -> SqlType:
    return SqlType("nvarchar" if kind.base in UNICODE else "varchar", kind.length or -1)


@function("SUBSTRING", arguments=(3, 3))
def _substring(it: Call) -> Typed:
    value = it.value(0)
    if value.type is not None and value.kind.base in BINARIES:
        first, count = it.converted(1, INT), it.converted(2, INT)
        return Typed(f"unhex(substr(hex({value.sql}), 2 * ({first}) - 1, 2 * ({count})))", SqlType("varbinary", 8000))
    value = it.text(0)
    return Typed(
        f"substr({value.sql}, {it.converted(1, INT)}, {it.converted(2, INT)})", _varying(value.kind), value.nullable
    )


@function("CHARINDEX", arguments=(2, 2))
def _charindex(it: Call) -> Typed:
    needle, text = it.text(0), it.text(1)
    return Typed(f"CAST(instr(lower({text.sql}), lower({needle.sql})) AS INTEGER)", INT, text.nullable)


@function("REPLACE", arguments=(3, 3))
def _replace(it: Call) -> Typed:
    value, old, new = it.text(0), it.text(1), it.text(2)
    if old.constant is None:
        raise not_supported("REPLACE with a pattern that is not a constant")
    kind = SqlType(_varying(value.kind).base, -1 if value.kind.length == -1 else 4000)
    letters = str(old.constant).upper() != str(old.constant).lower()
    if collation_of(value) == BINARY or not letters:
        return Typed(f"replace({value.sql}, {old.sql}, {new.sql})", kind, value.nullable)
    pattern = "".join(c if c.isalnum() or ord(c) > 127 else "\\" + c for c in str(old.constant))
    return Typed(
        f"regexp_replace({value.sql}, {quote_text(pattern)}, replace({new.sql}, '\\', '\\\\'), 'gi')",
        kind,
        value.nullable,
    )


@function("REPLICATE", arguments=(2, 2))
def _replicate(it: Call) -> Typed:
    value = it.text(0)
    limit = 4000 if value.kind.base in UNICODE else 8000
    kind = SqlType(_varying(value.kind).base, -1 if value.kind.length == -1 else limit)
    text = f"repeat({value.sql}, {it.converted(1, INT)})"
    return Typed(text if kind.length == -1 else f"left({text}, {limit})", kind, value.nullable)


@function("SPACE", arguments=(1, 1))
def _space(it: Call) -> Typed:
    return Typed(f"repeat(' ', {it.converted(0, INT)})", SqlType("varchar", 8000))


@function("CONCAT", arguments=(1, 254))
def _concat(it: Call) -> Typed:
    values = it.values()
    texts = [
        convert(item, SqlType("nvarchar", -1)) if item.type and item.type.base not in CHARACTERS else item
        for item in values
    ]
    base = "nvarchar" if any(item.type and item.type.base in UNICODE for item in values) else "varchar"
    lengths = [item.type.length if item.type and item.type.base in CHARACTERS else 40 for item in values]
    length = -1 if -1 in lengths else min(sum(lengths), 4000 if base == "nvarchar" else 8000)
    joined = f"concat({', '.join(item.sql for item in texts)})"
    if it.profile.is_babelfish and any(item.type and item.type.base in ANSI for item in values):
        joined = (
            f"regexp_replace({joined}, '[^\x00-\xff]', '?', 'g')"  # as nvarchar with varchar loses its letters there
        )
    return Typed(joined, SqlType(base, length), False)


@function("CONCAT_WS", arguments=(2, 254))
def _concat_ws(it: Call) -> Typed:
    return Typed(
        f"concat_ws({', '.join(it.text(i).sql for i in range(len(it.nodes)))})", SqlType("nvarchar", -1), False
    )


@function("QUOTENAME", arguments=(1, 1))
def _quotename(it: Call) -> Typed:
    return Typed(f"('[' || replace({it.text(0).sql}, ']', ']]') || ']')", SqlType("nvarchar", 258))


@function("CHAR", "NCHAR", arguments=(1, 1))
def _char(it: Call) -> Typed:
    code = it.converted(0, INT)
    if it.name == "NCHAR":  # half a surrogate pair is kept as a character that UTF-8 has; see `encode`
        code = f"CASE WHEN ({code}) BETWEEN 55296 AND 57343 THEN ({code}) + 1048576 ELSE ({code}) END"
    return Typed(f"chr({code})", SqlType(it.name.lower(), 1))


@function("ASCII", "UNICODE", arguments=(1, 1))
def _code(it: Call) -> Typed:
    return Typed(f"unicode({it.text(0).sql})", INT)


@function("HASHBYTES", arguments=(2, 2))
def _hashbytes(it: Call) -> Typed:
    algorithm = (it.constant(0) or "").upper()
    value = it.value(1)
    name = {"SHA2_256": "sha256", "MD5": "md5", "SHA1": "sha1", "SHA": "sha1"}.get(algorithm)
    if name is None:
        raise not_supported(f"HASHBYTES with algorithm {algorithm or 'given by an expression'}")
    return Typed(
        f"unhex({name}({convert(value, SqlType('varbinary', -1)).sql}))", SqlType("varbinary", 8000), value.nullable
    )


@function("ISNUMERIC", arguments=(1, 1))
def _isnumeric(it: Call) -> Typed:
    return Typed(f"CASE WHEN text_to_number({it.text(0).sql}, NULL) IS NULL THEN 0 ELSE 1 END", INT, False)
