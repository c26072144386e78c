"""The graph that events tell, and its drawing: whatever the tables, and also in a circle."""

from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from flowforge.cli.lineage_drawing import draw
from flowforge.domain.given import given as present
from flowforge.lineage.graph import Graph, graph_of

SVG = "{http://www.w3.org/2000/svg}"
NAMES = [f"t{n}" for n in range(7)]
EDGES = st.sets(st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES)).filter(lambda pair: pair[0] != pair[1]))


def dataset(name: str) -> dict:
    named = {"symlinks": {"identifiers": [{"namespace": "s3://lake", "name": f"gold.{name}", "type": "TABLE"}]}}
    return {"namespace": "s3://lake", "name": f"gold/{name}", "facets": named}


def graph(*edges: tuple[str, str]) -> Graph:
    """The graph of one event for each edge (made from, made)."""
    return graph_of(
        {"eventTime": "2026-11-23T12:00:00Z", "inputs": [dataset(above)], "outputs": [dataset(below)]}
        for above, below in sorted(edges)
    )


def left_edges(text: str) -> list[float]:
    """Where the boxes stand, in the order of their tables."""
    return [float(present(box.get("x"))) for box in ElementTree.fromstring(text).iter(f"{SVG}rect")]  # noqa: S314 - our own


@given(EDGES)
def test_should_draw_every_graph_with_each_table_right_of_what_it_is_made_from(edges):
    forward = {(min(pair), max(pair)) for pair in edges} or {("t0", "t1")}
    found = graph(*forward)
    places = dict(zip(sorted(found.tables), left_edges(draw(found, min(found.tables))), strict=True))
    assert all(places[above] < places[below] for above, below in found.edges)


@given(EDGES, st.sampled_from(NAMES))
def test_should_reach_what_a_table_has_to_do_with_also_in_a_circle(edges, name):
    found = graph(*edges, ("t0", name), (name, "t1"))
    around = found.around(found.find(name).id)
    assert {found.find("t0").id, found.find(name).id, found.find("t1").id} <= set(around.tables)
    assert len(left_edges(draw(around, found.find(name).id))) == len(around.tables)


def test_should_draw_the_same_text_each_time():
    found = graph(("a", "b"), ("a", "c"), ("b", "d"), ("c", "d"))
    assert draw(found, found.find("d").id) == draw(
        graph(*[("c", "d"), ("b", "d"), ("a", "c"), ("a", "b")]), found.find("d").id
    )


def test_should_spell_out_what_xml_cannot_hold():
    found = graph(("a\x00b\x1f", "<script>alert(1)</script>"))
    text = draw(found, found.find("<script>alert(1)</script>").id)
    assert "a\\x00b\\x1f" in text
    assert "<script>" not in text
