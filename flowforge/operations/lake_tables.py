"""The lake's tables as they are: columns, rows, freshness, rules, watermarks, versions. Reads only.

Guarantees: a table that cannot be opened is told with its problem and leaves the others alone. A page opens the tables that it
shows and no others, and of these only those that were committed to since they were read last, which one look at a table's log
tells; what is kept of tables and of what fills them, with watermarks and newest batches, is read a hundred at once.
"""

from datetime import UTC, datetime
from typing import Any

from events.request import InvalidRequest
from flowforge.aws.clients import CONNECTIONS
from flowforge.domain.alone import each_alone, each_alone_at_once
from flowforge.domain.errors import NotFound, Retriable
from flowforge.domain.figures import plain, quality_of
from flowforge.domain.names import TableName, table_of
from flowforge.operations.query import tables_in
from flowforge.runtime.pages import cursor_of, fitting, place_of
from flowforge.runtime.settings import settings
from flowforge.silver.decisions import SOURCE_KEY
from flowforge.state import gold_builds, lake_facts
from flowforge.state.lake_facts import Kept
from flowforge.state.table import TableState, read_stored, state_of
from flowforge.tables.base import LakeTable
from flowforge.tables.cuts import shown_cut
from flowforge.tables.lake import FORMAT, PREFIXES, open_table, store_errors, table_uri

MOST_VERSIONS = 20
Facts = dict[str, Any]


def list_page(limit: int, layer: str | None, cursor: str | None) -> dict[str, Any]:
    """At most `limit` tables, by layer and name, as `tables`; `next` is there where others follow. Raises InvalidRequest for a
    cursor that is none."""
    place = place_of(cursor, 2)
    after = TableName(*place) if place else None
    found = tables_in(settings().bucket, [layer] if layer else PREFIXES)
    listed = [name for name in found if after is None or name > after][: limit + 1]
    shown = fitting(_facts_of(listed[:limit]))
    more = {"next": cursor_of(shown[-1]["layer"], shown[-1]["table"])} if shown and len(shown) < len(listed) else {}
    return {"tables": shown, **more}


def show(written: str) -> dict[str, Any]:
    """One table (layer.name) with its newest versions. Raises NotFound, InvalidRequest."""
    name = _named(written)
    with store_errors(str(name)):
        table = open_table(table_uri(settings().bucket, name.layer, name.table))
        if table is None:
            raise NotFound(f"there is no table {name}", "GET /api/tables shows those that there are.")
        facts = _facts(name, table)
        versions = [
            {"version": one["version"], "at": _moment(one.get("timestamp")), "operation": one.get("operation")}
            for one in table.history(MOST_VERSIONS)
        ]
    return _with_states([facts])[0] | {"versions": versions}


def _named(written: str) -> TableName:
    layer, _, rest = written.partition(".")
    if layer not in PREFIXES or not rest:
        problem = f"expected LAYER.NAME, where LAYER is one of {', '.join(PREFIXES)}"
        raise InvalidRequest([{"field": "table", "problem": problem}])
    return TableName(layer, table_of(layer, rest))


def _facts_of(names: list[TableName]) -> list[Facts]:
    uris = {name: table_uri(settings().bucket, name.layer, name.table) for name in names}
    kept = lake_facts.read(list(uris.values()))

    def read(name: TableName) -> Kept | None:
        return _read(name, uris[name], kept.get(uris[name]))

    found, failed = each_alone_at_once(names, read, CONNECTIONS)
    for failure in failed:
        if isinstance(failure.error, Retriable) and len(failed) == len(names):
            raise failure.error
    there = {uris[name]: told for name, told in found if told}
    lake_facts.keep({uri: told for uri, told in there.items() if told[0] and kept.get(uri) is not told})
    shown = [facts for _, facts in there.values()]
    shown += [
        {"layer": f.thing.layer, "table": f.thing.table, "problem": f"{f.cause} {f.remedy}".strip()} for f in failed
    ]
    return sorted(_with_states(shown), key=lambda one: (one["layer"], one["table"]))


def _read(name: TableName, uri: str, kept: Kept | None) -> Kept | None:
    """What is kept where it is still so, else a table's facts with their seal; None where the table is gone."""
    with store_errors(str(name)):
        if kept and FORMAT.is_still(uri, kept[0]):
            return kept
        table = open_table(uri)
        return None if table is None else (table.seal() or "", _facts(name, table))


def _facts(name: TableName, table: LakeTable) -> Facts:
    commit = table.commit_of(table.data_version())
    info = commit.info if commit else {}
    files = table.data_files()
    return {
        "layer": name.layer,
        "table": name.table,
        "version": table.version(),
        "rows": table.count(),
        "files": len(files),
        "bytes": sum(file.size for file in files),
        "written_at": _moment(info.get("timestamp")),
        "columns": [{"name": column, "type": kind} for column, kind in table.column_words().items()],
        "rules": plain(quality_of(info)),
        "cut": shown_cut(table),
        "source_key": table.properties().get(SOURCE_KEY) if name.layer == "silver" else None,
    }


def _with_states(shown: list[Facts]) -> list[Facts]:
    keys = sorted({one["source_key"] for one in shown if one.get("source_key")})
    stored = read_stored(keys) if keys else {}
    read, _ = each_alone(
        keys, lambda key: state_of(key, stored[key])
    )  # of one that cannot be read, the watermarks' own list tells
    states = dict(read)
    gold = sorted(one["table"] for one in shown if one["layer"] == "gold")
    builds = gold_builds.read(gold) if gold else {}
    return [
        one | _filled_by(states.get(one.get("source_key") or "")) | _built(builds.get(one["table"]), one["layer"])
        for one in shown
    ]


def _built(build: Facts | None, layer: str) -> Facts:
    return {"build": build} if build and layer == "gold" else {}


def _filled_by(state: TableState | None) -> Facts:
    if state is None:
        return {"watermarks": {}}
    recent = state.recent.model_dump() if state.recent.at else None
    marks = {column: mark.value for column, mark in state.watermarks.items()}
    return {"watermarks": marks, "bronze_table": state.bronze_table, "recent": recent}


def _moment(milliseconds: Any) -> str | None:
    if not isinstance(milliseconds, int | float):
        return None
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds")
