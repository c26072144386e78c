"""`flowforge submit` and `flowforge status`: start a job, and tell what became of it."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flowforge.cli.document import read_document, redirected, windowed, workflow_of
from flowforge.cli.failure import GOOD, INTERRUPTED, BadRequest
from flowforge.cli.options import Session, api_command
from flowforge.cli.output import Output
from flowforge.cli.target import local_stack

if TYPE_CHECKING:
    from flowforge.cli.api import Api

RUNS_AT_ONCE = 200  # which the API gives


class RunStatus(StrEnum):
    """What a list of runs can be of: under-way is accepted or running, failed is failed or rejected."""

    UNDER_WAY = "under-way"
    FAILED = "failed"
    SUCCEEDED = "succeeded"


Watch = Annotated[bool, typer.Option("--watch", help="Follow the run until every table is published, empty or failed.")]
Timeout = Annotated[float | None, typer.Option("--timeout", min=0, metavar="SECONDS", help="Stop watching after it.")]
Source = Annotated[
    str | None, typer.Option("--source", metavar="HOST:PORT", help="Read from here instead of the document's host.")
]
Connection = Annotated[
    str | None, typer.Option("--connection", metavar="ID", help="A saved connection instead of the document's.")
]
From = Annotated[
    str | None,
    typer.Option("--from", metavar="VALUE", help="Load the rows from this value of the delta column on once more."),
]
To = Annotated[
    str | None, typer.Option("--to", metavar="VALUE", help="The same, below this value; default: the watermark.")
]
Column = Annotated[
    str | None,
    typer.Option(
        "--backfill-column", metavar="NAME", help="Load all that is loaded once more, for a column that it lacks."
    ),
]


@api_command
def submit(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A job request (JSON); - reads stdin.")],
    session: Session,
    watch: Watch = False,
    timeout: Timeout = None,
    source: Source = None,
    connection: Connection = None,
    *,
    low: From = None,
    high: To = None,
    column: Column = None,
) -> int:
    """Submit a job request; the run exists when this returns. With --watch exits 1 when a table failed. With --from or --to a
    part of each table is read once more, with --backfill-column all that is loaded; watermarks stay."""
    if source is not None and connection is not None:
        raise BadRequest("give --source or --connection, not both")
    content, document = read_document(file)
    workflow = workflow_of(document, file)
    redirects = source is not None or connection is not None
    if not redirects:
        _refuse_another_port(document, session)
    body: bytes | dict[str, Any] = content
    if (low, high, column) != (None, None, None):
        body = document = windowed(document, low, high, column)
    if redirects:
        body = redirected(document, source, connection)
    with session.open() as api:
        accepted = api.post("workflows", workflow, "run", body=body)
        return told_of(api, accepted, watch, timeout, session.out)


@api_command
def status(
    session: Session,
    run: Annotated[str | None, typer.Argument(metavar="[RUN]", help="A run; without it the newest are listed.")] = None,
    watch: Watch = False,
    timeout: Timeout = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="How many runs to list.")] = 20,
    workflow: Annotated[str | None, typer.Option("--workflow", metavar="ID", help="List one workflow's runs.")] = None,
    only: Annotated[RunStatus | None, typer.Option("--status", help="List the runs with this status.")] = None,
) -> int:
    """List runs, or show one with its tables; exits 1 when a table of it failed."""
    from flowforge.cli import progress, rendering

    if run is None and watch:
        raise BadRequest("--watch needs a run", "flowforge status lists them")
    if run is not None and only is not None:
        raise BadRequest("--status chooses among the runs of the list", "leave it out to show one run")
    with session.open() as api:
        if run is None:
            asked = {"workflow_id": workflow, "status": only and only.value}
            listed = api.all_pages("runs", "runs", most=limit, limit=min(limit, RUNS_AT_ONCE), **asked)
            none = "No run has this status." if only else "No runs yet."
            session.out.answer(listed, rendering.run_list(listed["runs"]) if listed["runs"] else none)
            return GOOD
        if watch:
            return _watch(api, run, timeout, session.out)
        found = api.get("runs", run)
    session.out.answer(found, rendering.run_summary(found))
    return progress.exit_code(found)


def told_of(api: "Api", accepted: dict[str, Any], watch: bool, timeout: float | None, out: Output) -> int:
    """Tells of a run that was accepted, and follows it where that is wanted; the exit code."""
    told = f"Run {accepted['run_id']} accepted: {', '.join(accepted['tables'])}"
    if watch:
        out.say(told)
        return _watch(api, accepted["run_id"], timeout, out)
    out.answer(accepted, told)
    out.say(f"Follow it with: flowforge status {accepted['run_id']} --watch", style="dim")
    return GOOD


def _refuse_another_port(document: dict[str, Any], session: Session) -> None:
    """The stand-in takes another port when its own is in use, and documents name the usual one: which is meant?"""
    serves = (local_stack(session.api) or {}).get("sqlserver")
    config = document.get("source_config")
    named = config.get("connection") if isinstance(config, dict) else None
    if not serves or not isinstance(named, dict) or named.get("host") not in ("localhost", "127.0.0.1"):
        return
    if named.get("port", 1433) != serves["port"]:
        place, own = f"{serves['host']}:{serves['port']}", f"{named['host']}:{named.get('port', 1433)}"
        raise BadRequest(
            f"the document reads from {own}, and the local stack's SQL Server is at {place}; nothing was submitted",
            f"add --source {place} to read from the stack's, or --source {own} to read from the other one",
        )


def _watch(api: "Api", run_id: str, timeout: float | None, out: Output) -> int:
    from flowforge.cli import progress, rendering

    try:
        # The progress is no part of the JSON answer, so it goes beside it.
        run = progress.watch(api, run_id, out.messages if out.as_json else out.answers, timeout)
    except KeyboardInterrupt:
        out.say(f"No longer watching; run {run_id} goes on. See it with: flowforge status {run_id}")
        return INTERRUPTED
    out.answer(run, rendering.run_summary(run))
    return progress.exit_code(run)
