"""What a person has decided about a silver table's columns: kept in the table's properties, where every later batch sees it.

Guarantees: a decision is one metadata commit and touches no row; the next batch, or the replay of one that was refused, carries
it out. Decisions are additive: a type stays decided until another takes its place.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from flowforge.domain.errors import Fatal, NotFound
from flowforge.engines.registry import ENGINE
from flowforge.silver.plan import own_names
from flowforge.silver.type_names import lake_type, meaning, shown
from flowforge.tables.base import LakeTable, once
from flowforge.tables.lake import commit, open_table, table_uri
from flowforge.tables.rows import relation, types_of

TYPES, ACCEPTED, KEEPS_KEY, KEY = "flowforge.types", "flowforge.accepted", "flowforge.keepsKey", "flowforge.key"
SOURCE_KEY, IDENTITY, DROPPED = "flowforge.sourceKey", "flowforge.identity", "flowforge.dropped"


@dataclass(frozen=True)
class Decisions:
    """Types of columns (name -> DuckDB type), the batch up to which a contract's changes are accepted, and the key to keep."""

    types: dict[str, str] = field(default_factory=dict)
    accepted: int = 0
    key: list[str] | None = None


def decisions_of(table: LakeTable | None) -> Decisions:
    """The decisions in force."""
    return decisions_in(table.properties() if table is not None else {})


def decisions_in(stored: Mapping[str, str]) -> Decisions:
    """The decisions that a table's properties hold."""
    key = json.loads(stored.get(KEY, "null")) if stored.get(KEEPS_KEY) == "true" else None
    return Decisions(json.loads(stored.get(TYPES, "{}")), int(stored.get(ACCEPTED, 0)), key)


def decide(bucket: str, name: str, types: dict[str, str], accepted: int | None, keep_key: bool) -> dict[str, Any]:
    """Records decisions about silver table `name` and returns its schema; `types` are as a person writes them, `accepted` is the
    order of the last batch to accept. The answer's `decided_now` tells what each written type is in the lake.

    Raises NotFound, and Fatal for a column or type that silver cannot have.
    """
    meant = {column: lake_type(written, column) for column, written in types.items()}

    def attempt() -> None:
        table = existing(bucket, name)
        present = set(table.column_words())
        for column in meant:
            if column in own_names(table.properties().get(SOURCE_KEY, "")):
                raise Fatal(f"column {column} of silver.{name} is silver's own", "its type cannot be decided")
            if column not in present:
                raise Fatal(f"silver.{name} has no column {column}", f"its columns are {', '.join(sorted(present))}")
        changed: dict[str, str] = {}
        if meant:
            changed[TYPES] = json.dumps(decisions_of(table).types | meant)
        if accepted is not None:
            changed[ACCEPTED] = str(accepted)
        if keep_key:
            changed[KEEPS_KEY] = "true"
        if changed:
            table.set_properties(changed, once())

    commit(f"silver.{name}", attempt)
    told = [
        {"column": column, "written": types[column], "type": shown(kind), "meaning": meaning(kind)}
        for column, kind in meant.items()
    ]
    return schema_of(bucket, name) | {"decided_now": told}


def schema_of(bucket: str, name: str) -> dict[str, Any]:
    """A silver table's columns with their types (32 bits are REAL), and the decisions in force; raises NotFound."""
    table = existing(bucket, name)
    known, stored = decisions_of(table), table.properties()
    with ENGINE.session() as connection:
        rows = relation(connection, table)
        kinds = types_of(rows)
    return {
        "table": name,
        "source_key": stored.get(SOURCE_KEY),
        "version": table.version(),
        "identity": stored.get(IDENTITY),
        "dropped": json.loads(stored.get(DROPPED, "[]")),
        "keeps_key": known.key is not None,
        "accepted_up_to": known.accepted or None,
        "columns": [
            {"name": n, "type": shown(kind), "decided": _shown(known.types.get(n))} for n, kind in kinds.items()
        ],
    }


def _shown(kind: str | None) -> str | None:
    return None if kind is None else shown(kind)


def existing(bucket: str, name: str) -> LakeTable:
    """A silver table. Raises NotFound."""
    table = open_table(table_uri(bucket, "silver", name))
    if table is None:
        raise NotFound(
            f"there is no table silver.{name} in {bucket}", "flowforge watermark list shows the silver tables."
        )
    return table
