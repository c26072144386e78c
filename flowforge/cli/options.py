"""Options that several commands share, declared once so that they read the same everywhere.

`api_command` gives a command the options that say which API to ask and how to answer; `source_command` those that name a
SQL Server besides. The command itself gets what they amount to: a `Session`, a `SourceChoice`.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flowforge.cli.connection import SourceChoice
from flowforge.cli.output import Output
from flowforge.cli.target import open_api

if TYPE_CHECKING:
    from flowforge.cli.api import Api

ApiUrl = Annotated[
    str | None,
    typer.Option("--api", metavar="URL", help="The API's address; else FLOWFORGE_API_URL, else the local stack's."),
]
Sign = Annotated[
    bool,
    typer.Option(
        "--sign", help="Sign requests with your AWS credentials (done for API Gateway without FLOWFORGE_TOKEN)."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout, nothing else.")]
Host = Annotated[str | None, typer.Option("--host", help="Host name or address of the SQL Server.")]
Port = Annotated[int, typer.Option("--port", min=1, max=65535, help="TCP port of the SQL Server.")]
Database = Annotated[str | None, typer.Option("--database", help="Database name.")]
Username = Annotated[str | None, typer.Option("--username", help="Login name.")]
PasswordStdin = Annotated[bool, typer.Option("--password-stdin", help="Read the password from stdin's first line.")]
Trust = Annotated[
    bool, typer.Option("--trust-server-certificate", help="Do not verify the server's certificate; TLS stays on.")
]
ConnectionId = Annotated[str | None, typer.Option("--connection", metavar="ID", help="A saved connection.")]
RequestFile = Annotated[
    str | None, typer.Option("--request", metavar="FILE", help="Take the connection out of a job request.")
]


@dataclass(frozen=True)
class Session:
    """One command's API and output."""

    api: str | None
    sign: bool
    as_json: bool

    def open(self) -> "Api":
        """A client of the API."""
        return open_api(self.api, self.sign)

    @cached_property
    def out(self) -> Output:
        """The command's streams."""
        return Output(self.as_json)


def _session(api: ApiUrl = None, sign: Sign = False, as_json: Json = False) -> Session:
    return Session(api, sign, as_json)


def _choice(  # noqa: PLR0917 (typer passes them by name)
    connection_id: ConnectionId = None,
    request_file: RequestFile = None,
    host: Host = None,
    port: Port = 1433,
    database: Database = None,
    username: Username = None,
    trust: Trust = False,
    password_stdin: PasswordStdin = False,
) -> SourceChoice:
    return SourceChoice(connection_id, request_file, host, port, database, username, trust, password_stdin)


def api_command(command: Callable[..., int]) -> Callable[..., int]:
    """Replaces the parameter `session` by the options that make one."""
    return _with_options(command, "session", _session)


def source_command(command: Callable[..., int]) -> Callable[..., int]:
    """Replaces the parameters `choice` and `session` by the options that make them."""
    return _with_options(_with_options(command, "choice", _choice), "session", _session)


def _with_options(command: Callable[..., int], name: str, make: Callable[..., Any]) -> Callable[..., int]:
    own = inspect.signature(command).parameters
    made = inspect.signature(make).parameters
    keyword = inspect.Parameter.KEYWORD_ONLY
    parameters = [p.replace(kind=keyword) for p in (*own.values(), *made.values()) if p.name != name]

    def run(**given: Any) -> int:
        parts = {option: given.pop(option) for option in made}
        return command(**given, **{name: make(**parts)})

    run.__doc__ = command.__doc__
    run.__name__ = command.__name__
    run.__signature__ = inspect.Signature(parameters)
    run.__annotations__ = {p.name: p.annotation for p in parameters}
    return run
