"""The lake's lineage as a graph of tables and columns, from the newest event of each table.

Guarantees: reads only. A table is known by its dataset, so two databases with a table of the same name stay apart. What an event
names as an input and nobody has made yet is a table, too. Circles, which only a changed model can leave behind, end every walk.
"""

import json
from collections import defaultdict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from flowforge.domain.alone import each_alone
from flowforge.domain.errors import NotFound
from flowforge.domain.near import meant
from flowforge.lineage.archive import Event, newest_events
from flowforge.lineage.datasets import FILES, DatasetId

LAYERS = ("silver", "gold", "bronze")  # which of several tables of one name is meant


@dataclass
class Table:
    """One dataset: `alias` is its name for people; version, time and columns are of the newest event that made it."""

    id: DatasetId
    alias: str
    version: str | None = None
    at: str | None = None
    types: dict[str, str | None] = field(default_factory=dict)

    @property
    def layer(self) -> str:
        """source (a server's table, the files of a job), bronze, silver or gold."""
        layer = self.id.name.partition("/")[0] if self.id.namespace.startswith("s3://") else FILES
        return "source" if layer == FILES else layer


@dataclass(frozen=True, order=True)
class ColumnEdge:
    """One column that another one comes from, and how; `to_column` None: it decides about the rows."""

    from_table: DatasetId
    from_column: str
    to_table: DatasetId
    to_column: str | None
    kind: str
    how: str


@dataclass
class Graph:
    """Tables, which is made from which, and the same for their columns; `problems` are events that could not be read. It is whole
    before anybody walks along it."""

    tables: dict[DatasetId, Table] = field(default_factory=dict)
    edges: set[tuple[DatasetId, DatasetId]] = field(default_factory=set)
    columns: set[ColumnEdge] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)

    def above(self, table: DatasetId) -> list[DatasetId]:
        """What a table is made from, in order of name."""
        return sorted(self._neighbours[0][table], key=self._name)

    def below(self, table: DatasetId) -> list[DatasetId]:
        """What is made from a table, in order of name."""
        return sorted(self._neighbours[1][table], key=self._name)

    def around(self, table: DatasetId, depth: int | None = None) -> "Graph":
        """The part of the graph that a table is made from or goes into, directly or through others: so many steps of it."""
        kept = _reached(table, self.above, depth) | _reached(table, self.below, depth)
        return Graph(
            {key: node for key, node in self.tables.items() if key in kept},
            {(a, b) for a, b in self.edges if a in kept and b in kept},
            {edge for edge in self.columns if edge.from_table in kept and edge.to_table in kept},
        )

    def find(self, name: str) -> Table:
        """The table that a person means by layer.table, database.schema.table, or the end of one. Raises NotFound."""
        wanted = name.lower()
        exact = [table for table in self.tables.values() if table.alias.lower() == wanted]
        alike = exact or [table for table in self.tables.values() if table.alias.lower().endswith(f".{wanted}")]
        if alike:
            return min(alike, key=lambda t: (LAYERS.index(t.layer) if t.layer in LAYERS else len(LAYERS), t.id))
        known = [table.alias for table in self.tables.values()]
        remedy = meant(name, known, "Lineage begins with the next load of a table.")
        raise NotFound(f"there is no lineage of {name!r}", remedy)

    @cached_property
    def _neighbours(self) -> tuple[defaultdict[DatasetId, list[DatasetId]], defaultdict[DatasetId, list[DatasetId]]]:
        """What each table is made from, and what is made from it: every walk asks, and a lake has tens of thousands of edges."""
        above, below = defaultdict[DatasetId, list[DatasetId]](list), defaultdict[DatasetId, list[DatasetId]](list)
        for a, b in self.edges:
            above[b].append(a)
            below[a].append(b)
        return above, below

    def _name(self, table: DatasetId) -> str:
        return self.tables[table].alias


def read_graph(bucket: str) -> Graph:
    """The graph of a lake, of all events that can be read. Raises StoreUnavailable."""
    done, failed = each_alone(newest_events(bucket).items(), lambda one: _readable(json.loads(one[1])))
    graph = graph_of(event for _, event in done)
    graph.problems += [f"{failure.thing[0]} cannot be read: {failure.text}" for failure in failed]
    return graph


def _readable(event: Any) -> Event:
    """An event that has what the graph is made of; raises ValueError for another."""
    outputs = event.get("outputs") if isinstance(event, dict) else None
    named = isinstance(outputs, list) and bool(outputs) and {"namespace", "name"} <= set(outputs[0])
    if not (named and isinstance(event.get("eventTime"), str) and isinstance(event.get("inputs"), list)):
        raise ValueError("it has no output, no inputs or no time")
    return event


def graph_of(events: Iterable[Event]) -> Graph:
    """The graph that events tell."""
    graph = Graph()
    for event in sorted(events, key=lambda one: one["eventTime"]):
        output = _note(graph, event["outputs"][0])
        made = graph.tables[output]
        made.version, made.at = _facet(event["outputs"][0], "version").get("datasetVersion"), event["eventTime"]
        graph.edges |= {(_note(graph, given), output) for given in event["inputs"]}
        graph.columns |= set(_column_edges(event["outputs"][0], output))
    return graph


def _reached(
    table: DatasetId, following: Callable[[DatasetId], list[DatasetId]], depth: int | None = None
) -> set[DatasetId]:
    found, left = {table}, deque([(table, 0)])
    while left:
        one, steps = left.popleft()
        if steps == depth:
            continue
        new = [other for other in following(one) if other not in found]
        found.update(new)
        left.extend((other, steps + 1) for other in new)
    return found


def _note(graph: Graph, dataset: dict[str, Any]) -> DatasetId:
    key = DatasetId(dataset["namespace"], dataset["name"])
    named = _facet(dataset, "symlinks").get("identifiers", [])
    table = graph.tables.setdefault(key, Table(key, named[0]["name"] if named else key.name))
    fields = _facet(dataset, "schema").get("fields", [])
    if fields:
        table.types = {one["name"]: one.get("type") for one in fields}
    return key


def _facet(dataset: dict[str, Any], name: str) -> dict[str, Any]:
    return (dataset.get("facets") or {}).get(name, {})


def _column_edges(dataset: dict[str, Any], table: DatasetId) -> Iterable[ColumnEdge]:
    lineage = _facet(dataset, "columnLineage")
    told: list[tuple[str | None, dict[str, Any]]] = [(None, given) for given in lineage.get("dataset", [])]
    told += [(name, given) for name, one in lineage.get("fields", {}).items() for given in one["inputFields"]]
    for column, given in told:
        source = DatasetId(given["namespace"], given["name"])
        for role in given["transformations"]:
            yield ColumnEdge(source, given["field"], table, column, role["type"], role["subtype"])
