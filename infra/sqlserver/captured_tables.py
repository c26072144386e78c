"""Tables under Change Data Capture: switched on, and what their rows were before and after each statement."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from flowforge.domain.given import given

from .capture import LSN, log_of
from .errors import SqlError, not_supported
from .tables import Column, Table, quote
from .tracked_tables import key_names
from .types import CHARACTERS, SqlType
from .writing import Write

if TYPE_CHECKING:
    from .session import Session

BEFORE = "rows_before"  # of a statement that updates
_PARAMETERS = ("source_schema", "source_name", "role_name", "capture_instance", "supports_net_changes", "index_name",
               "captured_column_list", "filegroup_name", "allow_partition_switch")  # fmt: skip
_LEADING = (Column("__$start_lsn", LSN, False), Column("__$end_lsn", LSN), Column("__$seqval", LSN, False),
            Column("__$operation", SqlType("int"), False), Column("__$update_mask", SqlType("varbinary", 128)))  # fmt: skip
_LONGEST_NAME = 100


def enable_database(session: Session) -> None:
    """sys.sp_cdc_enable_db. What is on already stays so: the real server says it in a message of severity 10."""
    if not session.sees_server_state:
        text = "Caller is not authorized to initiate the requested action. Sysadmin privileges are required."
        raise SqlError(22902, text)
    capture, database = session.server.capture, session.server.database
    if capture.is_on:
        return
    if session.catalog.schema_id("cdc") is not None:
        raise SqlError(
            22906,
            f"The database '{database}' cannot be enabled for Change Data Capture because a database user named 'cdc' or a "
            "schema named 'cdc' already exists in the current database. These objects are required exclusively by Change Data "
            "Capture. Drop or rename the user or schema and retry the operation.",
        )
    if session.transaction is not None:
        raise not_supported("sp_cdc_enable_db in a transaction")
    with Write(session) as write, session.catalog.defining():
        write.run(lambda: session.catalog.create_schema("cdc"))
    capture.is_on = True


def enable_table(session: Session, arguments: list[tuple[str, object]]) -> None:
    """sys.sp_cdc_enable_table, of all columns and for all readers."""
    if not session.sees_server_state:
        raise SqlError(22904, "Caller is not authorized to initiate the requested action. DBO privileges are required.")
    session.server.capture.check_database(session.server.database)
    given_values = _by_name(arguments)
    schema, name = (str(given_values.get(part) or "") for part in _PARAMETERS[:2])
    for part in _PARAMETERS[:2]:
        if not given_values.get(part):
            text = "cannot be null or empty. Specify a value for the named parameter and retry the operation."
            raise SqlError(22963, f"Parameter '@{part}' {text}")
    if "role_name" not in given_values:
        text = "Procedure or function 'sp_cdc_enable_table' expects parameter '@role_name', which was not supplied."
        raise SqlError(201, text)
    for part in ("role_name", *_PARAMETERS[5:8]):
        if given_values.get(part) is not None:
            raise not_supported(f"sp_cdc_enable_table with @{part}")
    if schema.lower() == "cdc":
        raise SqlError(22974, "Tables contained in the cdc schema cannot be enabled for Change Data Capture.")
    table = session.catalog.find(schema, name)
    if table is None or table.definition is not None:
        raise SqlError(
            22931,
            f"Source table '{schema}.{name}' does not exist in the current database. Ensure that the correct database context is"
            " set. Specify a valid schema and table name for the database.",
        )
    has_net = given_values.get("supports_net_changes", table.primary_key is not None)
    is_net = str(has_net).lower() in ("1", "true")
    if is_net and table.primary_key is None:
        raise SqlError(
            22939,
            "The parameter @supports_net_changes is set to 1, but the source table does not have a primary key defined and no "
            "alternate unique index has been specified.",
        )
    instance = str(given_values.get("capture_instance") or f"{table.schema}_{table.name}").rstrip()
    with Write(session) as write, session.catalog.defining():
        write.run(lambda: _begin(session, table, instance, is_net))


def _by_name(arguments: list[tuple[str, object]]) -> dict[str, object]:
    found = {}
    for place, (named, value) in enumerate(arguments):
        if not named and place >= len(_PARAMETERS):
            text = "Procedure or function sp_cdc_enable_table has too many arguments specified."
            raise SqlError(8144, text)
        name = named or _PARAMETERS[place]
        if name not in _PARAMETERS:
            raise SqlError(8145, f"@{name} is not a parameter for procedure sp_cdc_enable_table.")
        found[name] = value
    return found


def _begin(session: Session, table: Table, instance: str, is_net: bool) -> None:
    if len(instance) > _LONGEST_NAME:
        raise SqlError(
            22927,
            f"Capture instance name '{instance}' exceeds the length limit of 100 characters. Specify a name that satisfies the "
            "length constraint.",
        )
    taken = session.cursor.execute(
        "SELECT 1 FROM meta.captures WHERE lower(capture_instance) = lower(?)", [instance]
    ).fetchone()
    if taken:
        raise SqlError(
            22926,
            f"Could not create a capture instance because the capture instance name '{instance}' already exists in the current "
            "database. Specify an explicit unique name for the parameter @capture_instance.",
        )
    if table.is_captured:
        raise not_supported("a second capture instance of a table")
    if table.primary_key is None:
        raise not_supported("Change Data Capture of a table without a primary key")
    if any(table.column(column.name) is not None for column in _LEADING):
        raise SqlError(
            22975,
            f"Source table '{table.name}' contains one of the following reserved column names: __$start_lsn, __$end_lsn, "
            "__$seqval, __$operation, and __$update_mask. To enable Change Data Capture for this table, specify a captured "
            "column list and ensure that these columns are excluded from the list.",
        )
    captured = tuple(Column(column.name, _captured(column.type)) for column in table.columns)
    shown = session.catalog.add_table(Table("cdc", f"{instance}_CT", (*_LEADING, *captured)), session.server.now())
    log, names = log_of(table.object_id), ", ".join(quote(column.name) for column in captured)
    columns = ", ".join(f"{quote(column.name)} {column.type.duckdb}" for column in captured)
    execute = session.cursor.execute
    execute(f"CREATE TABLE {log} (xdes BIGINT, seq BIGINT, op INTEGER, mask BLOB, {columns})")
    leading = ", ".join(quote(column.name) for column in _LEADING)
    execute(
        f"CREATE VIEW {shown.storage} ({leading}, {names}) AS SELECT lsn_bytes(lsn), CAST(NULL AS BLOB), lsn_bytes(seq), op,"
        f" mask, {names} FROM {log} JOIN meta.lsns USING (xdes)"
    )
    execute(
        "INSERT INTO meta.captures VALUES (?, ?, ?, nextval('meta.lsn'), ?, ?)",
        [instance, table.object_id, shown.object_id, is_net, session.server.now()],
    )
    session.open_transaction.is_captured = True
    session.catalog.forget()


def _captured(kind: SqlType) -> SqlType:
    return SqlType("binary", 8) if kind.base == "rowversion" else kind


def keep_images(session: Session, table: Table) -> None:
    """Keeps the rows of a table that a statement updates."""
    session.cursor.execute(f"CREATE OR REPLACE TEMP TABLE {BEFORE} AS SELECT {_names(table)} FROM {table.storage}")


def note_images(session: Session, table: Table, verb: str, images: pa.Table, moves_keys: bool) -> None:
    """Writes what the rows of a statement are now, or were, to the table's log; they count once it commits. Rows whose keys are
    written go and come, as the real server shows them."""
    if not images.num_rows:
        return
    shown = images.rename_columns([f"n{n}" for n in range(images.num_columns)])
    session.cursor.register("changed_rows", shown)
    try:
        if verb != "UPDATE":
            _add(session, table, 1 if verb == "DELETE" else 2, "SELECT * FROM changed_rows")
        elif moves_keys:
            untouched = f"(SELECT {_names(table)} FROM {table.storage} EXCEPT ALL SELECT * FROM changed_rows)"
            _add(session, table, 1, f"SELECT * FROM {BEFORE} EXCEPT ALL {untouched}")
            _add(session, table, 2, "SELECT * FROM changed_rows")
        else:
            _add_pairs(session, table)
    finally:
        session.cursor.unregister("changed_rows")
        session.cursor.execute(f"DROP TABLE IF EXISTS temp.{BEFORE}")
    session.open_transaction.is_captured = True


def _add(session: Session, table: Table, operation: int, rows: str) -> None:
    count = len(table.columns)
    mask = f"unhex('{(1 << count) - 1:0{2 * -(-count // 8)}X}')"
    head = f"SELECT {session.open_transaction.number}, nextval('meta.lsn'), {operation}, {mask}, c.* FROM"
    session.cursor.execute(f"INSERT INTO {log_of(table.object_id)} {head} ({rows}) AS c")


def _add_pairs(session: Session, table: Table) -> None:
    """Each updated row before (3) and after (4), under one number, with a bit for each column that differs."""
    positions = {column.name: place for place, column in enumerate(table.columns)}
    same = " AND ".join(f"b.{quote(name)} = n.n{positions[name]}" for name in key_names(table))
    old = ", ".join(f"b.{quote(name)} AS o{place}" for name, place in positions.items())
    differs = [
        f"(encode(b.{quote(column.name)}) IS DISTINCT FROM encode(n.n{place}))::BIGINT"  # whatever the collation
        if column.type.base in CHARACTERS
        else f"(b.{quote(column.name)} IS DISTINCT FROM n.n{place})::BIGINT"
        for place, column in enumerate(table.columns)
    ]
    octets = [
        " + ".join(f"{test} * {1 << bit}" for bit, test in enumerate(differs[start : start + 8]))
        for start in range(0, len(differs), 8)
    ]
    mask = f"unhex(format('{'{:02X}' * len(octets)}', {', '.join(reversed(octets))}))"
    session.cursor.execute(
        f"CREATE OR REPLACE TEMP TABLE changed_pairs AS SELECT nextval('meta.lsn') AS seq, {mask} AS mask, n.*, {old}"
        f" FROM changed_rows n JOIN temp.{BEFORE} b ON {same}"
    )
    for operation, letter in ((3, "o"), (4, "n")):
        cells = ", ".join(f"{letter}{place}" for place in positions.values())
        number = session.open_transaction.number
        session.cursor.execute(
            f"INSERT INTO {log_of(table.object_id)} SELECT {number}, seq, {operation}, mask, {cells} FROM changed_pairs"
        )
    session.cursor.execute("DROP TABLE temp.changed_pairs")


def _names(table: Table) -> str:
    return ", ".join(quote(column.name) for column in table.columns)


def forget_captured(session: Session, table: Table) -> None:
    """Drops the change table of a table that goes."""
    number = [table.object_id]
    found = given(
        session.cursor.execute("SELECT capture_instance FROM meta.captures WHERE source_id = ?", number).fetchone()
    )
    shown = given(session.catalog.find("cdc", f"{found[0]}_CT"))
    session.cursor.execute(f"DROP VIEW {shown.storage}")
    session.cursor.execute(f"DROP TABLE {log_of(table.object_id)}")
    session.cursor.execute("DELETE FROM meta.captures WHERE source_id = ?", number)
    session.catalog.remove_table(shown)


def refuse_truncation(table: Table) -> None:
    """Raises 4711: TRUNCATE leaves no rows in the log."""
    if table.is_captured:
        raise SqlError(
            4711,
            f"Cannot truncate table '{table.name}' because it is published for replication or enabled for Change Data Capture.",
        )


def refuse_new_shape(table: Table) -> None:
    """The real server keeps the capture instance as it was; the stand-in has no log of two shapes."""
    if table.is_captured:
        raise not_supported("another shape of a table under Change Data Capture")
