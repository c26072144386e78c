"""One table, however a request spells it: what of a source is in the lake already, and under which names.

SQL Server compares names by the database's collation, mostly without a look at case; a lake's names are what they are.

Guarantees: a table that was loaded once keeps its lake tables and its watermark, whatever case a later request writes it in; one
that is new gets the catalog's spelling where the request does not name it itself. A second lake table of a default name that
differs by case only is refused with both names. The registry is asked by submissions, and by loads of a table that is new, or
that its lake tables do not spell as the catalog does.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from events.commands import IngestTable
from events.names import destination_stem, split_table_name
from events.targets import SourcePlace
from flowforge.domain.errors import ConflictingTarget
from flowforge.domain.source_key import SourceKey, bronze_table_of
from flowforge.state.table import list_tables

BRONZE = "bronze_"


class Loaded(NamedTuple):
    """A source table, as the catalog spells it, the bronze and silver table that it is loaded into, and its source key."""

    source_table: str
    bronze_table: str
    silver_table: str = ""
    source_key: str = ""


# Source table and bronze table in small letters -> all of these names.
Spellings = Mapping[tuple[str, str], Sequence[Loaded]]


def loaded_from(connection: SourcePlace) -> list[Loaded]:
    """What was ever loaded from a server's database."""
    any_table = SourceKey.of(connection, "", "", "")
    places = tuple(text.lower().removesuffix(">") for text in (str(any_table), any_table.unescaped))
    return [
        Loaded(item["source_table"], item["bronze_table"], item.get("silver_table", ""), item["sk"])
        for item in list_tables()
        if item["sk"].lower().startswith(places) and item.get("source_table") and item.get("bronze_table")
    ]


def spellings_of(loaded: Iterable[Loaded]) -> Spellings:
    """What was loaded, to be looked up for each table of a request that names thousands."""
    found = defaultdict[tuple[str, str], list[Loaded]](list)
    for one in loaded:
        found[one.source_table.lower(), one.bronze_table.lower()].append(one)
    return found


def default_stem(written: str, spellings: Spellings) -> str:
    """The default name in the lake of a table as it is written: the one that it has there, or else its own."""
    schema, table = split_table_name(written)
    stem, name = destination_stem(schema, table), f"{schema}.{table}"
    default = f"{BRONZE}{stem}"
    fitting = spellings.get((name.lower(), default.lower()), ())
    # Where two spellings have been loaded apart, or are two tables, each keeps its own.
    own = min(fitting, key=lambda one: (one.bronze_table != default, one.source_table != name), default=None)
    return own.bronze_table.removeprefix(BRONZE) if own else stem


def named_by_catalog(command: IngestTable, schema: str, table: str) -> IngestTable:
    """The command with its default names as the lake has them, or for a table that is new to the lake as the catalog spells it.

    `schema` and `table` are in the catalog's spelling. Names change in case only. A default name that the request's own models or
    rules read is kept: there the request has named the table.
    """
    stem, source_table = destination_stem(schema, table), f"{schema}.{table}"
    given = {"bronze": command.bronze.table, "silver": command.silver.table, "gold": command.gold.table or ""}
    ours = {"bronze": f"{BRONZE}{stem}", "silver": stem, "gold": stem}
    respelt = [
        layer for layer in command.default_names if given[layer] != ours[layer] and _same(given[layer], ours[layer])
    ]
    if not respelt:
        return command
    here = [
        one
        for one in loaded_from(command.connection)
        if one.source_table == source_table and _same(one.bronze_table, command.bronze.table)
    ]
    if here:
        here.sort(key=lambda one: one.bronze_table != command.bronze.table)
        silver = here[0].silver_table or given["silver"]
        ours = {"bronze": here[0].bronze_table, "silver": silver, "gold": silver}
    elif any(_reads(command, given[layer]) for layer in respelt):
        return command
    names = {layer: ours[layer] for layer in respelt if _same(given[layer], ours[layer])}
    targets = {layer: getattr(command, layer).model_copy(update={"table": name}) for layer, name in names.items()}
    return command.model_copy(update=targets)


def _reads(command: IngestTable, name: str) -> bool:
    """Whether the request's models or rules hold a table's name as it is written."""
    rules = [*command.silver.quality_rules, *command.gold.quality_rules]
    rules += [rule for model in command.gold.models for rule in model.quality_rules]
    texts = [*(model.sql for model in command.gold.models), *(rule.model_dump_json() for rule in rules)]
    return any(re.search(rf"\b{re.escape(name)}\b", text) for text in texts)


def settled_key(wanted: SourceKey, database: str | None) -> str:
    """The source key of a table that has no state under the request's spelling: the one that it has, however the request spelled
    its database, and an earlier version the key; of a new one with the server's spelling, `database`. The table's name in
    `wanted` is as the catalog has it.

    Raises ConflictingTarget where the table is in the lake under a name that differs from the wanted one by case only.
    """
    listed = [item["sk"] for item in list_tables()]
    for text, named in ((str(wanted), wanted.named), (wanted.unescaped, wanted.source_table)):
        for other in [sk for sk in listed if sk.lower() == text.lower()]:
            if other.endswith(f"/{named}>{wanted.bronze_table}"):
                return other
            if f"/{named}>" in other:
                table = wanted.source_table
                raise ConflictingTarget(
                    f"{table} is loaded into {bronze_table_of(other)}; as it is written here it would fill "
                    f"{wanted.bronze_table}, and most readers of the lake take the two for one",
                    f"Write the table as the catalog does, {table}, or name bronzeConfig's and silverConfig's tableName.",
                )
    return str(wanted._replace(database=database) if database and _same(database, wanted.database) else wanted)


def _same(one: str | None, other: str) -> bool:
    return one is not None and one.lower() == other.lower()
