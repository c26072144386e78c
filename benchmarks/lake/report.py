"""Results as a table in Markdown and as data. Pure: no figure is made up here."""

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.lake.cases import CONTENDERS, OURS, PLAIN

HEAD = "| case | contender | seconds | CPU s | peak RSS MB | FlowForge is × as fast |\n|---|---|--:|--:|--:|--:|"


@dataclass(frozen=True)
class Outcome:
    """What a contender took for a case, or why it has no figures."""

    case: str
    contender: str
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_mb: float = 0.0
    reason: str | None = None

    @property
    def text(self) -> str:
        """One line."""
        figures = f"{self.seconds:.1f} s, {self.cpu_seconds:.1f} CPU s, {self.peak_mb:.0f} MB"
        return f"{self.contender}: {self.reason or figures}"


def table(outcomes: Sequence[Outcome]) -> str:
    """One row per case and contender, in the order of CONTENDERS."""
    lines = [HEAD]
    for case in dict.fromkeys(outcome.case for outcome in outcomes):
        of = {outcome.contender: outcome for outcome in outcomes if outcome.case == case}
        for name in (name for name in CONTENDERS if name in of):
            lines.append(_row(case, of[name], of.get(OURS)))
    return "\n".join(lines)


def _row(case: str, found: Outcome, ours: Outcome | None) -> str:
    shown = f"**{found.contender}**" if found.contender == OURS else found.contender
    if found.reason:
        return f"| {case} | {shown} | – | | | {found.reason.replace('|', '/')} |"
    compared = ours if ours is not None and not ours.reason and found.contender != OURS else None
    ratio = f"{found.seconds / compared.seconds:.1f}" if compared else ""
    return f"| {case} | {shown} | {found.seconds:.1f} | {found.cpu_seconds:.1f} | {found.peak_mb:.0f} | {ratio} |"


def figures(outcomes: Sequence[Outcome]) -> dict[str, dict]:
    """Per case: each contender's seconds and peak MB, or its reason; how many times as fast FlowForge is as the others, and its
    memory as a part of plain deltalake's."""
    found: dict[str, dict] = {}
    for outcome in outcomes:
        figure = {"reason": outcome.reason}
        if not outcome.reason:
            figure = {"seconds": round(outcome.seconds, 2), "peak_mb": round(outcome.peak_mb)}
        found.setdefault(outcome.case, {})[outcome.contender] = figure
    for of in found.values():
        ours = of.get(OURS, {})
        others = {n: f for n, f in of.items() if n != OURS and "seconds" in f and "seconds" in ours}
        of["times_as_fast"] = {name: round(f["seconds"] / ours["seconds"], 2) for name, f in others.items()}
        if PLAIN in others:
            of["memory_ratio"] = round(ours["peak_mb"] / others[PLAIN]["peak_mb"], 2)
    return found
