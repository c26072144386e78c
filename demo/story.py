"""What the demo prints: short headings, what happened to each table, and the verdict."""

from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from demo.bank import Changed
from demo.evidence import Evidence
from flowforge.cli import layout, rendering
from flowforge.cli.failure import Failure
from flowforge.cli.quality import rules_held
from flowforge.gold.graph import ModelState
from flowforge.operations.query import QueryResult

INDENT = 3
_NAMES = ("table", "landed", "silver", "watermark before", "watermark after", "seconds")


class Story:
    """Tells the demo on one console: coloured in a terminal, plain in a pipe."""

    def __init__(self, console: Console):
        self.console = console
        self._chapter = 0

    def chapter(self, title: str) -> None:
        """Begins the next step."""
        self._chapter += 1
        self.console.print(Text(f"\n{self._chapter}  {title}", style="bold"))

    def tell(self, text: str, style: str = "") -> None:
        """One line."""
        self.console.print(Text(" " * INDENT + text, style=style))

    def stack(self, stack: dict[str, Any], seconds: float) -> None:
        """Where the parts of the stack are."""
        source = stack["sqlserver"]
        rows = [
            ("API", stack["api"]),
            ("S3", f"{stack['s3']}, bucket {stack['bucket']}"),
            ("SQL Server", f"{source['host']}:{source['port']}, database {source['database']} (the stand-in)"),
            ("ready in", f"{seconds:.1f} s"),
        ]
        self._indented(layout.facts(rows))

    def changes(self, changed: dict[str, Changed]) -> None:
        """What was changed in the source."""
        rows = ([name, len(done.updated), len(done.inserted)] for name, done in changed.items())
        self._indented(layout.table(["source table", "rows updated", "rows inserted"], rows))

    def run(self, run: dict[str, Any]) -> None:
        """A finished run; in a pipe its lines have been told already."""
        if self.console.is_terminal or any(table.get("error") for table in run["tables"]):
            self._indented(rendering.run_summary(run, details=any(table.get("error") for table in run["tables"])))

    def happened(self, loads: dict[str, dict[str, dict[str, Any]]]) -> None:
        """Per load and table: rows landed, silver rows, the watermark before and after, the time, the bronze object."""
        for load, tables in loads.items():
            self.tell(load, "bold")
            self._indented(layout.Rows(_NAMES, [_row(name, told) for name, told in tables.items()]))
            for told in tables.values():
                self.tell(f"{told.get('bronze_key')}  {rendering.size(told.get('file_size_bytes'))}", "dim")

    def models(self, states: list[ModelState]) -> None:
        """The gold tables after a load."""
        names = ("table", "state", "build", "reads", "rows", "rules")
        rows = [
            [f"gold.{s.table}", s.state, s.strategy, ", ".join(s.reads), layout.number(s.rows), rules_held(s.quality)]
            for s in states
        ]
        self._indented(layout.table(names, rows))
        for state in states:
            for figure in state.quality:
                if figure.failed:
                    self._indented(rendering.broken_rule(f"gold.{state.table}", figure.model_dump()))

    def answer(self, sql: str, answer: QueryResult) -> None:
        """A query with its answer."""
        self.tell(sql, "cyan")
        self._indented(layout.table(answer.columns, answer.rows))
        self.tell(f"{len(answer.rows)} rows in {answer.seconds:.2f} s", "dim")

    def failure(self, failure: Failure) -> None:
        """Why the demo could not go on."""
        self.console.print(Text(f"\n✘ {failure.message}", style="bold red"))
        for line in failure.remedy.splitlines():
            self.tell(line)

    def verdict(self, evidence: Evidence, seconds: float) -> None:
        """Whether everything was right, else what was not."""
        if not evidence.wrong:
            told = f"✔ All {evidence.made} checks against the source hold. {seconds:.1f} s in all."
            self.console.print(Text(f"\n{told}", style="bold green"))
            self.tell(
                "Next: flowforge up serves all of this at http://127.0.0.1:8080/; flowforge console lets a browser in.",
                "dim",
            )
            return
        self.console.print(Text(f"\n✘ {len(evidence.wrong)} of {evidence.made} checks failed:", style="bold red"))
        for line in evidence.wrong:
            self.tell(line, "red")

    def _indented(self, shown: Any) -> None:
        self.console.print(Padding(shown, (0, 0, 0, INDENT), expand=False))


def _row(name: str, told: dict[str, Any]) -> list[Any]:
    spent = sum(value for value in (told.get("seconds") or {}).values() if value is not None)
    return [
        name,
        layout.number(told.get("records")),
        layout.number(told.get("silver_rows")),
        layout.moment(told.get("watermark_before")),
        layout.moment(told.get("watermark_after")),
        Text(f"{spent:.2f}", justify="right"),
    ]
