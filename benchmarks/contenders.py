"""Who takes part: each contender is a command of its own, with an environment of its own when it is a peer.

Peers are installed from PyPI by the requirement files beside this module, one environment each, never into the
project's. A peer that cannot be installed or run is listed with its reason; it does not end the benchmark.
"""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
INSTALL_SECONDS = 600


class Unavailable(Exception):
    """A contender that cannot take part; says why."""


@dataclass(frozen=True)
class Contender:
    """A name, what it is, its command; `requirements` names the file of a peer's environment, None is the project's."""

    name: str
    says: str
    command: tuple[str, ...]
    requirements: str | None = None

    def prepared(self) -> list[str]:
        """The whole command, its environment installed. Raises Unavailable."""
        if self.requirements is None:
            return [sys.executable, *self.command]
        return [str(environment(self.requirements)), *self.command]


def environment(requirements: str) -> Path:
    """The Python of a peer's environment, made when it is missing or its requirements changed. Raises Unavailable."""
    wanted = ROOT / "benchmarks" / f"{requirements}.txt"
    folder = ROOT / f".venv-bench-{requirements}"
    python, stamp = folder / "bin" / "python", folder / "stamp"
    if stamp.exists() and stamp.read_text() == wanted.read_text():
        return python
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement", str(wanted)]
    for command in ([sys.executable, "-m", "venv", "--clear", str(folder)], pip):
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False)
        except subprocess.TimeoutExpired:
            raise Unavailable(f"not installed within {INSTALL_SECONDS} s") from None
        if done.returncode:
            raise Unavailable("not installable here: " + last_line(done.stderr))
    stamp.write_text(wanted.read_text())
    return python


def last_line(output: str) -> str:
    """The last line that says something, shortened for a table."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return (lines[-1] if lines else "no message")[:160]


def _peer(script: str, *arguments: str) -> tuple[str, ...]:
    return (str(ROOT / "benchmarks" / "peers" / script), *arguments)


OURS, FETCHMANY, CONNECTORX, FLOOR = "FlowForge", "pymssql fetchmany", "ConnectorX", "floor"
CONTENDERS = {
    contender.name: contender
    for contender in (
        Contender(FLOOR, "a client that only drains its socket; writes nothing", ("-m", "benchmarks.floor")),
        Contender(OURS, "mssql-python reader, the whole landing", ("-m", "benchmarks.ours", "mssql-python")),
        Contender("FlowForge, pymssql", "the second driver, the same landing", ("-m", "benchmarks.ours", "pymssql")),
        Contender(FETCHMANY, "fetchmany to lists to pa.array", _peer("fetchmany.py"), "fetchmany"),
        Contender(CONNECTORX, "one partition", _peer("connectorx_read.py", "1"), "connectorx"),
        Contender("ConnectorX, 4 partitions", "four connections", _peer("connectorx_read.py", "4"), "connectorx"),
        Contender(
            "arrow-odbc",
            "Microsoft's ODBC driver, from PyPI; needs libodbc.so.2 and libltdl.so.7 on the system",
            _peer("arrow_odbc_read.py"),
            "arrow-odbc",
        ),
        Contender("dlt, pyarrow", "SQLAlchemy over pymssql", _peer("dlt_read.py", "pyarrow"), "dlt"),
        Contender("dlt, ConnectorX", "backend connectorx", _peer("dlt_read.py", "connectorx"), "dlt"),
        Contender("Sling", "its binary from PyPI", _peer("sling_run.py"), "sling"),
        Contender("Rivet", "tuning profile fast", _peer("rivet_run.py"), "rivet"),
    )
}
