"""What the measurements of changes and of idle runs say."""

import pytest

from benchmarks.changes import FULL, KEYS, TRACKED, Measured, kept, text
from benchmarks.changing import Load
from benchmarks.idle_report import Cost
from benchmarks.idle_report import text as idle_text
from benchmarks.measurement import Run


def measured(way: str, share: float, seconds: float) -> Measured:
    return Measured(way, share, Run(seconds, 2.0, 300.0), Load(1.5, 12.25, 40, 5_000))


def test_should_show_the_ways_side_by_side_by_what_has_changed():
    shown = text(
        5_000, [measured(KEYS, 0.1, 3), measured(TRACKED, 0.1, 2), measured(TRACKED, 0.001, 1), measured(FULL, 0.1, 9)]
    )
    assert [line.split(" | ")[:3] for line in shown.splitlines() if line.startswith("| ") and "%" in line] == [
        ["| 0.1%", TRACKED, "1.0"],
        ["| 10.0%", FULL, "9.0"],
        ["| 10.0%", TRACKED, "2.0"],
        ["| 10.0%", KEYS, "3.0"],
    ]


def test_should_keep_the_figures_of_other_ways_and_replace_its_own(tmp_path):
    file = tmp_path / "kept.json"
    kept(file, [measured(FULL, 0.1, 9), measured(FULL, 0.01, 8)])
    kept(file, [measured(TRACKED, 0.1, 2)])
    assert kept(file, [measured(TRACKED, 0.1, 1)]) == [
        measured(FULL, 0.1, 9),
        measured(FULL, 0.01, 8),
        measured(TRACKED, 0.1, 1),
    ]
    assert kept(None, [measured(FULL, 0.1, 9)]) == [measured(FULL, 0.1, 9)]


def test_should_tell_what_idle_runs_cost_in_a_day():
    idle, moving = Cost("idle", 1, 0.5, 20, 0, 0.001, 0.2, 0.1, 9), Cost("moving", 2, 1, 1_020, 0, 0.003, 0.2, 0.1, 40)
    changed, alone = (
        Cost("changed", 1, 0.5, 25, 10, 0.001, 0.2, 0.1, 40),
        Cost("alone", 300, 50, 7_000, 1_000, 0.01, 9, 8, 9_000),
    )
    told = idle_text((1_000, [idle, moving, changed, alone, idle])).splitlines()[-1]
    assert "288 a day, in which nothing changes: 0.30 dollars a day (5,760 calls, 4,000 more that move" in told
    assert "2.88 dollars (2,016,000 calls, 14,400 CPU seconds)" in told
    assert pytest.approx(0.296) == (288 - 4) * 0.001 + 4 * 0.003
