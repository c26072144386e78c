"""What the fault tests have tried and what was lost, summed for one table and one line of JSON."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields


@dataclass
class Figures:
    """Counts of what was tried, and of rows: compared, missing, too many; `control_lost` is what a naive reader lost."""

    schedules: int = 0
    kills: int = 0
    redeliveries: int = 0
    faults: int = 0
    rows_checked: int = 0
    lost: int = 0
    doubled: int = 0
    control_lost: int = 0

    def add(self, **more: int) -> None:
        """Adds to the figures by their names."""
        for name, count in more.items():
            setattr(self, name, getattr(self, name) + count)


@dataclass
class Tally:
    """Figures by what was tried, in the order in which it was."""

    tried: dict[str, Figures] = field(default_factory=dict)

    def add(self, what: str, **more: int) -> None:
        """Adds to what was tried under the name `what`, a few words for a reader."""
        self.tried.setdefault(what, Figures()).add(**more)

    def figures(self) -> dict[str, dict[str, int]]:
        """All that was added, as plain data: another tally may add it again."""
        return {what: asdict(figures) for what, figures in self.tried.items()}

    def total(self) -> Figures:
        total = Figures()
        for figures in self.tried.values():
            total.add(**asdict(figures))
        return total

    def table(self) -> Iterable[str]:
        """The lines of the table."""
        names = [item.name for item in fields(Figures)]
        rows = [[what, *(f"{getattr(figures, name):,}" for name in names)] for what, figures in self.tried.items()]
        rows.append(["total", *(f"{getattr(self.total(), name):,}" for name in names)])
        head = ["what was tried", *(name.replace("_", " ") for name in names)]
        widths = [max(len(row[n]) for row in [head, *rows]) for n in range(len(head))]
        for row in [head, ["-" * width for width in widths], *rows]:
            first, *rest = row
            yield "  ".join([first.ljust(widths[0]), *(c.rjust(w) for c, w in zip(rest, widths[1:], strict=True))])
