"""`flowforge connections`: save a SQL Server login once, then name it by its id.

The password goes to the API's secret store and never comes back; it is read from FLOWFORGE_PASSWORD, stdin or a prompt.
"""

from typing import Annotated

import typer

from flowforge.cli import options
from flowforge.cli.connection import inline_connection
from flowforge.cli.failure import GOOD
from flowforge.cli.layout import moment, table
from flowforge.cli.options import Session, api_command

app = typer.Typer(help="Save, list and remove SQL Server connections.", no_args_is_help=True)

Id = Annotated[str, typer.Argument(metavar="ID", help="The connection's name.")]
Driver = Annotated[str | None, typer.Option("--driver", help="Extraction driver: auto, mssql-python or pymssql.")]
_COLUMNS = ("id", "host", "port", "database", "username", "driver")


@app.command("add")
@api_command
def add(  # noqa: PLR0917 (typer passes them by name)
    name: Id,
    host: Annotated[str, typer.Option("--host", help="Host name or address of the SQL Server.")],
    database: Annotated[str, typer.Option("--database", help="Database name.")],
    username: Annotated[str, typer.Option("--username", help="Login name.")],
    session: Session,
    port: options.Port = 1433,
    driver: Driver = None,
    trust: options.Trust = False,
    password_stdin: options.PasswordStdin = False,
) -> int:
    """Save a connection; its password goes to the secret store."""
    connection = inline_connection(host, port, database, username, trust, password_stdin)
    body = {"id": name, **connection, **({"driver": driver} if driver else {})}
    with session.open() as api:
        answer = api.post("connections", body=body)
    session.out.answer(answer, f"Saved {name}: {username} at {host}:{port}, {database}")
    return GOOD


@app.command("list")
@api_command
def list_all(session: Session) -> int:
    """List the saved connections, without their passwords."""
    with session.open() as api:
        answer = api.all_pages("connections", "connections")
    rows = [[*(c.get(n) for n in _COLUMNS), moment(c.get("created_at"))] for c in answer["connections"]]
    session.out.answer(answer, table([*_COLUMNS, "created"], rows) if rows else "No saved connections.")
    return GOOD


@app.command("remove")
@api_command
def remove(name: Id, session: Session) -> int:
    """Remove a connection and its secret."""
    with session.open() as api:
        api.delete("connections", name)
    session.out.answer({"id": name, "removed": True}, f"Removed {name}.")
    return GOOD
