"""What a command prints and where: answers on stdout, messages on stderr, one JSON document when asked.

How values look is said in `layout`. A reader that goes away ends the
process quietly with 141, as it would end `cat`.
"""

import json
import os
import sys
from contextlib import suppress
from typing import Any, NoReturn

from rich.console import Console, RenderableType
from rich.text import Text

from flowforge.cli.failure import PIPE_CLOSED, Failure
from flowforge.cli.layout import PIPE_COLUMNS, table
from flowforge.cli.streams import lead_nowhere, takes


class _Console(Console):
    """A console that leaves with the shell's code for a closed pipe."""

    def on_broken_pipe(self) -> None:
        leave_pipe()


def leave_pipe() -> NoReturn:
    """Ends the process quietly: whoever read its output stopped reading."""
    for stream in (sys.stdout, sys.stderr):
        lead_nowhere(stream)
    raise SystemExit(PIPE_CLOSED)


def console(*, stderr: bool = False) -> Console:
    """A console for stdout or stderr; on a pipe its lines are not wrapped and carry no colour."""
    stream = sys.stderr if stderr else sys.stdout
    columns = os.environ.get("COLUMNS", "")
    width = None if stream.isatty() or columns.isdigit() else PIPE_COLUMNS
    return _Console(stderr=stderr, width=width, markup=False, highlight=False, emoji=False)


class Output:
    """The two streams of one command."""

    def __init__(self, as_json: bool):
        self.as_json = as_json
        self.answers = console()
        self.messages = console(stderr=True)

    def answer(self, document: Any, *shown: RenderableType) -> None:
        """Prints `document` as JSON when asked for it, else what is `shown`."""
        if self.as_json:
            self.line(document_text(document))
        else:
            self.answers.print(*shown, sep="\n", crop=False, overflow="ignore")

    def line(self, text: str) -> None:
        """Writes one raw line to stdout."""
        try:
            print(text)
        except BrokenPipeError:
            leave_pipe()

    def say(self, message: str, style: str | None = None) -> None:
        """Tells something beside the answer, on stderr."""
        self.messages.print(Text(message, style=style or ""))

    def failure(self, failure: Failure) -> None:
        """Tells a failure on stderr, every mistake in a table; with `--json` its document goes to stdout."""
        if self.as_json:
            self.line(document_text(failure.document()))
        self.say(f"Error: {failure.message}", style="red")
        if failure.mistakes:
            rows = ((m.get("field", ""), m.get("problem", "")) for m in failure.mistakes)
            self.messages.print(table(["field", "problem"], rows))
        if failure.remedy:
            self.say(f"What to do: {failure.remedy}")

    def flush(self) -> None:
        """Writes out what is buffered while a closed pipe can still be told from a bug."""
        try:
            sys.stdout.flush()
        except BrokenPipeError:
            leave_pipe()

    def last_failure(self, failure: Failure) -> None:
        """Tells a failure where stdout or stderr may be what cannot be written. What could not be written goes nowhere, or Python
        tries again at its end."""
        with suppress(OSError):
            Output(as_json=False).failure(failure)
        try:
            if self.as_json:
                self.line(document_text(failure.document()))
            sys.stdout.flush()
        except OSError:
            lead_nowhere(sys.stdout)


def document_text(document: Any) -> str:
    """A document as JSON that is the same document in any encoding: what stdout has no letters for is escaped as JSON does it."""
    text = json.dumps(document, indent=2, ensure_ascii=False)
    return text if takes(text, sys.stdout) else json.dumps(document, indent=2)
