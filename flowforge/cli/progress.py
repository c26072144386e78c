"""Following a run to its end: what to ask, when to stop, and how it looks meanwhile.

A run is over when every table is published, empty or failed, or when the request was rejected. An API that does not answer
for a moment is asked again: the run does not depend on anybody watching it. Most looks ask only for the tables that have changed;
the last one asks for all.
"""

import json
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.text import Text

from flowforge.cli import rendering
from flowforge.cli.api import Api
from flowforge.cli.failure import BAD_REQUEST, FAILED, GOOD, Failure
from flowforge.cli.run_tables import RunTables

TERMINAL = frozenset({"published", "empty", "failed"})
ENDED = frozenset({"succeeded", "failed", "rejected"})
# A run of small tables takes seconds, one of big tables minutes: the pause grows from the first to the second.
FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 2.0
UNREACHABLE_SECONDS = 30.0
WHOLE_SECONDS = 15.0  # between looks at all tables: a change that was told late is seen then
QUIET_SECONDS = 5.0  # without a change, before claims are looked at
CLAIM_SECONDS = 2.0
MOST_CLAIMS = 5


class StillRunning(Failure):
    """The time to watch is up; the run goes on."""


def finished(run: dict[str, Any]) -> bool:
    """Whether nothing of the run is left to happen."""
    if run.get("status") == "rejected":
        return True
    return bool(run["tables"]) and all(table.get("status") in TERMINAL for table in run["tables"])


def exit_code(run: dict[str, Any]) -> int:
    """0 when no table failed, 1 when one did, 2 when the request was rejected."""
    if run.get("status") == "rejected":
        return BAD_REQUEST
    failed = run.get("status") == "failed" or any(table.get("status") == "failed" for table in run["tables"])
    return FAILED if failed else GOOD


def follow(api: Api, run_id: str, timeout_seconds: float | None = None) -> Iterator[dict[str, Any]]:
    """Yields the run each time it was asked for, the finished one last; StillRunning when the time is up before."""
    started = answered = time.monotonic()
    claims, looks = _Claims(api), _Looks(api, run_id)
    pause = FIRST_PAUSE_SECONDS
    while True:
        try:
            run = looks.next()
        except Failure as failure:
            if not failure.transient or time.monotonic() - answered > UNREACHABLE_SECONDS:
                raise
        else:
            answered = time.monotonic()
            claims.tell(run)
            yield run
            if finished(run):
                return
        if timeout_seconds is not None and time.monotonic() - started >= timeout_seconds:
            raise StillRunning(
                f"run {run_id} is still under way after {timeout_seconds:g} s; it goes on without being watched",
                f"flowforge status {run_id} --watch",
                error="StillRunning",
            )
        time.sleep(pause)
        pause = min(pause * 1.1, LONGEST_PAUSE_SECONDS)


class _Looks:
    """A run as it is, by what has changed since the look before."""

    def __init__(self, api: Api, run_id: str):
        self._api, self._run_id = api, run_id
        self._since: str | None = None  # None: all of it is asked for
        self._whole_at = 0.0
        self._tables: list[dict[str, Any]] = []

    def next(self) -> dict[str, Any]:
        """The run with all of its tables; one that has come to its end as it is then, in one piece."""
        if self._since and time.monotonic() - self._whole_at < WHOLE_SECONDS:
            told = self._api.get("runs", self._run_id, since=self._since)
            changed = {_key(table): table for table in told["tables"]}
            run = told | {"tables": [changed.get(_key(table), table) for table in self._tables]}
            if run.get("status") not in ENDED and not finished(run):
                return self._kept(run)
        self._whole_at = time.monotonic()
        return self._kept(self._api.get("runs", self._run_id))

    def _kept(self, run: dict[str, Any]) -> dict[str, Any]:
        self._since, self._tables = run.pop("as_of", None), run["tables"]
        return run | {"tables": [dict(table) for table in self._tables]}  # a caller adds to them


