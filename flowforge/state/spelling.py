"""One table, however a request spells it: what of a source is in the lake already, and under which names.

SQL Server compares names by the database's collation, mostly without a look at case; a lake's names are what they are.

Guarantees: a table that was loaded once keeps its lake tables and its watermark, whatever case a later request writes it in; a
second lake table of a default name that differs by case only is refused with both names. The registry is asked by submissions,
and by loads of a table that is new.
"""

from typing import NamedTuple

from events.names import destination_stem, split_table_name
from events.targets import ConnectionReference
from flowforge.errors import ConflictingTarget
from flowforge.state.table import list_tables, read_state, source_key

BRONZE = "bronze_"


class Loaded(NamedTuple):
    """A source table, as the catalog spells it, and the bronze table that it is loaded into."""

    source_table: str
    bronze_table: str


def loaded_from(connection: ConnectionReference) -> list[Loaded]:
    """What was ever loaded from a server's database."""
    place = source_key(connection, "", "").rstrip(">").lower()
    return [
        Loaded(item["source_table"], item["bronze_table"])
        for item in list_tables()
        if item["sk"].lower().startswith(place) and item.get("source_table") and item.get("bronze_table")
    ]


def default_stem(written: str, loaded: list[Loaded]) -> str:
    """The default name in the lake of a table as it is written: the one that it has there, or else its own."""
    schema, table = split_table_name(written)
    stem, name = destination_stem(schema, table), f"{schema}.{table}"
    default = f"{BRONZE}{stem}"
    fitting = [
        one
        for one in loaded
        if one.source_table.lower() == name.lower() and one.bronze_table.lower() == default.lower()
    ]
    # Where two spellings have been loaded apart, or are two tables, each keeps its own.
    fitting.sort(key=lambda one: (one.bronze_table != default, one.source_table != name))
    return fitting[0].bronze_table.removeprefix(BRONZE) if fitting else stem


def settled_key(connection: ConnectionReference, database: str | None, source_table: str, bronze_table: str) -> str:
    """The source key of a table: the one that it has, however the request spelled its database; of a new one with the server's
    spelling. `source_table` is as the catalog has it.

    Raises ConflictingTarget where the table is in the lake under a name that differs from `bronze_table` by case only.
    """
    key = source_key(connection, source_table, bronze_table)
    if read_state(key).version:
        return key
    known = [item["sk"] for item in list_tables() if item["sk"].lower() == key.lower()]
    own = f"/{source_table}>"
    for other in known:
        if other.endswith(f"{own}{bronze_table}"):
            return other
        if own in other:
            theirs = other.rpartition(">")[2]
            raise ConflictingTarget(
                f"{source_table} is loaded into {theirs}; as it is written here it would fill {bronze_table}, and most "
                "readers of the lake take the two for one",
                f"Write the table as the catalog does, {source_table}, or name bronzeConfig's and silverConfig's tableName.",
            )
    spelled = connection.model_copy(update={"database": database}) if database else connection
    return source_key(spelled, source_table, bronze_table) if _same(database, connection.database) else key


def _same(one: str | None, other: str) -> bool:
    return one is not None and one.lower() == other.lower()
