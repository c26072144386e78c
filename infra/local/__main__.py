"""`python -m infra.local`: runs template.yaml on this machine until Ctrl-C.

When everything is ready, STATE_DIR/stack.json says where, and one line is printed. Exit status: 0 after Ctrl-C or
SIGTERM, 1 when a server of the stack died, 2 when it cannot start as asked.
"""

import argparse
import asyncio
import contextlib
import signal
import sys
import time
from pathlib import Path

from flowforge.cli.streams import open_streams
from flowforge.cli.surroundings import leave_account_out, missing_bundle, reach_directly
from infra.local.data_directory import DataDirectory, DataDirectoryError
from infra.local.servers import StartError
from infra.local.stack import LocalStack
from infra.local.stack_settings import StackSettings
from infra.local.state_file import AlreadyRunning, NotWritable, StateDirectory, not_writable
from infra.local.template import TemplateError
from infra.local.terminal import tell


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    cli = argparse.ArgumentParser(
        prog="python -m infra.local", description="Run the template's functions on this machine."
    )
    cli.add_argument("--template", type=Path, default=Path("template.yaml"))
    cli.add_argument("--state-dir", type=Path, default=Path(".flowforge"), help="stack.json and logs go here")
    cli.add_argument(
        "--port", type=int, default=8080, help="HTTP API; a taken port is replaced by a free one, 0 is any"
    )
    cli.add_argument("--aws-port", type=int, default=5566, help="embedded AWS, likewise")
    cli.add_argument("--sqlserver-port", type=int, default=1433, help="SQL Server stand-in, likewise")
    cli.add_argument("--bank-scale", type=float, default=1, help="size of the sample bank, 1 is 500 customers")
    cli.add_argument(
        "--parameter", type=_pair, action="append", default=[], metavar="NAME=VALUE", help="of the template"
    )
    cli.add_argument("--env", type=_pair, action="append", default=[], metavar="NAME=VALUE", help="for every function")
    cli.add_argument("--s3-endpoint", metavar="URL", help="another S3, such as the MinIO of infra/compose.yaml")
    cli.add_argument("--data-dir", type=Path, metavar="DIR", help="keep tables, queues, secrets and objects there")
    cli.add_argument("--no-sqlserver", action="store_true", help="without the SQL Server stand-in")
    cli.add_argument("--no-warm", action="store_true", help="start a function's first worker at its first event only")
    cli.add_argument("--quiet", action="store_true", help="log to files only")
    return cli.parse_args(arguments)


def _pair(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not (name and separator):
        raise argparse.ArgumentTypeError(f"expected NAME=VALUE, not {text!r}")
    return name, value


def settings_from(arguments: argparse.Namespace, state: Path, data: DataDirectory | None) -> StackSettings:
    """Return the stack's settings as the command line asks for them."""
    return StackSettings(
        template=arguments.template,
        state=state,
        port=arguments.port,
        aws_port=arguments.aws_port,
        sqlserver_port=arguments.sqlserver_port,
        bank_scale=arguments.bank_scale,
        with_sqlserver=not arguments.no_sqlserver,
        parameters=dict(arguments.parameter),
        env=dict(arguments.env),
        quiet=arguments.quiet,
        warm=not arguments.no_warm,
        s3_endpoint=arguments.s3_endpoint,
        data=data,
    )


async def run(settings: StackSettings, state: StateDirectory) -> int:
    """Run the stack until a signal comes or one of its servers dies; return the exit status."""
    stopping = asyncio.Event()
    for interrupt in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(interrupt, stopping.set)
    serving, interrupted = asyncio.create_task(_serve(settings, state)), asyncio.create_task(stopping.wait())
    await asyncio.wait([serving, interrupted], return_when=asyncio.FIRST_COMPLETED)
    interrupted.cancel()
    if serving.done():
        return serving.result()
    serving.cancel()  # once: a second Ctrl-C does not interrupt the stopping
    with contextlib.suppress(asyncio.CancelledError):
        await serving
    return 0


async def _serve(settings: StackSettings, state: StateDirectory) -> int:
    started = time.monotonic()
    async with LocalStack(settings) as stack:
        facts = stack.facts
        state.publish(facts)
        where = f"API {facts['api']}, S3 {facts['s3']}, bucket {facts['bucket']}"
        if facts["sqlserver"]:
            where += f", SQL Server localhost:{facts['sqlserver']['port']}"
        ready = f"FlowForge is ready after {time.monotonic() - started:.1f} s: {where}."
        tell(f"{ready} Pages: `flowforge console`. Ctrl-C stops it.")
        try:
            await stack.ended.wait()
        finally:
            state.withdraw()
    return 1


def main() -> int:
    """Run the command line and return the exit status."""
    open_streams()
    reach_directly()
    bundle = missing_bundle()
    leave_account_out()
    arguments = parse_arguments()
    try:
        # Its certificate would be refused without a word of the variable.
        if bundle and (arguments.s3_endpoint or "").startswith("https://"):
            remedy = "name the PEM file of the authorities of --s3-endpoint, or unset it"
            raise StartError(f"AWS_CA_BUNDLE names {bundle}, which is no file: {remedy}")
        with StateDirectory(arguments.state_dir) as state, contextlib.ExitStack() as exits:
            data = exits.enter_context(DataDirectory(arguments.data_dir)) if arguments.data_dir else None
            return asyncio.run(run(settings_from(arguments, state.path, data), state))
    except (AlreadyRunning, DataDirectoryError, NotWritable, StartError, TemplateError) as error:
        print(f"the local stack cannot start: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        if not (problem := not_writable(arguments.state_dir, error)):
            raise
        print(f"the local stack cannot run: {problem}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