def _key(table: dict[str, Any]) -> str:
    """Its name as it stays, however the catalog spells it."""
    return table["table"].lower()


class _Claims:
    """Whose worker has stopped, of the tables of a run that does not move: its claim stands in the way until it is free."""

    def __init__(self, api: Api):
        self._api, self._moved, self._state, self._asked = api, time.monotonic(), "", 0.0
        self._claims: dict[str, str] = {}

    def tell(self, run: dict[str, Any]) -> None:
        """Puts `waiting` to the tables that wait for a claim; asks seldom, and only while nothing else happens."""
        state, now = json.dumps(run, sort_keys=True), time.monotonic()
        if state != self._state:
            self._state, self._moved, self._claims = state, now, {}
        elif now - self._moved >= QUIET_SECONDS and now - self._asked >= CLAIM_SECONDS:
            waiting = [table["table"] for table in run["tables"] if table.get("status") in ("queued", "running")]
            self._claims = {name: told for name in waiting[:MOST_CLAIMS] if (told := self._claim(name, run))}
            self._asked = now
        for table in run["tables"]:
            if told := self._claims.get(table["table"]):
                table["waiting"] = told

    def _claim(self, name: str, run: dict[str, Any]) -> str | None:
        try:
            active = self._api.get("watermarks", name).get("active_batch") or {}
        except Failure:
            return None
        if active.get("run_id") == run.get("run_id") and active.get("rows_so_far") and _lives(active):
            return f"{active['rows_so_far']:,} rows so far"
        silent, left = active.get("silent_seconds"), active.get("free_in_seconds")
        if active.get("state") != "claimed" or silent is None or left is None or _lives(active):
            return None
        when = f"its claim is free in {left:.0f} s" if left > 0 else "its claim is free and goes to the next worker"
        return f"the worker stopped {silent:.0f} s ago; {when}"


def _lives(active: dict[str, Any]) -> bool:
    silent = active.get("silent_seconds")
    return silent is not None and silent <= active["heartbeat_seconds"] * 2


class Progress:
    """Shows a run's tables: a live table in a terminal, else one plain line for each change. A context manager."""

    def __init__(self, console: Console, indent: int = 0):
        self._console = console
        self._indent = indent
        self._seen: dict[str, str] = {}
        self._run: dict[str, Any] | None = None
        plain = not console.is_terminal or console.no_color
        self._live = None if plain else Live(console=console, get_renderable=self._frame, transient=True)

    def __enter__(self) -> "Progress":
        self._context.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._context.__exit__(*error)

    def show(self, run: dict[str, Any]) -> None:
        """Takes the run's newest state."""
        self._run = run
        if self._live is not None:
            return
        for table in run["tables"]:
            line = rendering.table_line(table)
            if self._seen.get(table["table"]) != line:
                self._seen[table["table"]] = line
                self._console.print(Text(" " * self._indent + line))

    @property
    def _context(self) -> AbstractContextManager[Any]:
        return self._live or nullcontext()

    def _frame(self) -> RenderableType:
        if self._run is None:
            return Text("waiting for the run …", style="dim")
        head = Text.assemble("run ", (self._run["run_id"], "bold"))
        waiting = [Text(f"{t['table']}  {t['waiting']}", "yellow") for t in self._run["tables"] if t.get("waiting")]
        shown = Group(head, RunTables(self._run["tables"], live=True), *waiting)
        return Padding(shown, (0, 0, 0, self._indent), expand=False)


def watch(
    api: Api, run_id: str, console: Console, timeout_seconds: float | None = None, *, indent: int = 0
) -> dict[str, Any]:
    """Follows a run on the console and returns it finished."""
    run: dict[str, Any] = {}
    with Progress(console, indent) as progress:
        for run in follow(api, run_id, timeout_seconds):
            progress.show(run)
    return run
