"""The command tree, and the one place where errors become messages and exit codes."""

import re
from collections.abc import Callable
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from flowforge.cli import (
    alerts,
    apply,
    connections,
    console,
    cost,
    doctor,
    erase,
    files,
    lake,
    lineage,
    models,
    plan,
    quality,
    rebuild_silver,
    reconcile,
    replay,
    runs,
    schedules,
    schema,
    show_token,
    source,
    templates,
    up,
    upkeep,
    watermarks,
)
from flowforge.cli.failure import BAD_REQUEST, FAILED, GOOD, INTERRUPTED, BadRequest, Failure, failure_of
from flowforge.cli.output import Output, document_text, leave_pipe

RUN_AGAIN = "make space there (TMPDIR names another folder for temporary files), and run the command again"

GUESSED = {  # by those who know other tools
    "init": "up",
    "jobs": "status",
    "load": "submit",
    "ls": "status",
    "query": "sql",
    "run": "submit",
    "runs": "status",
    "serve": "up",
    "start": "up",
    "ui": "console",
    "version": "--version",
}
COMMANDS: dict[str, dict[str, Callable[..., int] | typer.Typer]] = {
    "The stack": {
        "up": up.up,
        "token": show_token.token,
        "console": console.console,
        "doctor": doctor.doctor,
        "alerts": alerts.app,
    },
    "Loads": {
        "test-connection": source.try_connection,
        "tables": source.tables,
        "describe": source.describe,
        "plan": plan.plan,
        "submit": runs.submit,
        "status": runs.status,
        "cost": cost.cost,
        "replay": replay.replay,
        "apply": apply.apply,
        "connections": connections.app,
        "files": files.app,
        "schedules": schedules.app,
        "templates": templates.app,
        "watermark": watermarks.app,
    },
    "The lake": {
        "sql": lake.sql,
        "schema": schema.schema,
        "quality": quality.quality,
        "lineage": lineage.lineage,
        "reconcile": reconcile.reconcile,
        "maintain": upkeep.maintain,
        "erase": erase.erase,
        "models": models.app,
        "rebuild": rebuild_silver.app,
    },
}


class Commands(TyperGroup):
    """The commands, which also know what others call them: typer's own suggestions are of the same letters."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        try:
            return super().resolve_command(ctx, args)
        except typer.TyperException as error:
            if args[0] in GUESSED and "Did you mean" not in error.format_message():
                told = f"No such command {args[0]!r}. Did you mean {GUESSED[args[0]]!r}?"
                error.message = told  # pyright: ignore[reportAttributeAccessIssue] - typer's errors of usage have it
            raise


app = typer.Typer(
    name="flowforge",
    cls=Commands,
    help="SQL Server tables and files into an S3 lakehouse: bronze, silver, gold.",
    epilog="Exit codes: 0 all good; 1 a table failed, or the answer is a failure; 2 a wrong request or usage;"
    " 3 the API cannot be reached; 4 a dry run found a difference; 130 Ctrl-C."
    " The API is --api, else FLOWFORGE_API_URL, else the running local stack's.",
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _tell_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version
        from platform import machine, python_version, system

        typer.echo(f"flowforge {version('flowforge')} (Python {python_version()}, {system()} {machine()})")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_tell_version, is_eager=True)
    ] = False,
) -> None:
    pass


def _in_short(command: Callable[..., Any] | None) -> str:
    """What a command does, as a list of commands has room for: the first sentence, up to a semicolon, in one line."""
    return re.split(r"(?<!\.)[;.](?=\s|$)", " ".join((getattr(command, "__doc__", None) or "").split()))[0]


for panel, commands in COMMANDS.items():
    for name, command in commands.items():
        if isinstance(command, typer.Typer):
            for part in command.registered_commands:
                part.short_help = _in_short(part.callback)
            app.add_typer(command, name=name, rich_help_panel=panel)
        else:
            app.command(name, rich_help_panel=panel, short_help=_in_short(command))(command)


def run(arguments: list[str]) -> int:
    """Runs the command and returns its exit code; every failure is told on stderr, with `--json` on stdout as well."""
    out = Output(as_json="--json" in arguments)
    try:
        return _ended(arguments, out)
    except OSError as error:
        return _without_space(error, out)


def _ended(arguments: list[str], out: Output) -> int:
    try:
        return int(app(args=arguments, prog_name="flowforge", standalone_mode=False) or GOOD)
    except Failure as failure:
        out.failure(failure)
        return failure.exit_code
    except typer.TyperException as error:
        _tell_usage(error, out)
        return BAD_REQUEST
    except typer.Abort:
        out.say("Stopped; nothing was changed.")
        return FAILED
    except UnicodeEncodeError as error:  # nothing that is printed raises it: it was on its way out
        out.failure(_no_text(error))
        return BAD_REQUEST
    except BrokenPipeError:
        leave_pipe()
    except Exception as error:  # of what runs here and not behind the API; a defect keeps its trace
        failure = _told_by(error)
        if failure is None:
            raise
        out.failure(failure)
        return failure.exit_code
    except SystemExit as ended:  # by 1: what prints help found that its reader went away
        if ended.code == 1:
            leave_pipe()
        raise
    except KeyboardInterrupt:
        return INTERRUPTED
    finally:
        out.flush()


def _told_by(error: Exception) -> Failure | None:
    """The failure that an error on purpose tells of; None of any other error."""
    from events.request import InvalidRequest
    from flowforge.domain.errors import FlowForgeError

    if isinstance(error, InvalidRequest):
        return BadRequest(f"{len(error.mistakes)} mistake(s) in the request", mistakes=error.mistakes)
    if isinstance(error, FlowForgeError):
        return failure_of(error)
    return None


def _without_space(error: OSError, out: Output) -> int:
    from flowforge.runtime.disk_space import no_space

    if not (full := no_space(error)):
        raise error
    where = "" if error.filename else "the output cannot be written, or "  # an error of a write names no file
    out.last_failure(Failure(f"{where}{full}", RUN_AGAIN, error="NoSpace"))
    return FAILED


def _no_text(error: UnicodeEncodeError) -> BadRequest:
    lacking = error.object[error.start : error.end].encode("ascii", "backslashreplace").decode()
    return BadRequest(
        f"what was given holds {lacking}, which is no character of any text",
        "write names and addresses in the terminal's own encoding (UTF-8)",
    )


def _tell_usage(error: typer.TyperException, out: Output) -> None:
    message, context = error.format_message(), getattr(error, "ctx", None)
    remedy = f"{context.command_path if context else 'flowforge'} --help"
    if out.as_json:
        out.line(document_text({"error": "UsageError", "message": message, "remedy": remedy}))
    if message:
        if context is not None:
            out.say(context.get_usage())
        out.say(f"Error: {message}", style="red")
        out.say(f"What to do: {remedy}")
