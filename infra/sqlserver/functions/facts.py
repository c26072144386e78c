"""Functions that tell facts about the server, the session and the database's objects."""

from ..conversion import convert
from ..errors import not_supported
from ..identities import current_identities, current_identity, identity_increment, object_id
from ..tracked_tables import visible
from ..types import USER_TYPE_IDS, SqlType
from ..values import BIGINT, INT, Typed, quote_text
from .registry import Call, function

_SYSNAME = SqlType("nvarchar", 128)


def fact(value: object, kind: SqlType = _SYSNAME) -> Typed:
    """A value that is known as the statement is compiled."""
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
    return fact(it.fact(lambda session: session.database))


@function("DB_ID", arguments=(0, 1))
def _db_id(it: Call) -> Typed:
    name = it.constant(0)
    numbers = {"master": 1, it.fact(lambda session: session.server.database.lower()): 5}
    return fact(5 if name is None else numbers.get(name.lower()), SqlType("smallint"))


@function("SUSER_SNAME", "SUSER_NAME", "ORIGINAL_LOGIN", "SYSTEM_USER", arguments=(0, 1))
def _login(it: Call) -> Typed:
    return fact(it.fact(lambda session: session.login.user))


@function("USER_NAME", arguments=(0, 0))
def _user_name(it: Call) -> Typed:
    user = it.session.login.user
    return fact("dbo" if it.session.server.sees_server_state(user) else user)


@function("SCHEMA_NAME", arguments=(0, 1))
def _schema_name(it: Call) -> Typed:
    if not it.nodes:
        return fact("dbo")
    return Typed(f"(SELECT name FROM meta.schemas WHERE schema_id = {it.converted(0, INT)})", _SYSNAME)


@function("HOST_NAME", arguments=(0, 0))
def _host(it: Call) -> Typed:
    return fact(it.session.login.host)


@function("APP_NAME", "PROGRAM_NAME", arguments=(0, 0))
def _application(it: Call) -> Typed:
    return fact(it.session.login.application)


@function("OBJECT_ID", arguments=(1, 2))
def _object_id(it: Call) -> Typed:
    name = it.constant(0)
    if name is None:
        raise not_supported("OBJECT_ID of anything but a constant or a parameter")
    kind = it.constant(1)
    return fact(it.fact(lambda session: object_id(session, name, kind)), INT)


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
    name = (it.constant(0) or "").lower()
    value = it.fact(lambda session: session.server.properties.get(name))
    return fact(None if value is None else str(value), SqlType("nvarchar", 128))


@function("DATABASEPROPERTYEX", arguments=(2, 2))
def _databaseproperty(it: Call) -> Typed:
    known = (it.constant(0) or "").lower() == it.fact(lambda session: session.server.database.lower())
    tracks = it.fact(lambda session: session.server.tracking.is_on)
    collation = it.fact(lambda session: session.server.collation)
    properties = {"updateability": "READ_WRITE", "status": "ONLINE", "recovery": "SIMPLE", "useraccess": "MULTI_USER",
                  "collation": collation, "isautoshrink": "0", "version": "957",
                  "ischangetrackingenabled": str(int(tracks))}  # fmt: skip
    known = known and not it.profile.hides_facts
    return fact(properties.get((it.constant(1) or "").lower()) if known else None)


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
    part = {"basetype": "base", "collation": "sort"}.get((it.constant(1) or "").lower())
    if part is None:
        raise not_supported(f"the sql_variant property {it.constant(1)}")
    return Typed(f"({convert(it.value(0), SqlType('sql_variant')).sql}).{part}", _SYSNAME)


# How the names of collations begin or end, and the code page of their char and varchar.
_CODE_PAGES = {".*_UTF8": 65001, "SQL_Latin1_General_CP1_.*": 1252, "Latin1_General.*": 1252, "Cyrillic_General.*": 1251,
               "Greek.*": 1253, "Polish.*": 1250, "Turkish.*": 1254, "Japanese.*": 932}  # fmt: skip


@function("COLLATIONPROPERTY", arguments=(2, 2))
def _collation_property(it: Call) -> Typed:
    if (it.constant(1) or "").lower() != "codepage":
        raise not_supported(f"the collation property {it.constant(1)}")
    name = it.text(0).sql
    cases = " ".join(
        f"WHEN regexp_full_match({name}, '{known}', 'i') THEN {page}" for known, page in _CODE_PAGES.items()
    )
    return Typed(f"CASE {cases} END", INT)


@function("SCOPE_IDENTITY", arguments=(0, 0))
def _scope_identity(it: Call) -> Typed:
    number = it.session.last_identity
    kind = SqlType("decimal", 0, 38, 0)
    return Typed(f"CAST({'NULL' if number is None else number} AS {kind.duckdb})", kind)


@function("IDENT_CURRENT", arguments=(1, 1))
def _ident_current(it: Call) -> Typed:
    kind = SqlType("decimal", 0, 38, 0)
    if it.profile.hides_facts:
        return Typed("CAST(NULL AS DECIMAL(38,0))", kind)
    if (name := it.constant(0)) is None:  # of each row's table
        rows = ", ".join(f"({quote_text(name)}, {n})" for name, n in current_identities(it.session)) or "(NULL, NULL)"
        asked = f"translate(lower({it.text(0).sql}), '[]', '')"
        found = f"(SELECT value FROM (VALUES {rows}) AS m(name, value) WHERE name = {asked})"
        return Typed(f"CAST({found} AS DECIMAL(38,0))", kind)
    number = current_identity(it.session, name)
    return Typed(f"CAST({'NULL' if number is None else number} AS DECIMAL(38,0))", kind)


@function("IDENT_INCR", arguments=(1, 1))
def _ident_increment(it: Call) -> Typed:
    number = identity_increment(it.session, it.constant(0) or "")
    return Typed(f"CAST({'NULL' if number is None else number} AS DECIMAL(38,0))", SqlType("decimal", 0, 38, 0))


@function("MIN_ACTIVE_ROWVERSION", arguments=(0, 0))
def _min_active_rowversion(it: Call) -> Typed:
    return Typed(f"rowversion_of({it.session.server.rowversions.lowest_active()})", SqlType("binary", 8), False)


@function("CHANGE_TRACKING_CURRENT_VERSION", arguments=(0, 0))
def _tracking_version(it: Call) -> Typed:
    on = it.session.server.tracking.is_on
    return Typed("(SELECT max(version) FROM meta.commits)" if on else "CAST(NULL AS BIGINT)", BIGINT)


@function("CHANGE_TRACKING_MIN_VALID_VERSION", arguments=(1, 1))
def _tracking_valid(it: Call) -> Typed:
    """As it is now, whatever snapshot asks."""
    rows = ", ".join(f"({number}, {valid})" for number, valid in visible(it.session)) or "(NULL, NULL)"
    found = f"(SELECT valid FROM (VALUES {rows}) AS m(number, valid) WHERE number = {it.converted(0, INT)})"
    return Typed(f"CAST({found} AS BIGINT)", BIGINT)


@function("ROWCOUNT_BIG", arguments=(0, 0))
def _rowcount_big(it: Call) -> Typed:
    return Typed(f"CAST({it.session.row_count} AS BIGINT)", BIGINT, False)


@function("XACT_STATE", arguments=(0, 0))
def _xact_state(it: Call) -> Typed:
    return fact(1 if it.session.transaction_count else 0, SqlType("smallint"))


@function("CURRENT_TRANSACTION_ID", arguments=(0, 0))
def _transaction_id(it: Call) -> Typed:
    return fact(it.session.transaction.number if it.session.transaction else 0, BIGINT)
