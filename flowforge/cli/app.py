"""The command tree, and the one place where errors become messages and exit codes."""

import typer

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
from flowforge.cli.failure import BAD_REQUEST, FAILED, GOOD, INTERRUPTED, BadRequest, Failure
from flowforge.cli.output import Output, document_text, leave_pipe

RUN_AGAIN = "make space there (TMPDIR names another folder for temporary files), and run the command again"

app = typer.Typer(
    name="flowforge",
    help="SQL Server tables into an S3 lakehouse: bronze, silver, gold.",
    epilog="Exit codes: 0 all good; 1 a table failed, or the answer is a failure; 2 a wrong request or usage;"
    " 3 the API cannot be reached; 4 a dry run found a difference; 130 Ctrl-C."
    " The API is --api, else FLOWFORGE_API_URL, else the running local stack's.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("up")(up.up)
app.command("token")(show_token.token)
app.command("console")(console.console)
app.command("plan")(plan.plan)
app.command("apply")(apply.apply)
app.command("submit")(runs.submit)
app.command("status")(runs.status)
app.command("cost")(cost.cost)
app.command("test-connection")(source.try_connection)
app.command("tables")(source.tables)
app.command("describe")(source.describe)
app.command("sql")(lake.sql)
app.command("lineage")(lineage.lineage)
app.command("reconcile")(reconcile.reconcile)
app.command("maintain")(upkeep.maintain)
app.command("erase")(erase.erase)
app.command("doctor")(doctor.doctor)
app.command("replay")(replay.replay)
app.command("schema")(schema.schema)
app.command("quality")(quality.quality)
app.add_typer(rebuild_silver.app, name="rebuild")
app.add_typer(models.app, name="models")
app.add_typer(watermarks.app, name="watermark")
app.add_typer(connections.app, name="connections")
app.add_typer(schedules.app, name="schedules")
app.add_typer(templates.app, name="templates")
app.add_typer(files.app, name="files")
app.add_typer(alerts.app, name="alerts")


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
    except KeyboardInterrupt:
        return INTERRUPTED
    finally:
        out.flush()


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
    if out.as_json:
        message = error.format_message()
        out.line(document_text({"error": "UsageError", "message": message, "remedy": "flowforge COMMAND --help"}))
    if message := error.format_message():
        context = getattr(error, "ctx", None)
        if context is not None:
            out.say(context.get_usage())
        out.say(f"Error: {message}", style="red")
