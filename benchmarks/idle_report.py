"""What an idle run over many tables cost, in words: each kind of run, and what they come to in a day."""

from typing import NamedTuple

ASKED = 20  # tables that ask for themselves and are measured
RUNS_A_DAY, MOVES_A_DAY = 288, 4  # a run each five minutes; a watermark moves every six hours


class Cost(NamedTuple):
    """One run: seconds and CPU seconds of its functions, calls of AWS, messages, dollars, and what the source did."""

    what: str
    wall_seconds: float
    cpu_seconds: float
    calls: int
    messages: int
    dollars: float
    source_cpu: float
    sent_mb: float
    requests: float


def text(measured: tuple[int, list[Cost]]) -> str:
    """The runs, and what they come to in a day."""
    tables, found = measured
    idle, moving, _, alone, _ = found
    day = (RUNS_A_DAY - MOVES_A_DAY) * idle.dollars + MOVES_A_DAY * moving.dollars
    opening = (
        f"{tables:,} tables under Change Tracking that were loaded before, one request for all. One table was loaded; the others"
        " have the state that such a load leaves. What submit_job does for the request is measured in a process that has its"
        f" imports; of tables that ask for themselves {ASKED} are measured, what ingest_table and track_run do for each, and"
        " multiplied. Calls are those of AWS; dollars are list prices as `flowforge cost` has them, of the seconds on this"
        " machine. Requests are what the source got; its CPU is the stand-in's, which is not SQL Server. Medians of 3 where"
        " watermarks do not move."
    )
    lines = [
        opening,
        "",
        "| run | messages | calls | s | CPU s | requests | source CPU s | MB read | US dollars |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for one in found:
        times = f"{one.wall_seconds:.2f} | {one.cpu_seconds:.2f} | {one.requests:,.0f} | {one.source_cpu:.2f} | {one.sent_mb:.2f}"
        lines.append(f"| {one.what} | {one.messages:,.0f} | {one.calls:,.0f} | {times} | {one.dollars:.5f} |")
    one_by_one = (RUNS_A_DAY * figure for figure in (alone.dollars, alone.calls, alone.cpu_seconds))
    told = (
        f"A run every five minutes, {RUNS_A_DAY} a day, in which nothing changes: {day:.2f} dollars a day"
        f" ({RUNS_A_DAY * idle.calls:,.0f} calls, {MOVES_A_DAY * (moving.calls - idle.calls):,.0f} more that move watermarks,"
        f" {RUNS_A_DAY * idle.cpu_seconds:,.0f} CPU seconds); where each table asks for itself"
        " {:,.2f} dollars ({:,.0f} calls, {:,.0f} CPU seconds).".format(*one_by_one)
    )
    return "\n".join([*lines, "", told])
