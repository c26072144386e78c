"""Lineage as JSON tells it."""

from typing import Any

from flowforge.lineage.graph import Graph, Table, read_graph


def lineage_of(bucket: str, name: str, depth: int | None, columns: bool) -> dict[str, Any]:
    """The neighbourhood of a table, so many steps wide, with or without its columns. Raises NotFound, StoreUnavailable."""
    graph = read_graph(bucket)
    found = graph.find(name)
    shown = document(graph.around(found.id, depth), found)
    return shown | {"problems": graph.problems} | ({} if columns else {"columns": []})


def document(graph: Graph, found: Table) -> dict[str, Any]:
    """A part of the graph, seen from one of its tables."""
    names = {key: one.alias for key, one in graph.tables.items()}
    return {
        "table": found.alias,
        "tables": [
            {
                "table": one.alias,
                "layer": one.layer,
                "namespace": key.namespace,
                "name": key.name,
                "version": one.version,
                "at": one.at,
                "columns": [{"name": name, "type": kind} for name, kind in one.types.items()],
            }
            for key, one in sorted(graph.tables.items())
        ],
        "edges": [{"from": names[a], "to": names[b]} for a, b in sorted(graph.edges)],
        "columns": [
            {
                "from": {"table": names[e.from_table], "column": e.from_column},
                "to": {"table": names[e.to_table], "column": e.to_column},
                "type": e.kind,
                "subtype": e.how,
            }
            for e in sorted(
                graph.columns, key=lambda e: (e.to_table, e.to_column or "", e.from_table, e.from_column, e.how)
            )
        ],
    }
