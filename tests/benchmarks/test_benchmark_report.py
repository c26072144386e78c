"""The pure parts of the benchmarks: what is printed and written. Nothing here is timed."""

import json
from datetime import UTC, datetime

from benchmarks import document, report
from benchmarks.contenders import CONNECTORX, FETCHMANY, FLOOR, OURS
from benchmarks.document import Section
from benchmarks.measurement import Result, Run
from benchmarks.shapes import SHAPES

ROWS = 1_000_000


def result(name: str, *seconds: float) -> Result:
    return Result(name, ROWS, tuple(Run(wall, wall / 2, 100.0, 75.0) for wall in seconds))


def test_should_take_medians_of_whole_runs() -> None:
    found = result(OURS, 2.0, 9.0, 4.0)
    assert (found.wall_seconds, found.cpu_seconds, found.rows_per_second) == (4.0, 2.0, 250_000)


def test_should_end_the_quick_run_with_five_figures() -> None:
    line = report.quick_line([result(FETCHMANY, 24.0), result(CONNECTORX, 8.0), result(OURS, 2.0)])
    assert json.loads(json.dumps(line)) == {
        "rows_per_second": 500_000,
        "ratio_vs_fetchmany": 12.0,
        "ratio_vs_connectorx": 4.0,
        "peak_rss_mb": 100.0,
        "cpu_seconds": 1.0,
    }


def test_should_list_a_peer_that_cannot_run_with_its_reason() -> None:
    table = report.table([result(FETCHMANY, 24.0), Result("Sling", ROWS, reason="no | binary"), result(OURS, 2.0)])
    assert "| Sling | – | | | | | not run: no / binary |" in table
    assert f"| **{OURS}** | 500,000 | 2.00 | 1.00 | 100 | 75.0 | 12.0 |" in table


def test_should_say_how_far_the_server_is_from_being_the_bottleneck() -> None:
    said = report.remarks([result(FLOOR, 0.2), result(CONNECTORX, 8.0), result(OURS, 2.0)])
    assert said[0] == f"The server delivers 10.0 × as fast as the fastest reader ({OURS}) takes rows."
    assert said[1].startswith("FlowForge reads 4.0 × as fast")


def test_should_replace_a_section_that_is_measured_again() -> None:
    first = Section.of("narrow", 10, 3, False, datetime(2026, 1, 1, tzinfo=UTC), [result(OURS, 1.0)])
    with_tls = Section.of("narrow", 10, 3, True, datetime(2026, 1, 2, tzinfo=UTC), [result(OURS, 2.0)])
    again = Section.of("narrow", 10, 3, False, datetime(2026, 1, 3, tzinfo=UTC), [result(OURS, 4.0)])
    written = "# Benchmarks\n"
    for section in (first, with_tls, again):
        written = document.merged(written, section)
    assert written.count("## narrow, 10 rows\n") == written.count("## narrow, 10 rows, TLS\n") == 1
    assert "2026-01-03" in written and "2026-01-01" not in written
    assert written.index("## narrow, 10 rows\n") < written.index("## narrow, 10 rows, TLS\n")


def test_should_declare_the_shapes_that_are_promised() -> None:
    assert {name: len(shape.columns) for name, shape in SHAPES.items()} == {
        "bank": 20,
        "narrow": 4,
        "wide": 200,
        "text": 9,
        "max": 2,
    }
