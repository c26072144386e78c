"""`flowforge up`: the local stack in the foreground.

Ctrl-C and termination are passed on; the command ends when the stack has, with the stack's exit code.
"""

import signal
import subprocess
from pathlib import Path
from typing import Annotated

import typer

from flowforge.cli import options
from flowforge.cli.failure import BadRequest, Failure
from flowforge.cli.output import Output
from flowforge.cli.stack import (
    POSIX,
    STATE_DIR,
    STATE_DIR_VARIABLE,
    StackProcess,
    pointed_to,
    read_stack,
    without_secrets,
    writable,
)

_PASSED_ON = [number for name in ("SIGINT", "SIGTERM", "SIGHUP") if (number := getattr(signal, name, None)) is not None]


def up(
    *,
    state_dir: Annotated[
        str, typer.Option(envvar=STATE_DIR_VARIABLE, help="Where stack.json, logs and data of the stack go.")
    ] = STATE_DIR,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="API port; 0 takes a free one.")] = None,
    aws_port: Annotated[int | None, typer.Option(min=0, max=65535, help="Embedded AWS port.")] = None,
    sqlserver_port: Annotated[int | None, typer.Option(min=0, max=65535, help="SQL Server stand-in's port.")] = None,
    bank_scale: Annotated[
        float | None, typer.Option(min=0, help="Size of the sample bank; 1 is 500 customers.")
    ] = None,
    parameter: Annotated[list[str] | None, typer.Option(metavar="NAME=VALUE", help="A template parameter.")] = None,
    env: Annotated[list[str] | None, typer.Option(metavar="NAME=VALUE", help="A variable for all functions.")] = None,
    s3_endpoint: Annotated[str | None, typer.Option(metavar="URL", help="Another S3, such as MinIO.")] = None,
    data_dir: Annotated[
        str | None,
        typer.Option(
            metavar="DIR", help="Keep watermarks, runs, connections and lake there; else they end with the stack."
        ),
    ] = None,
    no_sqlserver: Annotated[
        bool, typer.Option("--no-sqlserver", help="Without the stand-in: you have a server.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Only problems on the terminal.")] = False,
    as_json: options.Json = False,
) -> int:
    """Run the local stack in the foreground until Ctrl-C; `.flowforge/stack.json` tells when it is ready."""
    out = Output(as_json)
    _refuse_windows()
    folder = writable(Path(state_dir))
    if (running := read_stack(folder)) is not None:
        raise Failure(
            f"a stack already runs on {state_dir}: {running.get('api')} (process {running['pid']})",
            "stop it, or give another --state-dir",
            error="StackRuns",
        )
    ports = {"--port": port, "--aws-port": aws_port, "--sqlserver-port": sqlserver_port, "--bank-scale": bank_scale}
    arguments = [part for name, value in ports.items() if value is not None for part in (name, f"{value:g}")]
    arguments += [part for pair in parameter or [] for part in ("--parameter", pair)]
    arguments += [part for pair in env or [] for part in ("--env", pair)]
    arguments += ["--s3-endpoint", s3_endpoint] if s3_endpoint else []
    arguments += ["--data-dir", str(Path(data_dir).resolve())] if data_dir else []
    arguments += ["--no-sqlserver"] if no_sqlserver else []
    arguments += ["--quiet"] if quiet or as_json else []
    told = subprocess.DEVNULL if as_json else None
    with pointed_to(folder), StackProcess(folder, arguments, stdout=told) as stack:
        for number in _PASSED_ON:
            signal.signal(number, lambda received, _frame: stack.pass_on(received))
        if as_json:
            out.answer(without_secrets(stack.wait_ready()))
            out.flush()
        code = stack.process.wait()
    return code if code >= 0 else 128 - code


def _refuse_windows() -> None:
    """The stack's processes need a POSIX system; the other commands do not."""
    if not POSIX:
        raise BadRequest(
            "the local stack needs Linux or macOS",
            "run it in WSL, where its API serves Windows too (--api or FLOWFORGE_API_URL); a deployed API needs no stack",
        )
