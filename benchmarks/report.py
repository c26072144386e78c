"""Tables of results in Markdown, and where they were measured. Pure text: no figure is made up here."""

import os
import platform
from collections.abc import Sequence
from pathlib import Path

from benchmarks.contenders import CONNECTORX, CONTENDERS, FETCHMANY, FLOOR, OURS
from benchmarks.measurement import Result

HEAD = "| | rows/s | wall s | CPU s | peak RSS MB | Parquet MB | × fetchmany |\n|---|--:|--:|--:|--:|--:|--:|"


def machine() -> str:
    """Processor, cores, memory, system, as one line."""
    facts = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    names = [line.partition(":")[2].strip() for line in facts.splitlines() if line.startswith("model name")]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    system = f"{platform.system()} {platform.release()}, Python {platform.python_version()}"
    return f"{names[0] if names else platform.machine()}, {os.cpu_count()} cores, {memory:.0f} GiB, {system}"


def quick_line(results: Sequence[Result]) -> dict[str, float]:
    """The figures of `make bench-quick`. Raises KeyError when one of the three has no result."""
    found = {result.contender: result for result in results if result.runs}
    ours = found[OURS]
    return {
        "rows_per_second": round(ours.rows_per_second),
        "ratio_vs_fetchmany": round(ours.rows_per_second / found[FETCHMANY].rows_per_second, 2),
        "ratio_vs_connectorx": round(ours.rows_per_second / found[CONNECTORX].rows_per_second, 2),
        "peak_rss_mb": round(ours.peak_rss_mb, 1),
        "cpu_seconds": round(ours.cpu_seconds, 2),
    }


def table(results: Sequence[Result]) -> str:
    """One row per contender, medians, in the order of CONTENDERS; those without a run say why."""
    measured = {result.contender: result for result in results}
    base = measured.get(FETCHMANY)
    lines = [HEAD]
    for name in CONTENDERS:
        result = measured.get(name)
        if result is None:
            continue
        if not result.runs:
            lines.append(f"| {name} | – | | | | | not run: {(result.reason or '').replace('|', '/')} |")
            continue
        ratio = f"{result.rows_per_second / base.rows_per_second:.1f}" if base and base.runs else ""
        shown = f"**{name}**" if name == OURS else name
        lines.append(
            f"| {shown} | {result.rows_per_second:,.0f} | {result.wall_seconds:.2f} | {result.cpu_seconds:.2f} |"
            f" {result.peak_rss_mb:.0f} | {result.landed_mb:.1f} | {ratio} |"
        )
    return "\n".join(lines)


def remarks(results: Sequence[Result]) -> list[str]:
    """What follows from a table: the factor of the floor, the ratios that are goals, CPU per million rows."""
    measured = {result.contender: result for result in results if result.runs}
    if OURS not in measured:
        return []
    ours, said = measured[OURS], []
    readers = [result for name, result in measured.items() if name != FLOOR]
    if FLOOR in measured:
        fastest = max(readers, key=lambda result: result.rows_per_second)
        factor = measured[FLOOR].rows_per_second / fastest.rows_per_second
        said.append(
            f"The server delivers {factor:.1f} × as fast as the fastest reader ({fastest.contender}) takes rows."
        )
    tools = [result for result in readers if result.contender.startswith(("dlt", "ConnectorX", "Sling", "Rivet"))]
    if tools:
        best = max(tools, key=lambda result: result.rows_per_second)
        ratio = ours.rows_per_second / best.rows_per_second
        said.append(
            f"FlowForge reads {ratio:.1f} × as fast as the best of dlt, ConnectorX, Sling and Rivet ({best.contender})."
        )
    per_million = ours.cpu_seconds * 1e6 / ours.rows
    said.append(f"FlowForge takes {per_million:.1f} CPU seconds per million rows of this table.")
    return said
