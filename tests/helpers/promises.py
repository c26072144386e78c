"""`python -m tests.helpers.promises REPORT...`: a promise of docs/guarantees.md counts only if its test ran in this run.

The reports are pytest's (`--junitxml`). A promise whose test was not run, or skipped in all of its cases, is named and fails the
run; where the document says behind it what it needs (`path::test` (needs …)), it is listed as not run here instead. A test's
failure is its own report's to tell. The last line counts all tests, as in "3 passed, 0 failed, 1 skipped".
"""

import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

GUARANTEES = Path(__file__).resolve().parents[2] / "docs" / "guarantees.md"
PROMISE = re.compile(r"`(tests/[\w/]+\.py::\w+)`(?:\s+\((needs [^)]+)\))?")


def promised(text: str) -> dict[str, str]:
    """The tests that a document names, each with what it needs, or ''."""
    found: dict[str, str] = {}
    for test, needs in PROMISE.findall(text):
        found[test] = found.get(test) or needs
    return found


def cases(report: Path) -> Iterator[tuple[str, str]]:
    """The cases of a report: the test with its parameters (`path::name[...]`), and passed, failed or skipped."""
    for case in ElementTree.parse(report).getroot().iter("testcase"):  # noqa: S314 - our own report
        kinds = {element.tag for element in case}
        outcome = "failed" if kinds & {"failure", "error"} else "skipped" if "skipped" in kinds else "passed"
        yield f"{case.get('classname', '').replace('.', '/')}.py::{case.get('name', '')}", outcome


def main(reports: list[Path], guarantees: Path = GUARANTEES) -> int:
    """Print what was not run and the count of all; returns 1 where a promise lacks its test, otherwise 0.

    A case of several reports counts as the last of them has it; one that had failed before is named.
    """
    found: dict[str, str] = {}
    for report in reports:
        for test, outcome in cases(report):
            if found.get(test) == "failed":
                print(f"failed at first, {outcome} when run again: {test}")
            found[test] = outcome
    ran = {test.partition("[")[0] for test, outcome in found.items() if outcome != "skipped"}
    idle = {test: needs for test, needs in promised(guarantees.read_text()).items() if test not in ran}
    for test, needs in idle.items():
        print(f"not run here, {needs}: {test}" if needs else f"promised, but not run: {test}")
    count = Counter(found.values())
    print(f"{count['passed']} passed, {count['failed']} failed, {count['skipped']} skipped")
    return int(not all(idle.values()))


if __name__ == "__main__":
    sys.exit(main([Path(report) for report in sys.argv[1:]]))
