"""The T-SQL functions that the stand-in knows: each takes its arguments' nodes and gives a typed DuckDB expression.

A function is registered under its T-SQL name. What is not registered does not exist (error 195). Date functions are in
`date_functions.py`, which registers itself here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from sqlglot import exp

from .conversion import BIGINT, BIT, FLOAT, INT, Typed, convert, decimal_shape, quote_text
from .errors import SqlError, not_supported
from .types import BINARIES, CHARACTERS, INTEGERS, UNICODE, SqlType

if TYPE_CHECKING:
    from .expressions import Expressions
    from .scopes import Scope

REGISTRY: dict[str, Callable] = {}
AGGREGATES = {"COUNT", "COUNT_BIG", "SUM", "AVG", "MIN", "MAX", "STRING_AGG", "STDEV", "VAR", "CHECKSUM_AGG"}
_SYSNAME = SqlType("nvarchar", 128)


class Call:
    """One call while it is compiled: its argument nodes, and the values on demand."""

    def __init__(self, name: str, nodes: list[exp.Expression], expressions: Expressions, scope: Scope, order: str):
        self.name, self.nodes, self.expressions, self.scope, self.order = name, nodes, expressions, scope, order

    @property
    def session(self):
        return self.expressions.compiler.session

    @property
    def now_ticks(self) -> int:
        return self.expressions.compiler.now_ticks

    def value(self, index: int) -> Typed:
        return self.expressions.value(self.nodes[index], self.scope)

    def values(self) -> list[Typed]:
        return [self.value(i) for i in range(len(self.nodes))]

    def converted(self, index: int, kind: SqlType) -> str:
        return convert(self.value(index), kind).sql

    def text(self, index: int) -> Typed:
        """The argument as text; numbers are converted."""
        value = self.value(index)
        return (
            value
            if value.type is not None and value.type.base in CHARACTERS
            else convert(value, SqlType("nvarchar", -1))
        )

    def word(self, index: int) -> str:
        """An argument that is a bare keyword, such as the part of DATEADD."""
        node = self.nodes[index]
        if not isinstance(node, (exp.Column, exp.Var, exp.Identifier)):
            raise SqlError(1023, f"Invalid parameter {index + 1} specified for {self.name.lower()}.")
        return node.name.lower()

    def constant(self, index: int) -> str | None:
        """The text of an argument that is known now; None when it is not."""
        if index >= len(self.nodes):
            return None
        value = self.value(index)
        return None if value.constant is None else str(value.constant)


def function(*names: str, arguments: tuple[int, int] = (0, 0)):
    """Registers a function under its names with the least and greatest count of arguments."""

    def register(build):
        for name in names:
            REGISTRY[name] = (build, arguments)
        return build

    return register


def call(name: str, nodes: list[exp.Expression], expressions: Expressions, scope: Scope, order: str = "") -> Typed:
    """Compiles a call. Raises 195 for an unknown function, 174 for a wrong count of arguments."""
    found = REGISTRY.get(name.upper())
    if found is None:
        raise SqlError(195, f"'{name}' is not a recognized built-in function name.")
    build, (least, most) = found
    if not least <= len(nodes) <= most:
        raise SqlError(
            174, f"The {name} function requires {least if least == most else f'{least} to {most}'} argument(s)."
        )
    return build(Call(name.upper(), nodes, expressions, scope, order))


# --- NULLs and choices


@function("ISNULL", arguments=(2, 2))
def _isnull(it: Call) -> Typed:
    first, second = it.values()
    kind = first.type or second.type or INT
    text = f"coalesce({convert(first, kind).sql}, {convert(second, kind).sql})"
    return Typed(text, kind, first.nullable and second.nullable)


@function("COALESCE", arguments=(2, 99))
def _coalesce(it: Call) -> Typed:
    values = it.expressions.unite(it.values())
    return Typed(
        f"coalesce({', '.join(item.sql for item in values)})", values[0].type, all(item.nullable for item in values)
    )


@function("NULLIF", arguments=(2, 2))
def _nullif(it: Call) -> Typed:
    first, second = it.values()
    test = it.expressions.compare(first, exp.EQ, second)
    return Typed(f"CASE WHEN {test} THEN NULL ELSE {first.sql} END", first.type, True)


@function("IIF", arguments=(3, 3))
def _iif(it: Call) -> Typed:
    return it.expressions.choose([it.expressions.predicate(it.nodes[0], it.scope)], [it.value(1)], it.value(2))


@function("GREATEST", "LEAST", arguments=(1, 99))
def _greatest(it: Call) -> Typed:
    values = it.expressions.unite(it.values())
    return Typed(f"{it.name.lower()}({', '.join(item.sql for item in values)})", values[0].type)


# --- aggregates


@function("COUNT", "COUNT_BIG", arguments=(1, 1))
def _count(it: Call) -> Typed:
    kind = BIGINT if it.name == "COUNT_BIG" else INT
    node = it.nodes[0]
    if isinstance(node, exp.Star):
        return Typed(f"CAST(count(*) AS {kind.duckdb})", kind, False)
    return Typed(f"CAST(count({_distinct(it)}) AS {kind.duckdb})", kind, False)


def _distinct(it: Call) -> str:
    node = it.nodes[0]
    if isinstance(node, exp.Distinct):
        value = it.expressions.value(node.expressions[0], it.scope)
        text = f"lower({value.sql})" if value.type and value.type.base in CHARACTERS else value.sql
        return f"DISTINCT {text}"
    return it.value(0).sql


def _aggregated(it: Call) -> tuple[str, Typed]:
    node = it.nodes[0]
    if isinstance(node, exp.Distinct):
        return "DISTINCT ", it.expressions.value(node.expressions[0], it.scope)
    return "", it.value(0)


@function("SUM", arguments=(1, 1))
def _sum(it: Call) -> Typed:
    distinct, value = _aggregated(it)
    kind = _sum_type(value, "sum")
    return Typed(f"CAST(sum({distinct}{value.sql}) AS {kind.duckdb})", kind)


def _sum_type(value: Typed, name: str) -> SqlType:
    kind = value.type
    if kind is None or not kind.is_numeric or kind.base == "bit":
        raise SqlError(8117, f"Operand data type {kind or 'NULL'} is invalid for {name} operator.")
    if kind.base in INTEGERS:
        return BIGINT if kind.base == "bigint" else INT
    if kind.base == "decimal":
        return SqlType("decimal", 0, 38, kind.scale)
    return {"smallmoney": SqlType("money"), "real": FLOAT}.get(kind.base, kind)


@function("AVG", arguments=(1, 1))
def _avg(it: Call) -> Typed:
    distinct, value = _aggregated(it)
    kind = _sum_type(value, "avg")
    if kind.base == "float":
        return Typed(f"avg({distinct}{value.sql})", kind)
    count = f"nullif(count({distinct}{value.sql}), 0)"
    if kind.base in INTEGERS:
        return Typed(f"CAST(sum({distinct}{value.sql}) // {count} AS {kind.duckdb})", kind)
    scale = decimal_shape(kind)[1]
    shown = max(scale, 6) if kind.base == "decimal" else 4
    result = SqlType("decimal", 0, 38, shown) if kind.base == "decimal" else kind
    top = f"unscaled(sum({distinct}{value.sql}), {scale}) * CAST('1{'0' * (shown - scale)}' AS HUGEINT)"
    return Typed(f"CAST(scaled({top} // {count}, {shown}) AS {result.duckdb})", result)


@function("MIN", "MAX", arguments=(1, 1))
def _extreme(it: Call) -> Typed:
    _, value = _aggregated(it)
    kind, name = value.type, it.name.lower()
    if kind is None or kind.base in (
        "bit",
        "text",
        "ntext",
        "image",
        "xml",
        "hierarchyid",
        "geography",
        "geometry",
        "sql_variant",
    ):
        raise SqlError(8117, f"Operand data type {kind or 'NULL'} is invalid for {name} operator.")
    if kind.base == "uniqueidentifier":
        return Typed(f"arg_{name}({value.sql}, guid_order({value.sql}))", kind)
    if kind.base in CHARACTERS:
        return Typed(f"arg_{name}({value.sql}, lower({value.sql}))", kind)
    return Typed(f"{name}({value.sql})", kind)


@function("STDEV", "VAR", arguments=(1, 1))
def _spread(it: Call) -> Typed:
    return Typed(f"{'stddev_samp' if it.name == 'STDEV' else 'var_samp'}({it.converted(0, FLOAT)})", FLOAT)


@function("STRING_AGG", arguments=(2, 2))
def _string_agg(it: Call) -> Typed:
    value, separator = it.text(0), it.text(1)
    kind = SqlType(
        "nvarchar" if value.type.base in UNICODE else "varchar",
        -1 if value.type.length == -1 else 4000 if value.type.base in UNICODE else 8000,
    )
    order = f" ORDER BY {it.order}" if it.order else ""
    return Typed(f"string_agg({value.sql}, {separator.sql}{order})", kind)


_RANKINGS = {"ROW_NUMBER": BIGINT, "RANK": BIGINT, "DENSE_RANK": BIGINT, "NTILE": BIGINT}
_NEIGHBOURS = {"LAG", "LEAD", "FIRST_VALUE", "LAST_VALUE"}


def window(node: exp.Window, expressions: Expressions, scope: Scope) -> Typed:
    """A window function or an aggregate OVER (...)."""
    inner = node.this
    name = inner.name.upper() if isinstance(inner, exp.Anonymous) else type(inner).__name__
    partition = ", ".join(expressions.value(item, scope).sql for item in node.args.get("partition_by") or [])
    order_node = node.args.get("order")
    items = [
        expressions.order_item(item.this, bool(item.args.get("desc")), scope)
        for item in (order_node.expressions if order_node else [])
    ]
    order = ", ".join(item for item in items if not item.startswith("NULL "))
    frame = _frame(node.args.get("spec"))
    over = " ".join(
        part
        for part in (f"PARTITION BY {partition}" if partition else "", f"ORDER BY {order}" if order else "", frame)
        if part
    )
    if name in _RANKINGS:
        argument = convert(expressions.value(inner.expressions[0], scope), INT).sql if inner.expressions else ""
        return Typed(f"{name.lower()}({argument}) OVER ({over})", _RANKINGS[name], False)
    if name in _NEIGHBOURS:
        values = [expressions.value(item, scope) for item in inner.expressions]
        return Typed(f"{name.lower()}({', '.join(item.sql for item in values)}) OVER ({over})", values[0].type)
    if name in ("COUNT", "COUNT_BIG", "SUM", "MIN", "MAX") and len(inner.expressions) == 1:
        return _windowed_aggregate(name, inner, expressions, scope, over)
    raise not_supported(f"{name} OVER")


def _windowed_aggregate(name: str, inner, expressions, scope, over: str) -> Typed:
    argument = inner.expressions[0]
    if name.startswith("COUNT"):
        kind = BIGINT if name == "COUNT_BIG" else INT
        text = "*" if isinstance(argument, exp.Star) else expressions.value(argument, scope).sql
        return Typed(f"CAST(count({text}) OVER ({over}) AS {kind.duckdb})", kind, False)
    value = expressions.value(argument, scope)
    if name == "SUM":
        kind = _sum_type(value, "sum")
        return Typed(f"CAST(sum({value.sql}) OVER ({over}) AS {kind.duckdb})", kind)
    if value.type is None or value.type.base in CHARACTERS or value.type.base in ("uniqueidentifier", "bit"):
        raise not_supported(f"{name} OVER of {value.type}")
    return Typed(f"{name.lower()}({value.sql}) OVER ({over})", value.type)


def _frame(spec: exp.WindowSpec | None) -> str:
    if spec is None:
        return ""

    def bound(side: str) -> str:
        value = spec.args.get(side)
        text = value if isinstance(value, str) else value.sql() if value is not None else "CURRENT ROW"
        return f"{text} {spec.args.get(f'{side}_side') or ''}".strip()

    return f"{spec.args['kind']} BETWEEN {bound('start')} AND {bound('end')}"


# --- text


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
    else:
        text = f"CASE WHEN {value.sql} IS NULL THEN NULL ELSE {kind.payload_width} END"
    return Typed(f"CAST({text} AS INTEGER)", INT, value.nullable)


@function("UPPER", "LOWER", "LTRIM", "RTRIM", "REVERSE", "TRIM", arguments=(1, 1))
def _same_length(it: Call) -> Typed:
    value = it.text(0)
    blank = ", ' '" if it.name.endswith("TRIM") else ""
    base = {"char": "varchar", "nchar": "nvarchar"}.get(value.type.base, value.type.base) if blank else value.type.base
    return Typed(f"{it.name.lower()}({value.sql}{blank})", SqlType(base, value.type.length), value.nullable)


@function("LEFT", "RIGHT", arguments=(2, 2))
def _end(it: Call) -> Typed:
    value = it.text(0)
    return Typed(f"{it.name.lower()}({value.sql}, {it.converted(1, INT)})", _varying(value.type), value.nullable)


def _varying(kind: SqlType) -> SqlType:
    return SqlType("nvarchar" if kind.base in UNICODE else "varchar", kind.length or -1)


@function("SUBSTRING", arguments=(3, 3))
def _substring(it: Call) -> Typed:
    value = it.value(0)
    if value.type is not None and value.type.base in BINARIES:
        first, count = it.converted(1, INT), it.converted(2, INT)
        return Typed(f"unhex(substr(hex({value.sql}), 2 * ({first}) - 1, 2 * ({count})))", SqlType("varbinary", 8000))
    value = it.text(0)
    return Typed(
        f"substr({value.sql}, {it.converted(1, INT)}, {it.converted(2, INT)})", _varying(value.type), value.nullable
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
    pattern = "".join(c if c.isalnum() or ord(c) > 127 else "\\" + c for c in str(old.constant))
    return Typed(
        f"regexp_replace({value.sql}, {quote_text(pattern)}, replace({new.sql}, '\\', '\\\\'), 'gi')",
        SqlType(_varying(value.type).base, -1 if value.type.length == -1 else 4000),
        value.nullable,
    )


@function("REPLICATE", arguments=(2, 2))
def _replicate(it: Call) -> Typed:
    value = it.text(0)
    limit = 4000 if value.type.base in UNICODE else 8000
    kind = SqlType(_varying(value.type).base, -1 if value.type.length == -1 else limit)
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
    return Typed(f"concat({', '.join(item.sql for item in texts)})", SqlType(base, length), False)


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
    return Typed(f"chr({it.converted(0, INT)})", SqlType(it.name.lower(), 1))


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


# --- numbers


@function("ABS", arguments=(1, 1))
def _abs(it: Call) -> Typed:
    value = it.value(0)
    return Typed(f"CAST(abs({value.sql}) AS {value.type.duckdb})", value.type, value.nullable)


@function("SIGN", arguments=(1, 1))
def _sign(it: Call) -> Typed:
    value = it.value(0)
    return Typed(f"CAST(sign({value.sql}) AS {value.type.duckdb})", value.type, value.nullable)


@function("CEILING", "FLOOR", arguments=(1, 1))
def _whole(it: Call) -> Typed:
    value = it.value(0)
    kind = SqlType("decimal", 0, value.type.precision, 0) if value.type.base == "decimal" else value.type
    name = "ceil" if it.name == "CEILING" else "floor"
    return Typed(f"CAST({name}({value.sql}) AS {kind.duckdb})", kind, value.nullable)


@function("ROUND", arguments=(2, 3))
def _round(it: Call) -> Typed:
    value = it.value(0)
    if len(it.nodes) == 3:
        raise not_supported("ROUND that truncates")
    kind = value.type if value.type.base not in ("tinyint", "smallint") else INT
    return Typed(f"CAST(round({value.sql}, {it.converted(1, INT)}) AS {kind.duckdb})", kind, value.nullable)


@function("POWER", "SQRT", "EXP", "LOG", "LOG10", arguments=(1, 2))
def _real_function(it: Call) -> Typed:
    arguments = ", ".join(it.converted(i, FLOAT) for i in range(len(it.nodes)))
    name = {"LOG": "ln", "POWER": "pow"}.get(it.name, it.name.lower())
    if it.name == "POWER":
        kind = it.value(0).type
        kind = kind if kind.base in ("int", "bigint", "decimal") else FLOAT
        return Typed(f"CAST({name}({arguments}) AS {kind.duckdb})", kind)
    return Typed(f"{name}({arguments})", FLOAT)


@function("RAND", arguments=(0, 0))
def _rand(it: Call) -> Typed:
    return Typed("random()", FLOAT, False)


@function("NEWID", "NEWSEQUENTIALID", arguments=(0, 0))
def _newid(it: Call) -> Typed:
    return Typed("gen_random_uuid()", SqlType("uniqueidentifier"), False)


# --- facts about the server, the session and its objects


def _fact(value: object, kind: SqlType = _SYSNAME) -> Typed:
    if value is None:
        return Typed(f"CAST(NULL AS {kind.duckdb})", kind)
    return Typed(
        str(value) if isinstance(value, int) else quote_text(str(value)),
        kind,
        False,
        value if isinstance(value, str) else None,
    )


@function("DB_NAME", "ORIGINAL_DB_NAME", arguments=(0, 1))
def _db_name(it: Call) -> Typed:
    return _fact(it.session.database)


@function("DB_ID", arguments=(0, 1))
def _db_id(it: Call) -> Typed:
    name = it.constant(0)
    known = name is None or name.lower() == it.session.server.database.lower()
    return _fact(5 if known else 1 if name.lower() == "master" else None, SqlType("smallint"))


@function("SUSER_SNAME", "SUSER_NAME", "ORIGINAL_LOGIN", "SYSTEM_USER", arguments=(0, 1))
def _login(it: Call) -> Typed:
    return _fact(it.session.login.user)


@function("USER_NAME", "SCHEMA_NAME", arguments=(0, 1))
def _schema_name(it: Call) -> Typed:
    if not it.nodes:
        return _fact("dbo")
    column = "schema_id" if it.name == "SCHEMA_NAME" else "schema_id"
    return Typed(f"(SELECT name FROM meta.schemas WHERE {column} = {it.converted(0, INT)})", _SYSNAME)


@function("HOST_NAME", arguments=(0, 0))
def _host(it: Call) -> Typed:
    return _fact(it.session.login.host)


@function("APP_NAME", "PROGRAM_NAME", arguments=(0, 0))
def _application(it: Call) -> Typed:
    return _fact(it.session.login.application)


@function("OBJECT_ID", arguments=(1, 2))
def _object_id(it: Call) -> Typed:
    name = it.constant(0)
    if name is None:
        raise not_supported("OBJECT_ID of anything but a constant or a parameter")
    return _fact(it.session.object_id(name, it.constant(1)), INT)


@function("OBJECT_NAME", arguments=(1, 2))
def _object_name(it: Call) -> Typed:
    return Typed(f"(SELECT name FROM meta.objects WHERE object_id = {it.converted(0, INT)})", _SYSNAME)


@function("OBJECT_SCHEMA_NAME", arguments=(1, 2))
def _object_schema_name(it: Call) -> Typed:
    return Typed(
        f"(SELECT s.name FROM meta.objects JOIN meta.schemas s USING (schema_id) WHERE object_id = {it.converted(0, INT)})",
        _SYSNAME,
    )


@function("SCHEMA_ID", arguments=(0, 1))
def _schema_id(it: Call) -> Typed:
    text = it.text(0).sql if it.nodes else "'dbo'"
    return Typed(f"(SELECT schema_id FROM meta.schemas WHERE lower(name) = lower({text}))", INT)


@function("TYPE_NAME", arguments=(1, 1))
def _type_name(it: Call) -> Typed:
    from .types import USER_TYPE_IDS

    cases = " ".join(f"WHEN {number} THEN '{name}'" for name, number in USER_TYPE_IDS.items())
    return Typed(f"CASE {it.converted(0, INT)} {cases} END", _SYSNAME)


@function("COL_NAME", arguments=(2, 2))
def _col_name(it: Call) -> Typed:
    return Typed(
        f"(SELECT name FROM meta.columns WHERE object_id = {it.converted(0, INT)} AND column_id = {it.converted(1, INT)})",
        _SYSNAME,
    )


@function("SERVERPROPERTY", arguments=(1, 1))
def _serverproperty(it: Call) -> Typed:
    return _fact(it.session.server.properties.get((it.constant(0) or "").lower()), SqlType("nvarchar", 128))


@function("DATABASEPROPERTYEX", arguments=(2, 2))
def _databaseproperty(it: Call) -> Typed:
    known = (it.constant(0) or "").lower() == it.session.server.database.lower()
    properties = {"updateability": "READ_WRITE", "status": "ONLINE", "recovery": "SIMPLE", "useraccess": "MULTI_USER",
                  "collation": "SQL_Latin1_General_CP1_CI_AS", "isautoshrink": "0", "version": "957"}  # fmt: skip
    return _fact(properties.get((it.constant(1) or "").lower()) if known else None)


@function("HAS_PERMS_BY_NAME", "IS_SRVROLEMEMBER", "IS_MEMBER", "IS_ROLEMEMBER", "HAS_DBACCESS", arguments=(1, 4))
def _permission(it: Call) -> Typed:
    return _fact(1, INT)


@function("OBJECTPROPERTY", "OBJECTPROPERTYEX", arguments=(2, 2))
def _objectproperty(it: Call) -> Typed:
    kinds = {"istable": "U", "isusertable": "U", "isview": "V", "isprimarykey": "PK"}
    kind = kinds.get((it.constant(1) or "").lower())
    if kind is None:
        raise not_supported(f"the object property {it.constant(1)}")
    return Typed(
        f"(SELECT CASE WHEN type = '{kind}' THEN 1 ELSE 0 END FROM meta.objects WHERE object_id = {it.converted(0, INT)})",
        INT,
    )


@function("COLUMNPROPERTY", arguments=(3, 3))
def _columnproperty(it: Call) -> Typed:
    parts = {"isidentity": "CASE WHEN seed IS NULL THEN 0 ELSE 1 END", "allowsnull": "CAST(is_nullable AS INTEGER)",
             "columnid": "column_id", "ordinal": "column_id", "iscomputed": "0", "ishidden": "0"}  # fmt: skip
    part = parts.get((it.constant(2) or "").lower())
    if part is None:
        raise not_supported(f"the column property {it.constant(2)}")
    test = f"object_id = {it.converted(0, INT)} AND lower(name) = lower({it.text(1).sql})"
    return Typed(f"(SELECT {part} FROM meta.columns WHERE {test})", INT)


@function("SQL_VARIANT_PROPERTY", arguments=(2, 2))
def _variant_property(it: Call) -> Typed:
    if (it.constant(1) or "").lower() != "basetype":
        raise not_supported(f"the sql_variant property {it.constant(1)}")
    return Typed(f"({convert(it.value(0), SqlType('sql_variant')).sql}).base", SqlType("nvarchar", 128))


@function("SCOPE_IDENTITY", arguments=(0, 0))
def _scope_identity(it: Call) -> Typed:
    number = it.session.last_identity
    kind = SqlType("decimal", 0, 38, 0)
    return Typed(f"CAST({'NULL' if number is None else number} AS {kind.duckdb})", kind)


@function("IDENT_CURRENT", arguments=(1, 1))
def _ident_current(it: Call) -> Typed:
    number = it.session.current_identity(it.constant(0) or "")
    return Typed(f"CAST({'NULL' if number is None else number} AS DECIMAL(38,0))", SqlType("decimal", 0, 38, 0))


@function("MIN_ACTIVE_ROWVERSION", arguments=(0, 0))
def _min_active_rowversion(it: Call) -> Typed:
    return Typed(f"rowversion_of({it.session.server.rowversions.lowest_active()})", SqlType("binary", 8), False)


@function("ROWCOUNT_BIG", arguments=(0, 0))
def _rowcount_big(it: Call) -> Typed:
    return Typed(f"CAST({it.session.row_count} AS BIGINT)", BIGINT, False)


@function("XACT_STATE", arguments=(0, 0))
def _xact_state(it: Call) -> Typed:
    return _fact(1 if it.session.transaction_count else 0, SqlType("smallint"))


@function("CURRENT_TRANSACTION_ID", arguments=(0, 0))
def _transaction_id(it: Call) -> Typed:
    return _fact(it.session.transaction.number if it.session.transaction else 0, BIGINT)


@function("ISNUMERIC", arguments=(1, 1))
def _isnumeric(it: Call) -> Typed:
    return Typed(f"CASE WHEN text_to_number({it.text(0).sql}, NULL) IS NULL THEN 0 ELSE 1 END", INT, False)


# --- methods of the CLR types


def method(node: exp.Dot, expressions: Expressions, scope: Scope) -> Typed:
    """`column.ToString()`, `column.STAsBinary()`, `column.STSrid`, and functions of a schema."""
    call_node, path = node.expression, node.this
    parts = [item.name for item in path.flatten()] if isinstance(path, exp.Dot) else [path.name]
    if isinstance(path, exp.Column):
        parts = [item.name for item in path.parts]
    value = scope.resolve(parts[-1], parts[-2] if len(parts) > 1 else "")
    name = call_node.name.lower()
    base = value.type.base
    if base == "hierarchyid" and name == "tostring":
        return Typed(value.sql, SqlType("nvarchar", 4000))
    if base in ("geography", "geometry") and name == "stasbinary":
        return Typed(f"point_wkb({value.sql})", SqlType("varbinary", -1))
    if base in ("geography", "geometry") and name == "stsrid":
        return Typed(f"point_srid({value.sql})", INT)
    raise SqlError(6506, f"Could not find method '{call_node.name}' for type '{value.type}'.")


def static_method(node: exp.ScopeResolution, expressions: Expressions, scope: Scope) -> Typed:
    """`geography::Point(latitude, longitude, SRID)`, `geometry::Point(x, y, SRID)`, `hierarchyid::Parse(path)`."""
    base, call_node = node.this.name.lower(), node.expression
    name = call_node.name.lower()
    if base == "hierarchyid" and name == "parse":
        return Typed(expressions.value(call_node.expressions[0], scope).sql, SqlType("hierarchyid"))
    if base not in ("geography", "geometry") or name != "point" or len(call_node.expressions) != 3:
        raise not_supported(f"{base}::{call_node.name}")
    try:
        first, second, srid = (float(item.sql()) for item in call_node.expressions)
    except ValueError:
        raise not_supported("Point with anything but constants") from None
    import struct

    data = struct.pack("<IBBdd", int(srid), 1, 0x0C, first, second)
    return Typed(f"unhex('{data.hex()}')", SqlType(base), False)


__all__ = ["BIT", "REGISTRY", "Call", "call", "function", "method", "static_method", "window"]
