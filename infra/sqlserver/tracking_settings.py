"""ALTER DATABASE … SET CHANGE_TRACKING and ALTER TABLE … ENABLE CHANGE_TRACKING, with what SQL Server refuses of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .errors import SqlError
from .token_reader import TokenReader
from .tracked_tables import disable, enable
from .tracking import UNIT_MINUTES

if TYPE_CHECKING:
    from .script import Simple
    from .session import Session
    from .tables import Table

_MOST_MINUTES = 2_147_483_647


def alter_database(session: Session, statement: Simple) -> None:
    """Runs ALTER DATABASE name SET CHANGE_TRACKING [= ON | OFF] [(options)]."""
    tracking, reader = session.server.tracking, TokenReader(statement)
    reader.expect("ALTER", "DATABASE")
    name = reader.name()
    reader.expect("SET", "CHANGE_TRACKING")
    if name.lower() in ("master", "msdb", "tempdb", "model"):
        text = "is a system database. Change tracking settings cannot be modified for system databases."
        raise SqlError(5090, f"Database '{name}' {text}")
    word = None
    if reader.accept_symbol("="):
        word = reader.accept_any("ON", "OFF")
        if word is None:
            raise reader.unexpected()
    options = _options(reader) if word != "OFF" and reader.opens() else {}
    if not reader.at_end() or (word is None and not options):
        raise reader.unexpected()
    database = session.server.database
    if word == "ON" and tracking.is_on:
        raise SqlError(5088, f"Change tracking is already enabled for database '{database}'.")
    if word != "ON" and not tracking.is_on:
        text = "Change tracking must be enabled on a database to modify change tracking settings."
        raise SqlError(5089, f"Change tracking is disabled for database '{database}'. {text}")
    if word == "OFF" and tracking.tables():
        raise SqlError(
            22115,
            f"Change tracking is enabled for one or more tables in database '{database}'. Disable change tracking on each "
            "table before disabling it for the database. Use the sys.change_tracking_tables catalog view to obtain a list of "
            "tables for which change tracking is enabled.",
        )
    if word == "ON":
        tracking.period, tracking.unit, tracking.cleans_up = 2, "DAYS", True
    tracking.is_on = word != "OFF"
    if "CHANGE_RETENTION" in options:
        tracking.period, tracking.unit = options["CHANGE_RETENTION"]
    if "AUTO_CLEANUP" in options:
        tracking.cleans_up = options["AUTO_CLEANUP"]


def _options(reader: TokenReader) -> dict:
    found = {}
    reader.expect_symbol("(")
    while True:
        name = reader.accept_any("CHANGE_RETENTION", "AUTO_CLEANUP")
        if name is None:
            raise reader.unexpected()
        if name in found:
            text = "was specified more than once. Each option can be specified only once."
            raise SqlError(5091, f"ALTER DATABASE change tracking option '{name}' {text}", 15)
        reader.expect_symbol("=")
        found[name] = _retention(reader) if name == "CHANGE_RETENTION" else _is_on(reader)
        if not reader.accept_symbol(","):
            break
    reader.expect_symbol(")")
    return found


def _retention(reader: TokenReader) -> tuple[int, str]:
    number, unit = reader.name(), reader.name().upper()
    if not number.isdigit():
        raise reader.unexpected()
    if unit not in UNIT_MINUTES:
        raise SqlError(155, f"'{unit}' is not a recognized CHANGE RETENTION UNIT option.", 15)
    if not 1 <= int(number) * UNIT_MINUTES[unit] <= _MOST_MINUTES:
        text = f"is not valid. The value must be between 1 and {_MOST_MINUTES} minutes."
        raise SqlError(5092, f"The value for change tracking option 'CHANGE_RETENTION' {text}", 15)
    return int(number), unit


def _is_on(reader: TokenReader) -> bool:
    word = reader.accept_any("ON", "OFF")
    if word is None:
        raise reader.unexpected()
    return word == "ON"


def alter_table(session: Session, table: Table, reader: TokenReader) -> bool:
    """Runs what follows ALTER TABLE name, where it is about Change Tracking; says whether it is."""
    if reader.accept("DISABLE", "CHANGE_TRACKING"):
        disable(session, table)
        return True
    if not reader.accept("ENABLE", "CHANGE_TRACKING"):
        return False
    tells_columns = False
    if reader.accept("WITH"):
        reader.expect_symbol("(")
        reader.expect("TRACK_COLUMNS_UPDATED")
        reader.expect_symbol("=")
        tells_columns = _is_on(reader)
        reader.expect_symbol(")")
    if not reader.at_end():
        raise reader.unexpected()
    enable(session, table, tells_columns)
    return True


def refuse_key_dropped(table: Table, name: str) -> None:
    """Raises 3735 where a constraint that is to be dropped is the primary key of a tracked table."""
    key = table.primary_key
    if table.is_tracked and key is not None and key.name.lower() == name.lower():
        raise SqlError(
            3735,
            f"The primary key constraint '{key.name}' on table '{table.name}' cannot be dropped because change tracking is "
            "enabled on the table. Change tracking requires a primary key constraint on the table. Disable change tracking "
            "before dropping the constraint.",
        )
