"""`flowforge lineage`: what a table is made from and what is made from it, as a tree, as data, or as a drawing.

Like `flowforge sql` it works on the lake itself, with the caller's own S3 credentials.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text
from rich.tree import Tree

from flowforge.cli import options
from flowforge.cli.failure import GOOD, BadRequest
from flowforge.cli.lake import Bucket, lake_failures, open_lake
from flowforge.cli.layout import cell, moment, table
from flowforge.cli.output import Output

if TYPE_CHECKING:
    from collections.abc import Callable

    from flowforge.lineage.datasets import DatasetId
    from flowforge.lineage.graph import ColumnEdge, Graph, Table

STYLES = {"source": "dim", "bronze": "", "silver": "cyan", "gold": "yellow"}
Name = Annotated[
    str, typer.Argument(metavar="TABLE", help="silver.customers, gold.x, database.schema.table, or its end.")
]
Columns = Annotated[bool, typer.Option("--columns", help="Where each of its columns comes from and goes.")]
Svg = Annotated[Path | None, typer.Option("--svg", metavar="FILE", help="Draw it into a file.")]


def lineage(
    name: Name,
    columns: Columns = False,
    svg: Svg = None,
    bucket: Bucket = None,
    api: options.ApiUrl = None,
    as_json: options.Json = False,
) -> int:
    """Show what a table is made from and what is made from it, from the OpenLineage events in the lake."""
    chosen = open_lake(bucket, api)
    from flowforge.lineage.graph import read_graph
    from flowforge.lineage.shown import document

    with lake_failures():
        graph = read_graph(chosen)
        found = graph.find(name)
    for problem in graph.problems:
        Output(as_json).say(problem, style="yellow")
    part, out = graph.around(found.id), Output(as_json)
    if svg is not None:
        _write(svg, part, found.id, columns)
        out.say(f"Drawn into {svg}.")
    shown: list[Any] = [_tree(part, found)]
    if columns:
        shown += ["", _columns(part, found), *_deciding(part, found)]
    out.answer(document(part, found), *shown)
    return GOOD


def _write(path: Path, graph: "Graph", marked: "DatasetId", columns: bool) -> None:
    from flowforge.cli.lineage_drawing import draw

    try:
        path.write_text(draw(graph, marked, columns), encoding="utf-8")
    except OSError as error:
        raise BadRequest(f"cannot write {path}: {error.strerror or error}") from error


def _tree(graph: "Graph", found: "Table") -> Tree:
    tree = Tree(_label(found, bold=True))
    for title, following in (("made from", graph.above), ("goes into", graph.below)):
        if following(found.id):
            _grow(tree.add(Text(title, style="dim")), graph, found.id, following, {found.id})
    return tree


def _grow(
    tree: Tree, graph: "Graph", of: "DatasetId", following: "Callable[..., list[DatasetId]]", drawn: set["DatasetId"]
) -> None:
    """What has been drawn once is named only when it comes again."""
    for one in following(of):
        label, again = _label(graph.tables[one]), one in drawn
        if again and following(one):
            label.append("  …", style="dim")
        branch = tree.add(label)
        if not again:
            drawn.add(one)
            _grow(branch, graph, one, following, drawn)


def _label(found: "Table", bold: bool = False) -> Text:
    style = f"bold {STYLES[found.layer]}" if bold else STYLES[found.layer]
    facts = []
    if found.layer == "source":
        facts.append(cell(f"on {found.id.namespace.removeprefix('mssql://')}"))
    if found.version is not None:
        facts.append(cell(f"{'batch' if found.layer == 'bronze' else 'version'} {found.version}"))
    if found.at is not None:
        facts.append(moment(found.at))
    told = Text(", ").join(facts)
    told.stylize("dim")
    return Text.assemble(Text(cell(found.alias).plain, style=style), "  ", told) if facts else cell(found.alias)


def _columns(graph: "Graph", found: "Table") -> Any:
    rows = []
    for column, kind in found.types.items():
        above = [edge for edge in graph.columns if edge.to_table == found.id and edge.to_column == column]
        below = [edge for edge in graph.columns if edge.from_table == found.id and edge.from_column == column]
        sources = _at_the_source(graph, found.id, column)
        rows.append(
            [
                column,
                kind,
                "\n".join(_edge(graph, edge, "from") for edge in sorted(above)) or None,
                "\n".join(sources) or None,
                "\n".join(sorted({_edge(graph, e, "to") for e in below if e.to_column})) or None,
            ]
        )
    return table(["column", "type", "comes from", "at the source", "goes into"], [[_lines(v) for v in r] for r in rows])


def _lines(value: str | None) -> Text:
    return cell(None) if value is None else Text("\n").join(cell(line) for line in value.split("\n"))


def _edge(graph: "Graph", edge: "ColumnEdge", side: str) -> str:
    end, column = (edge.from_table, edge.from_column) if side == "from" else (edge.to_table, edge.to_column)
    how = "" if edge.how == "IDENTITY" else f" ({edge.how.lower().replace('_', ' ')})"
    return f"{graph.tables[end].alias}.{column}{how}"


def _at_the_source(graph: "Graph", of: "DatasetId", column: str) -> list[str]:
    """The columns of source tables whose values end up in a column."""
    found, left, seen = set(), [(of, column)], {(of, column)}
    while left:
        end = left.pop()
        above = {
            (e.from_table, e.from_column)
            for e in graph.columns
            if (e.to_table, e.to_column) == end and e.kind == "DIRECT"
        }
        if graph.tables[end[0]].layer == "source":
            found.add(f"{graph.tables[end[0]].alias}.{end[1]}")
        left += above - seen
        seen |= above
    return sorted(found)


def _deciding(graph: "Graph", found: "Table") -> list[Any]:
    told = sorted({_edge(graph, e, "from") for e in graph.columns if e.to_table == found.id and e.to_column is None})
    return [Text.assemble("Rows are decided by ", cell(", ".join(told)), ".")] if told else []
