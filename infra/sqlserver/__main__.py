"""`python -m infra.sqlserver`: serves until SIGTERM or SIGINT; says on one line of JSON when it is ready."""

# ruff: noqa: S105 - documented, for the stand-in only

import argparse
import gc
import json
import logging
import os
import signal
import socket
import sys
import tempfile
from pathlib import Path

from . import bank
from .certificate import ensure_certificate, server_context
from .imports import do_without_pandas
from .profiles import PROFILES
from .server import HOST, Server
from .types import COLLATION_NAME

COLLECT_RARELY = (10_000, 20, 20)  # a statement's tree is some hundred objects in cycles: a few megabytes wait
SAMPLE_PASSWORD = "FlowForge2024!"


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m infra.sqlserver", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 (the default) picks a free port")
    parser.add_argument("--listener", type=int, metavar="FD", help="a listening socket that is handed over, for --port")
    parser.add_argument("--database", default="BFSI_Test")
    parser.add_argument("--username", default="sa")
    parser.add_argument("--reader", metavar="NAME", help="a second login, same password, that may read and no more")
    parser.add_argument(
        "--release", type=int, default=2022, help="what came later is not in the catalog (2014, 2017, …)"
    )
    parser.add_argument("--password-env", metavar="NAME", help="environment variable that holds the password")
    parser.add_argument("--tls-directory", type=Path, help="where ca.pem and the server's certificate are kept")
    parser.add_argument("--bank", action="store_true", help="create the sample bank")
    parser.add_argument("--scale", type=float, default=1.0, help="multiplies the bank's 500 / 750 / 5,000 rows")
    parser.add_argument("--rows", action="append", default=[], metavar="TABLE=N", help="exact rows of one bank table")
    parser.add_argument("--typezoo", action="store_true", help="create dbo.typezoo, one column per type")
    parser.add_argument("--profile", choices=sorted(PROFILES), default="sqlserver", help="which kind of server to act")
    parser.add_argument(
        "--collation", default=COLLATION_NAME, help="of server and database: with _CS_ names count case, too"
    )
    parser.add_argument("--verbose", action="store_true", help="log every request to stderr")
    chosen = parser.parse_args(argv)
    try:
        chosen.rows = {name: int(count) for name, count in (item.split("=") for item in chosen.rows)}
    except ValueError:
        parser.error("--rows wants TABLE=N")
    if unknown := set(chosen.rows) - set(bank.DEFAULT_ROWS):
        parser.error(f"--rows: the bank has no table {', '.join(sorted(unknown))}")
    return chosen


def _password(variable: str | None) -> str:
    if variable is None:
        return SAMPLE_PASSWORD
    if variable not in os.environ:
        sys.exit(f"the environment variable {variable} is not set")
    return os.environ[variable]


def main() -> None:
    chosen = arguments()
    do_without_pandas()
    logging.basicConfig(level=logging.DEBUG if chosen.verbose else logging.WARNING, stream=sys.stderr)
    directory = chosen.tls_directory or Path(tempfile.mkdtemp(prefix="flowforge-sqlserver-"))
    ca_file = ensure_certificate(directory.resolve())
    password = _password(chosen.password_env)
    login = (chosen.username, password)
    with Server(
        chosen.database,
        *login,
        server_context(directory),
        chosen.reader,
        chosen.release,
        chosen.profile,
        collation=chosen.collation,
    ) as server:
        try:
            handed_over = chosen.listener is not None
            port = server.take(socket.socket(fileno=chosen.listener)) if handed_over else server.listen(chosen.port)
        except OSError as error:
            sys.exit(f"cannot listen on {HOST}:{chosen.port}: {error.strerror}")
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: server.close())
        server.fill(bank.size(chosen.scale, chosen.rows) if chosen.bank else None, chosen.typezoo)
        ready = {"host": HOST, "port": port, "database": chosen.database, "ca_file": str(ca_file), "pid": os.getpid()}
        print(json.dumps(ready), flush=True)
        gc.freeze()  # imports stay: no search for garbage in cycles walks them again
        gc.set_threshold(*COLLECT_RARELY)
        server.serve_forever()


if __name__ == "__main__":
    main()
