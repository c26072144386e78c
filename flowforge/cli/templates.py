"""`flowforge templates`: workflows whose connection is left open, shipped as files or saved, run with a saved connection."""

from typing import Annotated

import typer

from flowforge.cli import runs
from flowforge.cli.document import read_document, redirected
from flowforge.cli.failure import GOOD
from flowforge.cli.layout import Rows, facts
from flowforge.cli.options import Session, api_command
from flowforge.cli.output import document_text

app = typer.Typer(help="Run workflows that are shipped as files or saved, and save your own.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help="The template's name.")]


@app.command("list")
@api_command
def list_all(session: Session) -> int:
    """List the templates."""
    with session.open() as api:
        answer = api.all_pages("templates", "templates")
    rows = [[t["name"], t["title"], ", ".join(t["tables"]), ", ".join(t["models"])] for t in answer["templates"]]
    shown = Rows(["name", "title", "tables", "gold tables"], rows, prose="gold tables")
    session.out.answer(answer, shown if rows else "No templates.")
    return GOOD


@app.command("show")
@api_command
def show(
    name: Name,
    session: Session,
    request: Annotated[
        bool, typer.Option("--request", help="The job request alone, for a file that submit and schedules set take.")
    ] = False,
    connection: Annotated[
        str | None, typer.Option("--connection", metavar="ID", help="A saved connection, put into the request.")
    ] = None,
) -> int:
    """Show a template with its tables, gold tables and request."""
    with session.open() as api:
        answer = api.get("templates", name)
    wanted = answer["request"]
    if connection is not None:
        config = {**wanted["source_config"], "connection": {}}
        wanted = redirected({**wanted, "source_config": config}, None, connection)
    if request:
        session.out.line(document_text(wanted))
        return GOOD
    named = [("name", answer["name"]), ("title", answer["title"]), ("about", answer["about"])]
    named += [("workflow", answer["workflow_id"]), ("tables", ", ".join(answer["tables"]))]
    named += [("gold tables", ", ".join(answer["models"]))]
    session.out.answer({**answer, "request": wanted}, facts(named))
    return GOOD


@app.command("save")
@api_command
def save(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Its name: small letters, digits and _.")],
    file: Annotated[str, typer.Argument(metavar="FILE", help="A job request (JSON); - reads stdin.")],
    session: Session,
    title: Annotated[str, typer.Option("--title", help="A few words for people.")],
    about: Annotated[str, typer.Option("--about", help="What it does, in a sentence.")] = "",
) -> int:
    """Save a job request as a template, in place of the one of that name. Its connection and its batch_id are left out."""
    _, document = read_document(file)
    request = {field: value for field, value in document.items() if field != "batch_id"}
    if isinstance(source := request.get("source_config"), dict):
        request["source_config"] = {field: value for field, value in source.items() if field != "connection"}
    with session.open() as api:
        answer = api.put("templates", name, body={"title": title, "about": about, "request": request})
    session.out.answer(answer, f"Saved template {name}: it reads {', '.join(answer['tables'])}.")
    return GOOD


@app.command("remove")
@api_command
def remove(name: Name, session: Session) -> int:
    """Remove a template that was saved; runs and schedules that came of it go on."""
    with session.open() as api:
        api.delete("templates", name)
    session.out.answer({"name": name, "removed": True}, f"Removed template {name}.")
    return GOOD


@app.command("run")
@api_command
def run(
    name: Name,
    connection: Annotated[str, typer.Option("--connection", metavar="ID", help="The saved connection to read from.")],
    session: Session,
    watch: runs.Watch = False,
    timeout: runs.Timeout = None,
) -> int:
    """Start a template's workflow with a saved connection. With --watch exits 1 when a table failed."""
    with session.open() as api:
        accepted = api.post("templates", name, "run", body={"connectionId": connection})
        return runs.told_of(api, accepted, watch, timeout, session.out)
