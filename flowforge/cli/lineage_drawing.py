"""A lineage graph as SVG: tables in columns from the source on the left to gold on the right, lines for what is made from what.

Guarantees: pure; the same graph gives the same text. Names stand in it as text, never as markup: the document is built as a tree,
and what XML cannot hold is spelled out. Every table stands right of all that it is made from; a circle is cut where it is met.
"""

from collections import defaultdict
from dataclasses import dataclass
from statistics import mean
from xml.etree import ElementTree

from rich.cells import cell_len

from flowforge.lineage.datasets import DatasetId
from flowforge.lineage.graph import Graph, Table

CHARACTER, LINE, PAD, GAP_X, GAP_Y, MARGIN = 7.3, 18, 10, 90, 26, 20  # pixels; of a monospaced font of 12
FILLS = {"source": "#e8eaed", "bronze": "#f3e3d3", "silver": "#e3e9f0", "gold": "#fdf3c7"}
SWEEPS = 4  # of the ordering that keeps lines from crossing
NO_XML = {code: f"\\x{code:02x}" for code in (*range(32), 127, 0xFFFE, 0xFFFF, *range(0xD800, 0xE000))}


@dataclass
class Box:
    """Where a table stands; `rows` are the columns that are drawn in it."""

    table: Table
    rows: list[str]
    x: float = 0
    y: float = 0

    @property
    def width(self) -> float:
        """As wide as its longest line."""
        return CHARACTER * max(cell_len(_visible(text)) for text in (self.table.alias, *self.rows)) + 2 * PAD

    @property
    def height(self) -> float:
        """One line for the name and one for each column."""
        return LINE * (1 + len(self.rows)) + PAD

    def middle(self, column: str | None = None) -> float:
        """The height at which a line to the table, or to one of its columns, ends."""
        line = self.rows.index(column) + 1 if column is not None else 0
        return self.y + PAD / 2 + LINE * (line + 0.5)


def draw(graph: Graph, marked: DatasetId, columns: bool = False) -> str:
    """The SVG of a graph; `marked` is framed. With `columns` each table shows them, and lines go from column to column."""
    boxes = {key: Box(table, list(table.types) if columns else []) for key, table in graph.tables.items()}
    _place(graph, boxes)
    width = max(box.x + box.width for box in boxes.values()) + MARGIN
    height = max(box.y + box.height for box in boxes.values()) + MARGIN
    size = {"width": f"{width:.0f}", "height": f"{height:.0f}", "viewBox": f"0 0 {width:.0f} {height:.0f}"}
    root = ElementTree.Element("svg", {"xmlns": "http://www.w3.org/2000/svg", **size, "role": "img"})
    _text(root, "title", f"Lineage of {boxes[marked].table.alias}")
    style = {"font-family": "ui-monospace, Menlo, Consolas, monospace", "font-size": "12"}
    drawing = ElementTree.SubElement(root, "g", style)
    if columns:
        _draw_column_lines(drawing, graph, boxes)
    else:
        for above, below in sorted(graph.edges):
            _line(drawing, boxes[above], boxes[below], boxes[above].middle(), boxes[below].middle())
    for key in sorted(boxes):
        _box(drawing, boxes[key], key == marked)
    return ElementTree.tostring(root, encoding="unicode") + "\n"


def _place(graph: Graph, boxes: dict[DatasetId, Box]) -> None:
    """Layers by the longest way from a source; in each, tables by the mean place of their neighbours."""
    layers: dict[int, list[DatasetId]] = defaultdict(list)
    for key, depth in sorted(_depths(graph).items(), key=lambda item: (item[1], graph.tables[item[0]].alias)):
        layers[depth].append(key)
    for sweep in range(SWEEPS):
        look = graph.above if sweep % 2 == 0 else graph.below
        places = {key: place for keys in layers.values() for place, key in enumerate(keys)}
        for keys in layers.values():
            wanted = {key: mean([places[one] for one in look(key)] or [places[key]]) for key in keys}
            keys.sort(key=lambda key: wanted[key])
    x: float = MARGIN
    for depth in sorted(layers):
        y: float = MARGIN
        for key in layers[depth]:
            boxes[key].x, boxes[key].y = x, y
            y += boxes[key].height + GAP_Y
        x += max(boxes[key].width for key in layers[depth]) + GAP_X


def _depths(graph: Graph) -> dict[DatasetId, int]:
    depths: dict[DatasetId, int] = {}

    def depth(key: DatasetId, path: frozenset[DatasetId]) -> int:
        if key not in depths:
            above = [one for one in graph.above(key) if one not in path]
            depths[key] = max((depth(one, path | {key}) + 1 for one in above), default=0)
        return depths[key]

    for key in graph.tables:
        depth(key, frozenset({key}))
    return depths


def _draw_column_lines(drawing: ElementTree.Element, graph: Graph, boxes: dict[DatasetId, Box]) -> None:
    for edge in sorted(edge for edge in graph.columns if edge.to_column is not None):
        above, below = boxes[edge.from_table], boxes[edge.to_table]
        if edge.from_column in above.rows and edge.to_column in below.rows:
            start, end = above.middle(edge.from_column), below.middle(edge.to_column)
            _line(drawing, above, below, start, end, dashed=edge.kind != "DIRECT", told=edge.how.lower())


def _line(
    drawing: ElementTree.Element, above: Box, below: Box, start: float, end: float, dashed: bool = False, told: str = ""
) -> None:
    left, right = above.x + above.width, below.x
    middle = (left + right) / 2
    path = f"M{left:.1f},{start:.1f} C{middle:.1f},{start:.1f} {middle:.1f},{end:.1f} {right:.1f},{end:.1f}"
    look = {"d": path, "fill": "none", "stroke": "#8a9099", "stroke-width": "1.2"}
    line = ElementTree.SubElement(drawing, "path", look | ({"stroke-dasharray": "3 3"} if dashed else {}))
    if told:
        _text(line, "title", told.replace("_", " "))


def _box(drawing: ElementTree.Element, box: Box, marked: bool) -> None:
    frame = {"stroke": "#1a56db", "stroke-width": "2.5"} if marked else {"stroke": "#5f6670", "stroke-width": "1"}
    place = {"x": f"{box.x:.1f}", "y": f"{box.y:.1f}", "width": f"{box.width:.1f}", "height": f"{box.height:.1f}"}
    ElementTree.SubElement(drawing, "rect", {**place, "rx": "4", "fill": FILLS[box.table.layer], **frame})
    for line, text in enumerate([box.table.alias, *box.rows]):
        y = box.y + PAD / 2 + LINE * (line + 0.5) + 4
        bold = {"font-weight": "bold"} if line == 0 else {}
        _text(drawing, "text", text, {"x": f"{box.x + PAD:.1f}", "y": f"{y:.1f}", **bold})


def _text(parent: ElementTree.Element, tag: str, text: str, look: dict[str, str] | None = None) -> None:
    ElementTree.SubElement(parent, tag, look or {}).text = _visible(text)


def _visible(text: str) -> str:
    return text.translate(NO_XML)
