"""`flowforge schedules`: when workflows are started by themselves, by a clock or after others, and what became of it last."""

from typing import Annotated, Any

import typer
from rich.text import Text

from flowforge.cli.document import read_document, redirected, workflow_of
from flowforge.cli.failure import FAILED, GOOD
from flowforge.cli.layout import Rows, facts, moment
from flowforge.cli.options import Session, api_command
from flowforge.cli.runs import Connection

app = typer.Typer(
    help="Start workflows by a clock: set, list, show, pause, resume and remove schedules.", no_args_is_help=True
)

Workflow = Annotated[str, typer.Argument(metavar="WORKFLOW", help="The workflow's id.")]


@app.command("list")
@api_command
def list_all(session: Session) -> int:
    """List the schedules: when each is due next, and what became of it last. Exits 1 when one cannot be read or looked after."""
    with session.open() as api:
        answer = api.all_pages("schedules", "schedules")
    found = answer["schedules"]
    rows = [[one["workflow_id"], _when(one), _next(one), one.get("last_run"), _told(one)] for one in found]
    shown = Rows(["workflow", "when", "next", "last run", "told"], rows, prose="told")
    session.out.answer(answer, shown if rows else "No schedules.")
    return FAILED if any(one.get("problem") for one in found) else GOOD


@app.command("show")
@api_command
def show(workflow: Workflow, session: Session) -> int:
    """Show a workflow's schedule with its next times and its last run."""
    with session.open() as api:
        answer = api.get("schedules", workflow)
    session.out.answer(answer, *_shown(answer))
    return GOOD


@app.command("set")
@api_command
def put(  # noqa: PLR0917 (typer passes them by name)
    file: Annotated[str, typer.Argument(metavar="FILE", help="The job request (JSON) to submit; - reads stdin.")],
    session: Session,
    cron: Annotated[
        str | None, typer.Option("--cron", metavar="FIELDS", help='Five fields of a crontab: "30 2 * * 1-5".')
    ] = None,
    rate: Annotated[
        str | None, typer.Option("--rate", metavar="TEXT", help='"15 minutes", "1 hour", "2 days".')
    ] = None,
    after: Annotated[
        str | None,
        typer.Option("--after", metavar="WORKFLOW", help="Start it once after each run of this one that succeeds."),
    ] = None,
    timezone: Annotated[
        str | None, typer.Option("--timezone", metavar="NAME", help="IANA name of the time zone of --cron; else UTC.")
    ] = None,
    paused: Annotated[bool, typer.Option("--paused", help="Set it, and start nothing until it is resumed.")] = False,
    connection: Connection = None,
) -> int:
    """Set the schedule of the request's workflow, in place of the one before. The request is checked as by submit."""
    _, document = read_document(file)
    workflow = workflow_of(document, file)
    request = document if connection is None else redirected(document, None, connection)
    when = {"cron": cron, "rate": rate, "after": after, "timezone": timezone}
    body = {"request": request, "paused": paused} | {name: value for name, value in when.items() if value is not None}
    with session.open() as api:
        answer = api.put("schedules", workflow, body=body)
    session.out.answer(answer, *_shown(answer))
    return GOOD


@app.command("pause")
@api_command
def pause(workflow: Workflow, session: Session) -> int:
    """Let a schedule start nothing until it is resumed."""
    with session.open() as api:
        answer = api.post("schedules", workflow, "pause", body={})
    session.out.answer(answer, f"{workflow} is paused.")
    return GOOD


@app.command("resume")
@api_command
def resume(workflow: Workflow, session: Session) -> int:
    """Let a paused schedule go on with its next time."""
    with session.open() as api:
        answer = api.post("schedules", workflow, "resume", body={})
    session.out.answer(answer, Text.assemble(f"{workflow} goes on: ", _next(answer)))
    return GOOD


@app.command("remove")
@api_command
def remove(workflow: Workflow, session: Session) -> int:
    """Remove a workflow's schedule; runs that it has started go on."""
    with session.open() as api:
        api.delete("schedules", workflow)
    session.out.answer({"workflow_id": workflow, "removed": True}, f"Removed the schedule of {workflow}.")
    return GOOD


def _when(one: dict[str, Any]) -> str | None:
    if one.get("rate"):
        return f"every {one['rate']}"
    if one.get("after"):
        return f"after {one['after']}"
    return f"{one['cron']} {one.get('timezone') or 'UTC'}" if one.get("cron") else None


def _next(one: dict[str, Any]) -> Text:
    return Text("paused", style="yellow") if one.get("paused") else moment(one.get("next_at"))


def _told(one: dict[str, Any]) -> str | None:
    """What a person should know of it, in a sentence."""
    if one.get("problem"):
        return one["problem"]
    said = []
    if skipped := one.get("skipped"):
        said.append(f"skipped {skipped['times']:,} times, the last at {moment(skipped['due'])}: {skipped['why']}")
    if missed := one.get("missed"):
        said.append(f"{missed['times']:,} times since {moment(missed['since'])} were late and became one run")
    if one.get("holding"):
        said.append(f"waits: {one['holding']}")
    return "; ".join(said) or None


def _shown(one: dict[str, Any]) -> list[Any]:
    times = [("then", moment(time)) for time in (one.get("next") or [])[1:]]
    last = one.get("last_run") and " ".join(filter(None, [one["last_run"], one.get("last_status")]))
    return [
        facts(
            [
                ("workflow", one["workflow_id"]),
                ("when", _when(one)),
                ("next", _next(one)),
                *times,
                ("last run", last),
                ("followed", one.get("last_after")),
                ("due at", moment(one.get("last_due"))),
                ("started", moment(one.get("started_at"))),
                ("told", _told(one)),
            ]
        )
    ]
