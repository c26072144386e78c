"""Runs the cases: every contender on a fresh copy of its own table, with the same bronze objects; rows are checked after each.

A contender that fails, takes longer than it is given or leaves other rows than it must has that as its result.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks import measurement
from benchmarks.contenders import ROOT, Unavailable, last_line
from benchmarks.lake.cases import CONTENDERS, DLT, ICEBERG, OF_GOLD, OURS, PLAIN, SMALL_FILES, WIDE, Case
from benchmarks.lake.report import Outcome
from benchmarks.lake.rows import GOLD

BASE_SECONDS = 900
LAYOUT = {OURS: "silver", PLAIN: "plain", WIDE: "wide", DLT: "dlt/bench"}  # below which prefix a contender's tables are
FUNCTION_MEGABYTES = "3008"  # MemorySize of RefineSilverFunction in template.yaml


class Contest:
    """One table of `table_rows` rows for each contender, and the cases on it."""

    def __init__(
        self, table_rows: int, variables: dict[str, str], folder: Path, seconds: int, say: Callable[[str], None]
    ):
        self._variables = variables | {"BENCH_GOLD": GOLD, "BENCH_FOLDER": str(folder)}
        self._table_rows, self._folder, self._seconds, self._say = table_rows, folder, seconds, say
        self._base = self._json("benchmarks.lake.bronze", "base", str(table_rows))
        self._made: dict[tuple[str, str], str] = {}

    def outcomes(self, case: Case, names: Sequence[str]) -> list[Outcome]:
        """Every contender's result in one case."""
        batch = self._batch(case)
        expected = self._json("benchmarks.lake.check", case.kind, BENCH_OBJECTS=batch)
        found = []
        for name in names:
            if case.kind not in CONTENDERS[name].kinds:
                continue
            outcome = self._outcome(case, name, batch, expected)
            found.append(outcome)
            self._say(f"{case.name}: {outcome.text} (load {os.getloadavg()[0]:.1f})")
        return found

    def _outcome(self, case: Case, name: str, batch: list[dict], expected: dict[str, Any]) -> Outcome:
        try:
            self._fresh(case, name)
            took = self._step(name, case.kind, case.table, batch or self._base, self._seconds)
            left = self._left(case, name)
        except Unavailable as reason:
            return Outcome(case.name, name, reason=str(reason))
        finally:
            if name in LAYOUT:
                self._objects("clear", f"{self._where(case, name)}/{case.table}")
        if left != expected:
            return Outcome(
                case.name, name, reason=f"wrong rows: {left['rows']:,} of {expected['rows']:,}, or other values"
            )
        return Outcome(case.name, name, took.wall_seconds, took.cpu_seconds, took.peak_rss_mb)

    def _batch(self, case: Case) -> list[dict]:
        if not case.rows:
            return []
        arguments = (f"{case.rows}_{case.spread}", str(self._table_rows), str(case.rows), case.spread)
        return self._json("benchmarks.lake.bronze", *arguments)

    def _fresh(self, case: Case, name: str) -> None:
        """The table as it is before the case."""
        if case.kind == "compact":
            command = [
                sys.executable,
                "-m",
                "benchmarks.lake.small_files",
                f"{LAYOUT[name]}/{case.table}",
                str(SMALL_FILES),
            ]
            self._run(command, BENCH_OBJECTS=json.dumps(self._base))
            return
        base = "base_scd2" if case.kind == "scd2" else "base_merge"
        owner = PLAIN if name == DLT else name  # dlt merges into any Delta table at its place
        if (owner, base) not in self._made:
            self._made[owner, base] = ""
            try:
                self._step(owner, "base", base, self._base, BASE_SECONDS)
            except Unavailable as reason:
                self._made[owner, base] = f"its table could not be made: {reason}"
        if self._made[owner, base]:
            raise Unavailable(self._made[owner, base])
        if case.kind not in OF_GOLD and name != ICEBERG:
            self._objects("copy", f"{LAYOUT[owner]}/{base}", f"{LAYOUT[name]}/{case.table}")

    def _step(self, name: str, kind: str, table: str, objects: list[dict], seconds: int) -> measurement.Run:
        variables = self._variables | {"BENCH_OBJECTS": json.dumps(objects)}
        if name == OURS:
            variables |= {"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": FUNCTION_MEGABYTES}
        command = [*CONTENDERS[name].prepared(), kind, table]
        return measurement.run(command, variables, self._folder, seconds)

    def _left(self, case: Case, name: str) -> dict[str, Any]:
        if name == ICEBERG:
            files = self._run([*CONTENDERS[name].prepared(), "files", case.table])
            return self._json("benchmarks.lake.check", case.kind, BENCH_FILES=json.loads(files))
        uri = f"s3://{self._variables['BENCH_BUCKET']}/{self._where(case, name)}/{case.table}"
        return self._json("benchmarks.lake.check", case.kind, BENCH_URI=uri)

    def _where(self, case: Case, name: str) -> str:
        return "gold" if case.kind in OF_GOLD and name == OURS else LAYOUT[name]

    def _objects(self, *arguments: str) -> None:
        self._run([sys.executable, "-m", "benchmarks.lake.objects", *arguments])

    def _json(self, module: str, *arguments: str, **variables: Any) -> Any:
        given = {name: value if isinstance(value, str) else json.dumps(value) for name, value in variables.items()}
        if module.endswith("check") and not {"BENCH_URI", "BENCH_FILES"} & set(given):
            given["BENCH_BASE"] = json.dumps(self._base)
        return json.loads(self._run([sys.executable, "-m", module, *arguments], **given))

    def _run(self, command: list[str], **variables: str) -> str:
        done = subprocess.run(
            command, env=self._variables | variables, cwd=ROOT, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise Unavailable(last_line(done.stderr))
        return done.stdout
