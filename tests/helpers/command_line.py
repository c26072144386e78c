"""The command line as users run it: a process of its own, speaking to a real HTTP server.

The server answers as the API is documented to, and keeps what it was asked.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.helpers.forked_commands import run_flowforge
from tests.helpers.serving import QuietHandler, serving

SECONDS = 60


@dataclass
class Asked:
    """One request as it arrived."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def document(self) -> Any:
        return json.loads(self.body)


@dataclass
class CannedApi:
    """Answers by "METHOD /path"; a list of answers is given one after the other, its last one for ever."""

    answers: dict[str, Any] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    url: str = ""
    headers: dict[str, str] = field(default_factory=dict)  # of every answer; Date is the real one unless it is here

    def answer(self, request: str, document: Any = None, status: int = 200) -> None:
        self.answers[request] = [(status, document)]

    def answer_in_turn(self, request: str, documents: list[Any]) -> None:
        self.answers[request] = [(200, document) for document in documents]

    def take(self, asked: Asked) -> tuple[int, Any]:
        self.asked.append(asked)
        found = self.answers.get(f"{asked.method} {asked.path}")
        if found is None:
            return 404, {"error": "NotFound", "message": f"nothing at {asked.path}", "remedy": "look elsewhere"}
        return found.pop(0) if len(found) > 1 else found[0]


@contextmanager
def canned_api() -> Iterator[CannedApi]:
    """Serves on a free loopback port until the block ends."""
    api = CannedApi()

    class Handler(QuietHandler):
        def _serve(self) -> None:
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            asked = Asked(self.command, parts.path, dict(parse_qsl(parts.query)), headers, body)
            status, document = api.take(asked)
            content = (
                b"" if document is None else document if isinstance(document, bytes) else json.dumps(document).encode()
            )
            self.send_response_only(status)
            for name, value in {"Date": self.date_time_string(), **api.headers}.items():
                self.send_header(name, value)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_DELETE = _serve

    with serving(Handler) as api.url:
        yield api


class Told:
    """Documents as the API gives them."""

    @staticmethod
    def table(name: str = "bronze_customers", status: str = "published", **known: Any) -> dict[str, Any]:
        """A table of a run, with the fields that its status implies."""
        done = status == "published"
        facts = {
            "table": name,
            "source_table": name.removeprefix("bronze_"),
            "status": status,
            "records": 500 if done else None,
            "columns": 21 if done else None,
            "bronze_key": f"bronze/{name}/b1.parquet" if done else None,
            "bronze_file_path": f"s3://flowforge-data/bronze/{name}/b1.parquet" if done else None,
            "file_size_bytes": 51_234 if done else None,
            "cursor_column": "modified_date",
            "promise": None,
            "watermark_before": None,
            "watermark_after": "2026-11-23T06:41:06.123000" if done else None,
            "watermark_committed": done,
            "silver_table": None,
            "silver_rows": 500 if done else None,
            "inserted": 500 if done else None,
            "updated": 0 if done else None,
            "quarantined": 0 if done else None,
            "gold_tables": {"customers": 500} if done else None,
            "deferred": [],
            "reason": None,
            "seconds": {"ingest": 0.5, "silver": 0.6, "gold": 0.4} if done else None,
            "queued_at": "2026-11-23T06:41:06Z",
            "finished_at": None,
            "error": None,
        }
        return {**facts, **known}

    @staticmethod
    def run(*tables: dict[str, Any], status: str = "running", **known: Any) -> dict[str, Any]:
        """A run with its tables."""
        facts = {
            "run_id": "run-1",
            "workflow_id": "wf_001",
            "job_id": "job_customers",
            "batch_id": "b1",
            "trigger": "http",
            "status": status,
            "accepted_at": "2026-11-23T06:41:06.5Z",
            "finished_at": None,
            "mistakes": [],
            "tables": list(tables),
        }
        return {**facts, **known}

    @classmethod
    def failed(cls) -> dict[str, Any]:
        """A table that failed."""
        return cls.table(
            "bronze_orders",
            "failed",
            error={
                "step": "ingest_table",
                "error": "UnknownTable",
                "cause": "no table dbo.orders",
                "remedy": "check its name",
                "attempts": 1,
            },
        )


@dataclass
class Ended:
    """A command that ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)


@dataclass
class CommandLine:
    """Runs `flowforge` in its own folder: forked, or a new interpreter where the process itself is what is tried."""

    folder: Path
    environment: dict[str, str]
    forked: bool = False

    def __call__(self, *arguments: str, stdin: str = "", env: dict[str, str] | None = None) -> Ended:
        if self.forked:
            env = self.environment | (env or {})
            forked = run_flowforge(*arguments, env=env, cwd=self.folder, stdin=stdin)
            return Ended(forked.returncode, forked.stdout, forked.stderr)
        done = subprocess.run(
            self.command(*arguments),
            cwd=self.folder,
            env=self.environment | (env or {}),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.command(*arguments),
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )

    @staticmethod
    def command(*arguments: str) -> list[str]:
        return [sys.executable, "-m", "flowforge.cli", *arguments]
