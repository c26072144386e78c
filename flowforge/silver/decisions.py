"""What a person has decided about a silver table's columns: kept in the table's properties, where every later batch sees it.

Guarantees: a decision is one metadata commit and touches no row; the next batch, or the replay of one that was refused, carries
it out. Decisions are additive: a type stays decided until another takes its place.
"""

import json
import re
from dataclasses import dataclass, field
from typing import Any

from deltalake import DeltaTable

from flowforge.errors import Fatal, NotFound
from flowforge.lake.storage import duckdb_connection
from flowforge.lake.tables import commit, once, open_table, relation, table_uri

TYPES, ACCEPTED, KEEPS_KEY, KEY = "flowforge.types", "flowforge.accepted", "flowforge.keepsKey", "flowforge.key"
SOURCE_KEY, IDENTITY, DROPPED = "flowforge.sourceKey", "flowforge.identity", "flowforge.dropped"
KNOWN_TYPE = re.compile(
    r"BOOLEAN|SMALLINT|INTEGER|BIGINT|FLOAT|DOUBLE|VARCHAR|BLOB|DATE|TIMESTAMP( WITH TIME ZONE)?"
    r"|DECIMAL\(([1-9]|[12]\d|3[0-8]),(\d|[12]\d|3[0-8])\)"
)


@dataclass(frozen=True)
class Decisions:
    """Types of columns (name -> DuckDB type), the batch up to which a contract's changes are accepted, and the key to keep."""

    types: dict[str, str] = field(default_factory=dict)
    accepted: int = 0
    key: list[str] | None = None


def decisions_of(table: DeltaTable | None) -> Decisions:
    """The decisions in force."""
    stored = table.metadata().configuration if table is not None else {}
    key = json.loads(stored.get(KEY, "null")) if stored.get(KEEPS_KEY) == "true" else None
    return Decisions(json.loads(stored.get(TYPES, "{}")), int(stored.get(ACCEPTED, 0)), key)


def decide(bucket: str, name: str, types: dict[str, str], accepted: int | None, keep_key: bool) -> dict[str, Any]:
    """Records decisions about silver table `name` and returns its schema; `accepted` is the order of the last batch to accept.

    Raises NotFound, and Fatal for a column or type that silver cannot have.
    """

    def attempt() -> None:
        table = _existing(bucket, name)
        present = {column.name for column in table.schema().fields}
        for column, kind in types.items():
            if column not in present:
                raise Fatal(f"silver.{name} has no column {column}", f"its columns are {', '.join(sorted(present))}")
            if not KNOWN_TYPE.fullmatch(kind):
                raise Fatal(
                    f"{kind} of column {column} is no type of silver", "write for example VARCHAR or DECIMAL(18,2)"
                )
        changed: dict[str, str] = {}
        if types:
            changed[TYPES] = json.dumps(decisions_of(table).types | types)
        if accepted is not None:
            changed[ACCEPTED] = str(accepted)
        if keep_key:
            changed[KEEPS_KEY] = "true"
        if changed:
            table.alter.set_table_properties(changed, raise_if_not_exists=False, commit_properties=once())

    commit(f"silver.{name}", attempt)
    return schema_of(bucket, name)


def schema_of(bucket: str, name: str) -> dict[str, Any]:
    """A silver table's columns with their types as Delta names them, and the decisions in force; raises NotFound."""
    table = _existing(bucket, name)
    known, stored = decisions_of(table), table.metadata().configuration
    with duckdb_connection() as connection:
        rows = relation(connection, table)
        kinds = dict(zip(rows.columns, map(str, rows.types), strict=True))
    return {
        "table": name,
        "source_key": stored.get(SOURCE_KEY),
        "version": table.version(),
        "identity": stored.get(IDENTITY),
        "dropped": json.loads(stored.get(DROPPED, "[]")),
        "keeps_key": known.key is not None,
        "accepted_up_to": known.accepted or None,
        "columns": [{"name": n, "type": kind, "decided": known.types.get(n)} for n, kind in kinds.items()],
    }


def _existing(bucket: str, name: str) -> DeltaTable:
    table = open_table(table_uri(bucket, "silver", name))
    if table is None:
        raise NotFound(f"there is no table silver.{name} in {bucket}", "flowforge status shows what was refined.")
    return table
