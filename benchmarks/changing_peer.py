"""ingestr, which reads Change Tracking and CDC too: the command by which it brings what has changed into SQLite.

SQLite, since of the targets that keep its place in the log it is the only one here: files do not, and for DuckDB it fetches a
driver from elsewhere. Its certificate check is off: it takes no file of certificates.
"""

import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

from benchmarks.contenders import environment


def ingestr(login: dict[str, Any], table: str, folder: Path, scheme: str) -> tuple[list[str], dict[str, str]]:
    """The command and its environment, which has the password; `folder` keeps the target from load to load. `scheme` is
    `mssql+ct` or `mssql+cdc`. Raises Unavailable where ingestr cannot be installed."""
    user, password = quote(login["user"], safe=""), quote(login["password"], safe="")
    where = f"{user}:{password}@127.0.0.1:{login['port']}/{login['database']}"
    program = environment("ingestr").parent / "ingestr"
    command = [str(program), "ingest", "--yes", "--progress", "log", "--source-table", f"dbo.{table}"]
    command += ["--dest-table", "main.accounts"]
    variables = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "SOURCE_URI": f"{scheme}://{where}?encrypt=true&TrustServerCertificate=true",
        "DESTINATION_URI": f"sqlite://{folder / 'ingestr.sqlite'}",
        "INGESTR_DISABLE_TELEMETRY": "1",
    }
    return command, variables
